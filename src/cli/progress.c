/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"
#include "base/opt.h"
#include "cli/text.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define REDRAW_MS 100
#define LINE_MS 5000            /* between plain lines of one step */
#define QUIET_BEGIN_MS 400      /* work that is over by then shows nothing */
#define BYTES_FROM (256u * KIB) /* a total from here on is bytes, not pieces */

/* Steps of every start; without a terminal they are not worth a line. */
static bool is_routine(const char *step)
{
	static const char *const routine[] = {"validate", "create", "disk",
		"start", "engine", "boot", "guest", "ready", "copy"};

	for (size_t i = 0; i < ARRAY_SIZE(routine); i++)
		if (streq(step, routine[i]))
			return true;
	return false;
}

void progress_init(struct progress *p, bool quiet)
{
	*p = (struct progress){
		.tty = isatty(STDERR_FILENO),
		.quiet = quiet,
		.begin_ms = now_ms(),
		.step = xstrdup(""),
		.text = xstrdup(""),
	};
	const char *term = getenv("TERM");
	if (term && streq(term, "dumb"))
		p->tty = false;
}

static void wipe(struct progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	p->shown = false;
}

void progress_done(struct progress *p)
{
	wipe(p);
	fflush(stderr);
	free(p->step);
	free(p->text);
	*p = (struct progress){0};
}

/*
 * " 120 MiB of 583 MiB" or " 3 of 12". A text with a number in it says how far
 * it is by itself.
 */
static void format_amount(const struct progress *p, char *buf, size_t len)
{
	char a[32], b[32];

	*buf = '\0';
	if (strpbrk(p->text, "0123456789"))
		return;
	if (p->total >= BYTES_FROM)
		snprintf(buf, len, "  %s of %s",
			format_size(p->done, a, sizeof(a)),
			format_size(p->total, b, sizeof(b)));
	else if (p->total)
		snprintf(buf, len, "  %" PRIu64 " of %" PRIu64, p->done,
			p->total);
	else if (p->done >= BYTES_FROM)
		snprintf(buf, len, "  %s", format_size(p->done, a, sizeof(a)));
}

/* Bytes of s that fill at most `columns` characters. */
static int fit(const char *s, size_t columns)
{
	const char *p = s;

	while (*p && columns) {
		for (p++; ((unsigned char)*p & 0xc0) == 0x80;)
			p++;
		columns--;
	}
	return (int)(p - s);
}

/* A step of every start explains itself; others need their name as well. */
static char *describe(const struct progress *p)
{
	bool both = *p->text && !is_routine(p->step);
	_cleanup_free_ char *text = xasprintf("%s%s%s",
		both || !*p->text ? p->step : "", both ? ": " : "", p->text);

	return text_safe(text);
}

/* The text is cut, never the amount: a line that wraps cannot be rewritten. */
static void draw(struct progress *p)
{
	char amount[96], tail[160];
	struct winsize ws = {0};
	uint64_t now = now_ms();

	if (now - p->begin_ms < QUIET_BEGIN_MS)
		return;
	format_amount(p, amount, sizeof(amount));
	uint64_t seconds = (now - p->begin_ms) / 1000;
	if (seconds < 60)
		snprintf(tail, sizeof(tail), "%s  %" PRIu64 " s", amount,
			seconds);
	else
		snprintf(tail, sizeof(tail), "%s  %" PRIu64 ":%02" PRIu64,
			amount, seconds / 60, seconds % 60);
	ioctl(STDERR_FILENO, TIOCGWINSZ, &ws);
	size_t columns = ws.ws_col ? ws.ws_col : 80;
	size_t used = strlen(tail) + 1;
	_cleanup_free_ char *safe = describe(p);
	int n = fit(safe, columns > used ? columns - used : 0);
	fprintf(stderr, "\r\033[K%.*s%s", n, safe, tail);
	fflush(stderr);
	p->shown = true;
	p->drawn_ms = now;
}

/* Without a terminal: each step, and now and then how far it has come. */
static void print_line(struct progress *p, bool new_step)
{
	char amount[96];
	uint64_t now = now_ms();

	if (is_routine(p->step) || (!new_step && now - p->drawn_ms < LINE_MS))
		return;
	_cleanup_free_ char *safe = describe(p);
	format_amount(p, amount, sizeof(amount));
	fprintf(stderr, "cove: %s%s\n", safe, amount);
	p->drawn_ms = now;
}

static void replace(char **field, const char *value)
{
	free(*field);
	*field = xstrdup(value);
}

void progress_set(struct progress *p, const char *step, const char *text,
	uint64_t done, uint64_t total)
{
	bool new_step = !streq(p->step, step);
	bool fresh = new_step || !streq(p->text, text);

	replace(&p->step, step);
	replace(&p->text, text);
	p->done = done;
	p->total = total;
	if (p->quiet)
		return;
	if (!p->tty)
		print_line(p, new_step);
	else if (fresh || now_ms() - p->drawn_ms >= REDRAW_MS)
		draw(p);
}

void progress_json(struct progress *p, const json_t *line)
{
	progress_set(p, jstr(line, "step"), jstr(line, "text"),
		ju64(line, "done"), ju64(line, "total"));
}

void progress_tick(void *progress)
{
	struct progress *p = progress;

	if (!p->quiet && p->tty && (*p->text || *p->step))
		draw(p);
}
