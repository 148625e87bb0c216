/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of gates and their answers; docs/network.md. */
#include "daemon/api.h"

#include "daemon/ask.h"

#include <errno.h>
#include <string.h>

/* A client that waits until there is something to answer. */
struct wait {
	struct ask_waiter w;
	struct conn *c;
	struct daemon *d;
	char only_id[64]; /* looked up again: it may go meanwhile; "": all */
};

static void answer(struct request *rq, const struct sandbox *only)
{
	conn_reply(rq->c, 200,
		json_pack("{s:o}", "pending", ask_json(rq->d, only)));
}

static void on_gone(void *op)
{
	struct wait *w = op;

	list_del(&w->w.link);
	free(w);
}

static void on_ask(struct ask_waiter *aw)
{
	struct wait *w = container_of(aw, struct wait, w);
	struct sandbox *only =
		w->only_id[0] ? sandbox_find(w->d, w->only_id) : NULL;
	json_t *list = ask_json(w->d, only);

	if (w->only_id[0] && only && json_array_size(list) == 0) {
		json_decref(list);
		list_add_tail(&w->d->ask_waiters, &w->w.link);
		return;
	}
	conn_unwait(w->c);
	conn_reply(w->c, 200, json_pack("{s:o}", "pending", list));
	free(w);
}

void api_ask_pending(struct request *rq)
{
	_cleanup_json_ json_t *now = NULL;
	struct sandbox *only;
	struct wait *w;
	bool wait;

	if (api_query_scope(rq, &only) < 0 || api_flag(rq, "wait", &wait) < 0)
		return;
	now = ask_json(rq->d, only);
	if (!wait || json_array_size(now) > 0) {
		answer(rq, only);
		return;
	}
	w = xnew(struct wait);
	w->c = rq->c;
	w->d = rq->d;
	w->w.fn = on_ask;
	if (only)
		memcpy(w->only_id, only->row.id,
			MIN(strlen(only->row.id), sizeof(w->only_id) - 1));
	list_add_tail(&rq->d->ask_waiters, &w->w.link);
	conn_wait(rq->c, w, on_gone);
}

struct body {
	char *what;
	char *sandbox;
	char *how;
	bool allow;
};

static const struct field fields[] = {
	{"what", FIELD_STR, offsetof(struct body, what), 1, 300,
		.required = true},
	{"allow", FIELD_BOOL, offsetof(struct body, allow), .required = true},
	{"sandbox", FIELD_STR, offsetof(struct body, sandbox), 0, 255},
	{"how", FIELD_STR, offsetof(struct body, how), 0, 16},
};

static int read_how(const char *text, enum ask_how *ret, struct err *err)
{
	static const char *const words[] = {"once", "session", "always"};

	*ret = ASK_ONCE;
	for (size_t i = 0; text && *text && i < ARRAY_SIZE(words); i++) {
		if (!streq(words[i], text))
			continue;
		*ret = (enum ask_how)i;
		return 0;
	}
	if (!text || !*text)
		return 0;
	return err_set(
		err, EINVAL, "'%s' is not once, session or always", text);
}

void api_ask_answer(struct request *rq)
{
	_cleanup_json_ json_t *none = json_object();
	struct body b = {0};
	struct sandbox *only = NULL;
	enum ask_how how = ASK_ONCE;
	struct err err = {0};
	unsigned n = 0;
	int r, named = 0;

	r = fields_read(rq->body ? rq->body : none, fields, ARRAY_SIZE(fields),
		&b, &err);
	r = r ? r : read_how(b.how, &how, &err);
	if (r == 0)
		named = api_scope(rq, b.sandbox, &only);
	if (r == 0 && named >= 0)
		r = ask_answer(rq->d, only, b.what, b.allow, how, &n, &err);
	if (named >= 0 && r < 0)
		conn_fail(rq->c, &err);
	else if (named >= 0)
		conn_reply(rq->c, 200, json_pack("{s:i}", "answered", (int)n));
	free(b.what);
	free(b.sandbox);
	free(b.how);
}
