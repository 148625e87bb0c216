/* SPDX-License-Identifier: Apache-2.0 */
#include "image/progress.h"

#include <stdarg.h>
#include <stdio.h>

#define TEXT_MAX 256
#define LIVE_MS 100   /* between two redraws of a live line */
#define PLAIN_MS 5000 /* between two lines of a log */

/*
 * What stdio and jansson look up at first use is looked up now: the jailed
 * worker, which says things too, may not (a terminal's settings, a seed).
 */
static void warm_up(void)
{
	static char out[BUFSIZ];

	setvbuf(stdout, out, _IOLBF, sizeof(out));
	json_object_seed(0);
}

void progress_init(struct progress *p, bool json)
{
	warm_up();
	*p = (struct progress){
		.json = json,
		.tty = !json && isatty(STDERR_FILENO),
	};
}

/*
 * Texts quote package names, paths and what other programs say: nothing that a
 * terminal would obey, and valid UTF-8 also where it was cut.
 */
static void clean(char *text)
{
	json_t *valid = json_string(text);

	for (char *c = text; *c; c++) {
		uint8_t byte = (uint8_t)*c;

		if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !valid))
			*c = '?';
	}
	json_decref(valid);
}

static void json_line(json_t *o)
{
	json_dumpf(o, stdout, JSON_COMPACT);
	fputc('\n', stdout);
	fflush(stdout);
	json_decref(o);
}

static void emit_json(
	const char *step, const char *text, uint64_t done, uint64_t total)
{
	json_line(json_pack("{s:s, s:s, s:I, s:I}", "step", step, "text", text,
		"done", (json_int_t)done, "total", (json_int_t)total));
}

/* The live line is overwritten by the next one, whatever it is. */
static void clear_live(struct progress *p)
{
	if (p->live)
		fputs("\r\033[K", stderr);
	p->live = false;
}

void progress_say(struct progress *p, const char *step, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	clean(text);
	p->last_ms = 0;
	if (p->json) {
		emit_json(step, text, 0, 0);
		return;
	}
	clear_live(p);
	fprintf(stderr, "%s: %s\n", step, text);
}

void progress_count(struct progress *p, const char *step, uint64_t done,
	uint64_t total, const char *fmt, ...)
{
	uint64_t now = now_ms();
	char text[TEXT_MAX];
	va_list ap;

	if (now - p->last_ms < (p->tty || p->json ? LIVE_MS : PLAIN_MS))
		return;
	p->last_ms = now;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	clean(text);
	if (p->json) {
		emit_json(step, text, done, total);
		return;
	}
	clear_live(p);
	fprintf(stderr, "%s: %.100s%s", step, text, p->tty ? "" : "\n");
	p->live = p->tty;
}

void progress_result(struct progress *p, json_t *result, const char *text)
{
	if (p->json) {
		json_line(json_pack("{s:o}", "result", result));
		return;
	}
	json_decref(result);
	clear_live(p);
	fprintf(stdout, "%s\n", text);
}

void progress_error(struct progress *p, const struct err *err)
{
	char text[ERR_TEXT_MAX];

	snprintf(text, sizeof(text), "%s", err->text);
	clean(text);
	if (p->json) {
		json_line(json_pack("{s:s}", "error", text));
		return;
	}
	clear_live(p);
	fprintf(stderr, "cove-image: %s\n", text);
}
