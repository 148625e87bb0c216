/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sandbox.h"
#include "cli/name.h"
#include "cli/progress.h"
#include "cli/text.h"
#include <errno.h>
#include <string.h>

#define LINE_MAX_BYTES (1024u * 1024u)

char *sandbox_path(const char *name, const char *tail, struct err *err)
{
	if (name_check(name, err) < 0)
		return NULL;
	return xasprintf("/v1/sandboxes/%s%s", name, tail);
}

int sandbox_get(
	const struct api *api, const char *name, json_t **ret, struct err *err)
{
	_cleanup_free_ char *path = sandbox_path(name, "", err);

	return path ? api_get(api, path, ret, err) : -EINVAL;
}

int sandbox_list(const struct api *api, json_t **ret, struct err *err)
{
	json_t *answer;
	int r = api_get(api, "/v1/sandboxes", &answer, err);

	if (r < 0)
		return r;
	json_t *list = json_incref(json_object_get(answer, "sandboxes"));
	json_decref(answer);
	if (!json_is_array(list)) {
		json_decref(list);
		return err_set(
			err, EPROTO, "coved's answer has no list of sandboxes");
	}
	*ret = list;
	return 0;
}

/* The lines of a creation: progress, then what was made or one error. */
struct creation {
	struct buf line;
	struct progress progress;
	const char *what; /* "sandbox" */
	json_t *made;
	struct err err;
};

static int take_line(struct creation *c, const char *p, size_t len)
{
	json_t *line = json_loadb(p, len, JSON_REJECT_DUPLICATES, NULL);
	json_t *e = json_object_get(line, "error");
	json_t *sandbox = json_object_get(line, c->what);
	int r = 0;

	if (e) {
		r = err_set(&c->err, api_errno(jstr(e, "code")), "%s",
			jstr(e, "message"));
	} else if (json_is_object(sandbox)) {
		json_decref(c->made);
		c->made = json_incref(sandbox);
	} else if (line) {
		progress_json(&c->progress, json_object_get(line, "progress"));
	} else {
		r = err_set(&c->err, EPROTO,
			"coved's progress is not JSON; see: cove version");
	}
	json_decref(line);
	return r;
}

static int take_piece(void *arg, const uint8_t *p, size_t len)
{
	struct creation *c = arg;

	if (buf_put(&c->line, p, len) < 0)
		return err_set(&c->err, EPROTO,
			"coved's progress is too long; see: cove version");
	for (;;) {
		const char *head = (const char *)buf_head(&c->line);
		const char *nl = memchr(head, '\n', buf_len(&c->line));
		if (!nl)
			return 0;
		size_t n = (size_t)(nl - head);
		int r = n ? take_line(c, head, n) : 0;
		if (r < 0)
			return r;
		buf_consume(&c->line, n + 1);
	}
}

static int follow(struct cli *cli, const char *path, const json_t *body,
	struct creation *c)
{
	struct api api = {
		.cli = cli, .tick = progress_tick, .tick_arg = &c->progress};
	int r = api_stream(&api, "POST", path, body, "application/x-ndjson",
		take_piece, c, &c->err);

	/* The last line may come without its newline. */
	if (r == 0 && buf_len(&c->line))
		r = take_line(
			c, (const char *)buf_head(&c->line), buf_len(&c->line));
	if (r == 0 && !c->made)
		r = err_set(&c->err, EPROTO,
			"coved stopped before the %s was ready; see: cove "
			"daemon status",
			c->what);
	return r;
}

int progress_call(struct cli *cli, const char *path, const json_t *body,
	const char *what, bool quiet, json_t **ret, struct err *err)
{
	struct creation c = {.what = what};

	buf_init(&c.line, LINE_MAX_BYTES);
	progress_init(&c.progress, quiet);
	int r = follow(cli, path, body, &c);
	progress_done(&c.progress);
	buf_done(&c.line);
	if (r < 0) {
		json_decref(c.made);
		return err_set(err, c.err.code, "%s", c.err.text);
	}
	*ret = c.made;
	return 0;
}

int sandbox_create(struct cli *cli, const json_t *body, bool quiet,
	json_t **ret, struct err *err)
{
	return progress_call(
		cli, "/v1/sandboxes", body, "sandbox", quiet, ret, err);
}

int sandbox_start(
	struct cli *cli, const char *name, bool quiet, struct err *err)
{
	_cleanup_free_ char *path = sandbox_path(name, "/start", err);
	_cleanup_free_ char *text = NULL;
	struct progress progress;
	struct api api = {
		.cli = cli, .tick = progress_tick, .tick_arg = &progress};

	if (!path)
		return -EINVAL;
	text = xasprintf("starting %s", name);
	progress_init(&progress, quiet);
	progress_set(&progress, "start", text, 0, 0);
	int r = api_call(&api, "POST", path, NULL, NULL, err);
	progress_done(&progress);
	return r;
}

int sandbox_stop(const struct api *api, const char *name, uint64_t timeout_ms,
	struct err *err)
{
	_cleanup_free_ char *path = sandbox_path(name, "/stop", err);

	if (!path)
		return -EINVAL;
	json_t *body = json_pack("{s:I}", "timeout_ms", (json_int_t)timeout_ms);
	int r = api_call(api, "POST", path, body, NULL, err);
	json_decref(body);
	return r;
}

int sandbox_remove(
	const struct api *api, const char *name, bool force, struct err *err)
{
	_cleanup_free_ char *path =
		sandbox_path(name, force ? "?force=1" : "", err);

	return path ? api_call(api, "DELETE", path, NULL, NULL, err) : -EINVAL;
}
