/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sessions.h"
#include "base/fd.h"
#include "cli/api.h"
#include "cli/request.h"
#include "cli/text.h"
#include "copy/reply.h"
#include "wire/agent.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static json_t *text_or_empty(const struct tlv *t)
{
	_cleanup_free_ char *raw = xstrndup((const char *)t->p, t->len);
	_cleanup_free_ char *safe = text_safe(raw);

	return json_string(safe);
}

static int take_field(const struct tlv *t, json_t *o, json_t *argv)
{
	static const struct {
		uint16_t tag;
		const char *key;
	} numbers[] = {{AT_ID, "id"}, {AT_PID, "pid"}, {AT_STATUS, "status"}};
	uint32_t v;

	if (t->tag == AT_ARG)
		return json_array_append_new(argv, text_or_empty(t));
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (numbers[i].tag != t->tag)
			continue;
		if (tlv_u32(t, &v) < 0)
			return -EBADMSG;
		return json_object_set_new(o, numbers[i].key, json_integer(v));
	}
	return 0;
}

json_t *sessions_parse(const struct frame *f)
{
	struct tlv_iter it = tlv_iter(f->p, f->len);
	json_t *o = json_pack(
		"{s:n, s:n, s:n, s:[]}", "id", "pid", "status", "argv");
	json_t *argv = json_object_get(o, "argv");
	struct tlv t;
	int r;

	while ((r = tlv_next(&it, &t)) == 1)
		if (take_field(&t, o, argv) < 0)
			break;
	if (r != 0 || !json_is_integer(json_object_get(o, "id"))) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static int nonsense(struct err *err)
{
	return err_set(err, EPROTO, "the sandbox's agent sent no list");
}

/* 1 the list is complete, 0 go on. */
static int take_frame(const struct frame *f, json_t *list, struct err *err)
{
	if (f->type == AF_DONE)
		return 1;
	if (f->type == AF_FAILED)
		return reply_take_failed(f, err);
	json_t *one = f->type == AF_SESSION ? sessions_parse(f) : NULL;
	if (!one || json_array_size(list) == SESSIONS_LIST_MAX) {
		json_decref(one);
		return nonsense(err);
	}
	json_array_append_new(list, one);
	return 0;
}

static int receive(int fd, struct buf *in, json_t *list, struct err *err)
{
	for (;;) {
		struct frame f;
		int r = frame_peek(in, &f);
		if (r < 0)
			return nonsense(err);
		if (r > 0) {
			r = take_frame(&f, list, err);
			if (r != 0)
				return r < 0 ? r : 0;
			buf_consume(in, FRAME_HEAD + f.len);
			continue;
		}
		if (buf_read_fd(in, fd, 4096) <= 0)
			return err_set(err, EPIPE,
				"lost the connection to the sandbox");
	}
}

static int fetch(
	struct cli *cli, const char *sandbox, json_t *list, struct err *err)
{
	_cleanup_(buf_done) struct buf in;
	_cleanup_(buf_done) struct buf out;
	_cleanup_close_ int fd = -1;
	struct api api = {.cli = cli};

	buf_init(&in, 4 * FRAME_MAX);
	buf_init(&out, 256);
	int r = api_exec(&api, sandbox, NULL, &fd, &in, err);
	if (r < 0)
		return r;
	r = request_put_list(&out);
	if (r == 0)
		r = fd_write_all(fd, buf_head(&out), buf_len(&out));
	if (r < 0)
		return err_sys(err, -r, "cannot ask the sandbox");
	return receive(fd, &in, list, err);
}

static char *join(const json_t *argv)
{
	char *line = xstrdup("");
	const json_t *it;
	size_t i;

	json_array_foreach (argv, i, it) {
		_cleanup_free_ char *word = text_shell(json_string_value(it));
		char *more = xasprintf("%s%s%s", line, i ? " " : "", word);
		free(line);
		line = more;
	}
	return line;
}

static void print_table(const json_t *list)
{
	static const char *const heads[] = {
		"SESSION", "PID", "STATE", "COMMAND"};
	struct table t;
	const json_t *it;
	size_t i;

	table_heads(&t, heads, ARRAY_SIZE(heads));
	json_array_foreach (list, i, it) {
		const json_t *status = json_object_get(it, "status");
		_cleanup_free_ char *id = xasprintf("%" PRIu64, ju64(it, "id"));
		_cleanup_free_ char *pid =
			xasprintf("%" PRIu64, ju64(it, "pid"));
		_cleanup_free_ char *state = json_is_integer(status)
			? xasprintf("exit %" JSON_INTEGER_FORMAT,
				  json_integer_value(status))
			: xstrdup("running");
		_cleanup_free_ char *line = join(json_object_get(it, "argv"));
		table_cell(&t, id);
		table_cell(&t, pid);
		table_cell(&t, state);
		table_cell(&t, line);
	}
	table_print(&t);
	table_done(&t);
}

int sessions_print(struct cli *cli, const char *sandbox, bool json)
{
	json_t *list = json_array();
	struct err err = {0};
	int r = fetch(cli, sandbox, list, &err);

	if (r == 0 && json) {
		json_t *o = json_pack("{s:O}", "sessions", list);
		text_json(o);
		json_decref(o);
	} else if (r == 0) {
		print_table(list);
	}
	json_decref(list);
	return r < 0 ? cli_fail(&err) : CLI_OK;
}
