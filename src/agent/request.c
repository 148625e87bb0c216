/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/request.h"

#include "wire/agent.h"
#include <errno.h>
#include <string.h>

#define SIGNO_MAX 64u
#define SIZE_MAX_TTY 65535u

static int take_str(const struct tlv *t, size_t max, char **ret)
{
	char *s;
	int r = tlv_str(t, max, &s);

	if (r < 0)
		return r;
	free(*ret);
	*ret = s;
	return 0;
}

static int take_arg(const struct tlv *t, struct strv *argv)
{
	char *s;
	int r = tlv_str(t, AGENT_STR_MAX, &s);

	return r < 0 ? r : strv_add(argv, s);
}

static int take_env(const struct tlv *t, struct strv *env)
{
	char *s;
	int r = tlv_str(t, AGENT_STR_MAX, &s);

	return r < 0 ? r : strv_setenv(env, s);
}

static int take_field(const struct tlv *t, struct request *q)
{
	switch (t->tag) {
	case AT_ARG:
		return take_arg(t, &q->argv);
	case AT_ENV:
		return take_env(t, &q->env);
	case AT_CWD:
		return take_str(t, AGENT_PATH_MAX - 1, &q->cwd);
	case AT_USER:
		return take_str(t, AGENT_NAME_MAX, &q->user);
	case AT_PATH:
		return take_str(t, AGENT_PATH_MAX - 1, &q->path);
	case AT_FLAGS:
		return tlv_u32(t, &q->flags);
	case AT_ID:
		return tlv_u32(t, &q->id);
	case AT_SIGNO:
		return tlv_u32(t, &q->signo);
	case AT_ROWS:
		return tlv_u32(t, &q->rows);
	case AT_COLS:
		return tlv_u32(t, &q->cols);
	default:
		return 0;
	}
}

static int check(uint8_t type, const struct request *q, struct err *err)
{
	if (type == AF_EXEC && (!q->argv.n || !q->argv.v[0][0]))
		return err_set(err, EINVAL, "exec: no command");
	if (type == AF_EXEC &&
		(q->rows > SIZE_MAX_TTY || q->cols > SIZE_MAX_TTY))
		return err_set(err, EINVAL, "exec: impossible terminal size");
	if ((type == AF_ATTACH || type == AF_SIGNAL) && !q->id)
		return err_set(err, EINVAL, "no session id");
	if (type == AF_SIGNAL && (!q->signo || q->signo > SIGNO_MAX))
		return err_set(err, EINVAL, "no signal %u", q->signo);
	if ((type == AF_GET || type == AF_PUT) && (!q->path || !q->path[0]))
		return err_set(err, EINVAL, "no path");
	return 0;
}

int request_parse(uint8_t type, const void *p, size_t len, struct request *ret,
	struct err *err)
{
	struct tlv_iter it = tlv_iter(p, len);
	_cleanup_(request_done) struct request q = {0};
	struct tlv t;
	int r;

	while ((r = tlv_next(&it, &t)) == 1) {
		r = take_field(&t, &q);
		if (r < 0)
			return err_sys(err, -r, "request: field %u", t.tag);
	}
	if (r < 0)
		return err_set(err, EBADMSG, "request: malformed");
	r = check(type, &q, err);
	if (r < 0)
		return r;
	*ret = q;
	q = (struct request){0};
	return 0;
}

void request_done(struct request *r)
{
	strv_done(&r->argv);
	strv_done(&r->env);
	free(r->cwd);
	free(r->user);
	free(r->path);
	*r = (struct request){0};
}

int request_winsize(
	const void *p, size_t len, uint32_t *ret_rows, uint32_t *ret_cols)
{
	struct tlv_iter it = tlv_iter(p, len);
	uint32_t rows = 0, cols = 0;
	struct tlv t;
	int r;

	while ((r = tlv_next(&it, &t)) == 1) {
		if (t.tag == AT_ROWS)
			r = tlv_u32(&t, &rows);
		else if (t.tag == AT_COLS)
			r = tlv_u32(&t, &cols);
		if (r < 0)
			return r;
	}
	if (r < 0 || rows > SIZE_MAX_TTY || cols > SIZE_MAX_TTY)
		return -EBADMSG;
	*ret_rows = rows;
	*ret_cols = cols;
	return 0;
}
