/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/request.h"
#include "wire/agent.h"
#include <errno.h>
#include <string.h>

/*
 * What a login shell is depends on the template, so the template's own sh finds
 * out. exec: the shell is the session's process and gets its signals.
 */
static const char find_shell[] =
	"[ -x \"$SHELL\" ] && exec \"$SHELL\" -l; "
	"[ -x /bin/bash ] && exec /bin/bash -l; exec /bin/sh -l";
static const char *const login_shell[] = {"/bin/sh", "-c", find_shell};

static uint32_t flags_of(const struct exec_request *req)
{
	return (req->tty ? EX_TTY : 0) | (req->stdin_open ? EX_STDIN : 0) |
		(req->detached ? EX_DETACHED : 0);
}

static int put_strings(
	struct buf *b, uint16_t tag, const char *const *v, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = tlv_put_str(b, tag, v[i]);
	return r;
}

static int put_tty(struct buf *b, const struct exec_request *req)
{
	_cleanup_free_ char *term =
		xasprintf("TERM=%s", req->term ? req->term : "xterm-256color");
	int r = tlv_put_str(b, AT_ENV, term);

	if (r == 0 && req->rows)
		r = tlv_put_u32(b, AT_ROWS, req->rows);
	if (r == 0 && req->cols)
		r = tlv_put_u32(b, AT_COLS, req->cols);
	return r;
}

static int put_run(struct buf *b, const struct exec_request *req)
{
	int r;

	if (req->argc)
		r = put_strings(
			b, AT_ARG, (const char *const *)req->argv, req->argc);
	else
		r = put_strings(
			b, AT_ARG, login_shell, ARRAY_SIZE(login_shell));
	/* The person's own TERM comes later and wins. */
	if (r == 0 && req->tty)
		r = put_tty(b, req);
	if (r == 0)
		r = put_strings(
			b, AT_ENV, (const char *const *)req->env, req->n_env);
	if (r == 0 && req->cwd)
		r = tlv_put_str(b, AT_CWD, req->cwd);
	if (r == 0 && req->user)
		r = tlv_put_str(b, AT_USER, req->user);
	return r == 0 ? tlv_put_u32(b, AT_FLAGS, flags_of(req)) : r;
}

static int check_strings(
	const char *what, char *const *v, size_t n, struct err *err)
{
	if (n > AGENT_ARGV_MAX)
		return err_set(err, E2BIG, "too many %ss: %zu, at most %u",
			what, n, AGENT_ARGV_MAX);
	for (size_t i = 0; i < n; i++)
		if (strlen(v[i]) > AGENT_STR_MAX)
			return err_set(err, E2BIG,
				"%s %zu is too long: %zu bytes, at most %u; "
				"pass it through standard input or a file",
				what, i + 1, strlen(v[i]), AGENT_STR_MAX);
	return 0;
}

int request_put_exec(
	struct buf *out, const struct exec_request *req, struct err *err)
{
	_cleanup_(buf_done) struct buf body;
	int r = check_strings("argument", req->argv, req->argc, err);

	if (r == 0)
		r = check_strings("variable", req->env, req->n_env, err);
	buf_init(&body, FRAME_MAX);
	if (r < 0)
		return r;
	r = req->attach ? tlv_put_u32(&body, AT_ID, req->id)
			: put_run(&body, req);
	if (r < 0)
		return err_set(err, E2BIG,
			"the command line is too long: at most %u bytes in "
			"all; pass the rest through standard input or a file",
			FRAME_MAX);
	r = frame_put(out, req->attach ? AF_ATTACH : AF_EXEC, buf_head(&body),
		buf_len(&body));
	return r < 0 ? err_sys(err, -r, "cannot send the command") : 0;
}

int request_put_signal(struct buf *out, uint32_t id, int signo)
{
	_cleanup_(buf_done) struct buf body;
	int r;

	buf_init(&body, 256);
	r = tlv_put_u32(&body, AT_ID, id);
	if (r == 0)
		r = tlv_put_u32(&body, AT_SIGNO, (uint32_t)signo);
	return r == 0
		? frame_put(out, AF_SIGNAL, buf_head(&body), buf_len(&body))
		: r;
}

int request_put_winsize(struct buf *out, uint32_t rows, uint32_t cols)
{
	_cleanup_(buf_done) struct buf body;
	int r;

	buf_init(&body, 256);
	r = tlv_put_u32(&body, AT_ROWS, rows);
	if (r == 0)
		r = tlv_put_u32(&body, AT_COLS, cols);
	return r == 0
		? frame_put(out, AF_WINSIZE, buf_head(&body), buf_len(&body))
		: r;
}

int request_put_list(struct buf *out)
{
	return frame_put(out, AF_LIST, NULL, 0);
}
