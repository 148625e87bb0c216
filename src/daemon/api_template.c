/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates over the API. Making one is a job of cove-image whose progress is
 * passed on; it ends when the client leaves. What is in the cache is only
 * listed and removed here; nothing of an archive is read.
 */
#include "daemon/api.h"

#include "daemon/cache.h"
#include "daemon/job.h"
#include "daemon/names.h"
#include "daemon/prune.h"
#include "daemon/sandbox.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define REF_MAX 512u

/* A request that waits for cove-image. */
struct make {
	struct job_watcher w;
	struct task free_task;
	struct daemon *d;
	struct conn *c; /* NULL once answered or gone */
	bool stream;
	char *name;
};

static void free_later(struct loop *l, struct task *t)
{
	struct make *m = container_of(t, struct make, free_task);

	free(m->name);
	free(m);
}

static void on_gone(void *arg)
{
	struct make *m = arg;

	m->c = NULL;
	job_leave(&m->w);
	loop_defer(&m->d->loop, &m->free_task, free_later);
}

static void on_progress(struct job_watcher *w, const struct progress *p)
{
	struct make *m = container_of(w, struct make, w);
	json_t *j;

	/* A client that does not read misses progress, nothing else. */
	if (!m->stream || !m->c || conn_pending(m->c) > 64 * KIB)
		return;
	j = json_pack("{s:{s:o, s:o, s:I, s:I}}", "progress", "step",
		json_text(p->step), "text", json_text(p->text), "done",
		(json_int_t)p->done, "total", (json_int_t)p->total);
	(void)conn_chunk_json(m->c, j);
}

static void answer(struct make *m, json_t *line)
{
	struct conn *c = TAKE_PTR(m->c);

	conn_unwait(c);
	if (conn_chunk_json(c, line) < 0)
		conn_close(c);
	else
		conn_stream_end(c);
}

static void on_done(struct job_watcher *w, int r, const struct err *err)
{
	struct make *m = container_of(w, struct make, w);
	struct err why = {0};
	const char *code;
	json_t *t;

	loop_defer(&m->d->loop, &m->free_task, free_later);
	if (!m->c)
		return;
	t = r < 0 ? NULL : cache_template_json(&m->d->paths, m->name);
	if (r == 0 && !t)
		(void)err_set(&why, EIO, "template '%s' was not made", m->name);
	if (r < 0)
		(void)err_set(&why, EINVAL, "%s", err->text);
	if (!t) {
		(void)error_status(EINVAL, &code);
		code = "refused";
	}
	if (m->stream) {
		answer(m,
			t ? json_pack("{s:o}", "template", t)
			  : error_json(code, why.text));
		return;
	}
	if (t)
		conn_reply(TAKE_PTR(m->c), 201, t);
	else
		conn_error(TAKE_PTR(m->c), 422, code, why.text);
}

static bool wants_stream(const struct request *rq)
{
	return http_has_token(rq->head, "Accept", "application/x-ndjson") &&
		rq->head->minor == 1;
}

/* argv[0] is the program; the job is called after the template. */
static int begin(struct request *rq, const char *name, const char *const *argv,
	const char *what, const char *input, struct err *err)
{
	_cleanup_free_ char *key = xasprintf("template %s", name);
	const struct job_start js = {.key = key,
		.argv = argv,
		.step = what,
		.text = name,
		.input = input,
		/* what is saved is whole in the end, or not there */
		.theirs = !streq(what, "save")};
	struct make *m;
	int r;

	if (job_running(rq->d, key))
		return err_set(err, EBUSY,
			"template '%s' is being made just now; wait for it",
			name);
	m = xnew(struct make);
	m->d = rq->d;
	m->c = rq->c;
	m->stream = wants_stream(rq);
	m->name = xstrdup(name);
	m->w.done = on_done;
	job_watcher_init(&m->w);
	r = job_join(rq->d, &js, &m->w, err);
	if (r < 0) {
		free(m->name);
		free(m);
		return r;
	}
	conn_wait(rq->c, m, on_gone);
	if (m->stream)
		(void)conn_stream(rq->c, "application/x-ndjson");
	m->w.progress = on_progress;
	return 0;
}

struct make_request {
	char *from;
	char *source;
	char *name;
	char *image;
	char *origin;
	char *like;
	bool root;
	bool skip_devices;
};

static const struct field make_fields[] = {
	{"from", FIELD_STR, offsetof(struct make_request, from), 1, 32,
		.required = true},
	{"source", FIELD_STR, offsetof(struct make_request, source), 1, 4095,
		.required = true},
	{"name", FIELD_STR, offsetof(struct make_request, name), 1, 255,
		.required = true},
	{"image", FIELD_STR, offsetof(struct make_request, image), 0, 255},
	{"origin", FIELD_STR, offsetof(struct make_request, origin), 0, 255},
	{"like", FIELD_STR, offsetof(struct make_request, like), 0, 255},
	{"root", FIELD_BOOL, offsetof(struct make_request, root)},
	{"skip_devices", FIELD_BOOL,
		offsetof(struct make_request, skip_devices)},
};

static void make_request_done(struct make_request *q)
{
	free(q->from);
	free(q->source);
	free(q->name);
	free(q->image);
	free(q->origin);
	free(q->like);
}

/* cove-image's word for where it comes from; NULL for an unknown one. */
static const char *verb_of(const struct make_request *q)
{
	static const char *const verbs[][2] = {
		{"archive", "import"},
		{"registry", "pull"},
		{"template", "load"},
	};

	for (size_t k = 0; k < ARRAY_SIZE(verbs); k++)
		if (streq(q->from, verbs[k][0]))
			return verbs[k][1];
	return NULL;
}

static int check_make(const struct make_request *q, struct err *err)
{
	const char *verb = verb_of(q);
	int r = template_name_check(q->name, err);

	if (r == 0 && !verb)
		r = err_set(err, EINVAL,
			"'from' must be archive, registry or template");
	if (r < 0)
		return r;
	if (!streq(verb, "pull"))
		return path_check(q->source, "source", err);
	if (q->source[0] == '-' || strlen(q->source) > REF_MAX)
		return err_set(err, EINVAL, "'%.80s' is no image reference",
			q->source);
	return 0;
}

static int start_make(
	struct request *rq, const struct make_request *q, struct err *err)
{
	_cleanup_free_ char *program = NULL;
	_cleanup_free_ char *name = xasprintf("--name=%s", q->name);
	_cleanup_free_ char *image =
		xasprintf("--image=%s", q->image ? q->image : "");
	const char *verb = verb_of(q);
	_cleanup_free_ char *origin =
		xasprintf("--origin=%s", q->origin ? q->origin : "");
	_cleanup_free_ char *like =
		xasprintf("--like=%s", q->like ? q->like : "");
	const char *argv[12];
	char *credential = NULL;
	size_t n = 0;
	int r = paths_program("cove-image", &program, err);

	if (r == 0 && streq(verb, "pull"))
		r = registry_credential(rq->d, q->source, &credential, err);
	if (r < 0)
		return r;
	argv[n++] = program;
	argv[n++] = verb;
	argv[n++] = "--json";
	argv[n++] = name;
	if (streq(verb, "import")) {
		argv[n++] = image;
		argv[n++] = origin;
		argv[n++] = like;
	}
	if (q->root && streq(verb, "import"))
		argv[n++] = "--root";
	if (q->skip_devices && !streq(verb, "load"))
		argv[n++] = "--skip-devices";
	if (credential)
		argv[n++] = "--credential";
	argv[n++] = q->source;
	argv[n] = NULL;
	r = begin(rq, q->name, argv, verb, credential, err);
	if (credential)
		explicit_bzero(credential, strlen(credential));
	free(credential);
	return r;
}

void api_template_make(struct request *rq)
{
	_cleanup_(make_request_done) struct make_request q = {0};
	_cleanup_json_ json_t *none = json_object();
	struct err err = {0};
	int r = fields_read(rq->body ? rq->body : none, make_fields,
		ARRAY_SIZE(make_fields), &q, &err);

	if (r == 0)
		r = check_make(&q, &err);
	if (r == 0)
		r = start_make(rq, &q, &err);
	if (r < 0)
		conn_fail(rq->c, &err);
}

/* "path": a file that cove-image writes. */
void api_template_save(struct request *rq)
{
	struct {
		char *path;
	} q = {NULL};
	static const struct field fields[] = {
		{"path", FIELD_STR, 0, 1, 4095, .required = true}};
	_cleanup_json_ json_t *none = json_object();
	_cleanup_free_ char *program = NULL, *output = NULL;
	struct err err = {0};
	int r = fields_read(rq->body ? rq->body : none, fields, 1, &q, &err);

	if (r == 0)
		r = template_name_check(rq->name, &err);
	if (r == 0)
		r = path_check(q.path, "path", &err);
	if (r == 0)
		r = paths_program("cove-image", &program, &err);
	if (r == 0) {
		output = xasprintf("--output=%s", q.path);
		const char *const argv[] = {
			program, "save", "--json", output, rq->name, NULL};

		r = begin(rq, rq->name, argv, "save", NULL, &err);
	}
	free(q.path);
	if (r < 0)
		conn_fail(rq->c, &err);
}

static json_t *users_of(struct daemon *d, const char *digest)
{
	json_t *list = json_array();

	list_for_each (it, &d->sandboxes) {
		struct sandbox *sb = list_entry(it, struct sandbox, link);

		if (streq(sb->row.digest, digest))
			json_array_append_new(list, json_text(sb->row.name));
	}
	return list;
}

static void not_found(struct request *rq)
{
	char text[400];

	(void)snprintf(text, sizeof(text),
		"no template named '%.255s'; see: cove template ls", rq->name);
	conn_error(rq->c, 404, "not_found", text);
}

void api_template_get(struct request *rq)
{
	json_t *t = NULL;

	if (template_name_check(rq->name, NULL) == 0)
		t = cache_template_detail(&rq->d->paths, rq->name);
	if (!t) {
		not_found(rq);
		return;
	}
	json_object_set_new(t, "sandboxes",
		users_of(rq->d,
			json_string_value(json_object_get(t, "digest"))));
	conn_reply(rq->c, 200, t);
}

/* The name goes at once, what nobody needs any more with it. */
void api_template_delete(struct request *rq)
{
	_cleanup_free_ char *digest = NULL;
	_cleanup_json_ json_t *users = NULL;
	struct err err = {0};
	uint64_t bytes = 0;
	int r = template_name_check(rq->name, &err);

	if (r == 0)
		r = cache_template_digest(
			&rq->d->paths, rq->name, &digest, &err);
	if (r == 0 || r == -EINVAL) {
		not_found(rq);
		return;
	}
	/* a damaged one is removed as well */
	r = cache_template_unname(&rq->d->paths, rq->name, &err);
	if (r < 0) {
		conn_fail(rq->c, &err);
		return;
	}
	if (digest)
		bytes = prune_template(rq->d, digest);
	log_info("template removed name=%s", rq->name);
	users = users_of(rq->d, digest ? digest : "");
	conn_reply(rq->c, 200,
		json_pack("{s:I, s:O}", "bytes", (json_int_t)bytes, "sandboxes",
			users));
}
