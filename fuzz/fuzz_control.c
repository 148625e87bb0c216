/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest on its control stream, from the first byte on: whatever it sends,
 * coved keeps its own state in order and what it records is clean text.
 */
#include "daemon/control.h"

#include "base/log.h"
#include "wire/agent.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void nothing(struct engine *e)
{
}

static bool never(const struct engine *e)
{
	return false;
}

static uint64_t zero(const struct engine *e)
{
	return 0;
}

static const struct backend backend = {.kill = nothing,
	.quit = nothing,
	.close = nothing,
	.is_open = never,
	.cpu_ms = zero,
	.memory = zero};

/* A store that takes everything and checks what it is given. */
int store_insert(struct store *s, const struct row *r, struct err *err)
{
	return 0;
}

int store_update(struct store *s, const struct row *r, struct err *err)
{
	assert(r->id && r->state && r->reason && r->kernel);
	return 0;
}

int store_delete(struct store *s, const char *id, struct err *err)
{
	abort(); /* nothing that a guest says removes a sandbox */
}

int store_event_put(
	struct store *s, const char *id, const struct event *e, struct err *err)
{
	for (const char *c = e->text; *c; c++)
		assert(*c >= 0x20 && *c < 0x7f);
	for (const char *c = e->type; *c; c++)
		assert((*c >= 'a' && *c <= 'z') || *c == '.');
	assert(*e->type && strlen(e->type) <= 32);
	return 0;
}

int store_proc_put(struct store *s, const char *owner, const char *role,
	const struct proc_id *id, struct err *err)
{
	return 0;
}

int store_proc_clear(struct store *s, const char *owner, struct err *err)
{
	return 0;
}

void row_done(struct row *r)
{
	free(r->id);
	free(r->name);
	free(r->spec);
	free(r->state);
	free(r->reason);
	free(r->digest);
	free(r->kernel);
	free(r->engine);
}

static struct daemon d;
static struct sandbox *sb;

static void clean_up(void)
{
	sandbox_free(sb);
	loop_done(&d.loop);
}

static void set_up(void)
{
	/* Where not even root can make one. */
	static char none[] = "/proc/nonexistent";
	struct spec spec = {.name = xstrdup("fuzz"),
		.template = xstrdup("shell"),
		.engine = xstrdup("auto"),
		.env = json_object()};
	int r;

	log_init("fuzz", LOG_L_ERROR);
	if (loop_init(&d.loop) < 0)
		abort();
	d.backend = &backend;
	d.paths = (struct paths){none, none, none, none};
	list_init(&d.sandboxes);
	list_init(&d.jobs);
	list_init(&d.conns);
	r = sandbox_create(&d, &spec, &sb, NULL);
	assert(r == 0);
	sb->row.fresh = false;
	atexit(clean_up);
}

static void stop_now(struct loop *l, struct task *t)
{
	loop_stop(l, 0);
}

static void spin(void)
{
	struct task t = {0};

	loop_defer(&d.loop, &t, stop_now);
	(void)loop_run(&d.loop);
}

static void check(void)
{
	for (const char *c = sb->row.kernel; *c; c++)
		assert(*c >= 0x20 && *c < 0x7f);
	for (const char *c = sb->row.reason; *c; c++)
		assert(*c >= 0x20 && *c < 0x7f);
	assert(streq(sb->row.state, state_name(sb->state)));
	assert(sb->state == SB_STARTING || sb->state == SB_RUNNING ||
		sb->state == SB_FAILED || sb->state == SB_UNRESPONSIVE);
}

static void begin_again(void)
{
	sb->state = SB_STARTING;
	sb->err = (struct err){0};
	free(sb->row.state);
	sb->row.state = xstrdup(state_name(SB_STARTING));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t sink[4096];
	int fd[2];
	ssize_t n;

	if (!sb)
		set_up();
	begin_again();
	sb->event_tokens = 2;
	sb->event_ms = now_ms();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) < 0)
		return 0;
	control_accept(sb, fd[1]);
	while (size > 0) {
		n = write(fd[0], data, MIN(size, (size_t)16384));
		if (n <= 0)
			break;
		data += n;
		size -= (size_t)n;
		spin();
		while (read(fd[0], sink, sizeof(sink)) > 0)
			;
	}
	close(fd[0]);
	spin();
	spin();
	check();
	control_close(sb);
	loop_untimer(&d.loop, &sb->boot);
	spin();
	return 0;
}
