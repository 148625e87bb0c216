/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/execute.h"
#include "cli/progress.h"
#include "cli/sandbox.h"
#include "cli/session.h"
#include "cli/signaler.h"
#include "cli/term.h"
#include "cli/text.h"
#include "wire/frame.h"
#include <errno.h>
#include <signal.h>

bool execute_on_terminal(void)
{
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

/* The stream is there once the sandbox runs: starting it may take a while. */
static int open_stream(struct cli *cli, const struct execution *x,
	const struct buf *ask, int *ret_fd, struct buf *early, struct err *err)
{
	_cleanup_free_ char *text = xasprintf("starting %s", x->shown);
	struct progress progress;
	struct api api = {
		.cli = cli, .tick = progress_tick, .tick_arg = &progress};

	progress_init(&progress, x->quiet);
	progress_set(&progress, "start", text, 0, 0);
	int r = api_exec(&api, x->sandbox, ask, ret_fd, early, err);
	progress_done(&progress);
	return r;
}

static char *what_became(const json_t *sb)
{
	const char *state = jstr(sb, "state");
	const char *reason = jstr(sb, "reason");
	const char *colon = *reason ? ": " : "";

	if (streq(state, "failed"))
		return xasprintf("failed%s%s", colon, reason);
	if (streq(state, "stopped") || streq(state, "stopping"))
		return xasprintf("was stopped%s%s", colon, reason);
	return xasprintf("is %s%s%s", state, colon, reason);
}

/* Why a stream may have ended in the middle; coved knows, if it is there. */
static int explain_loss(struct cli *cli, const struct execution *x)
{
	struct api api = {
		.cli = cli, .no_start = true, .timeout_ms = API_QUICK_MS};
	json_t *sb = NULL;
	struct err err = {0};
	int r = sandbox_get(&api, x->sandbox, &sb, &err);

	if (r == -ENOTCONN) {
		cli_note("coved ended, and the command in '%s' was told to "
			 "hang up; the sandbox itself runs on",
			x->shown);
		return CLI_BROKEN;
	}
	if (r < 0) {
		cli_note("lost the command in '%s': %s", x->shown, err.text);
		return CLI_BROKEN;
	}
	_cleanup_free_ char *became = what_became(sb);
	cli_note("lost the command: sandbox '%s' %s\nSee: cove logs %s",
		x->shown, became, x->shown);
	json_decref(sb);
	return CLI_BROKEN;
}

static int conclude(struct cli *cli, const struct execution *x,
	const struct session_result *res)
{
	switch (res->end) {
	case SESSION_EXITED:
		return res->status;
	case SESSION_LEFT:
		cli_note("left the command; it was told to hang up");
		return res->status;
	case SESSION_FAILED:
	case SESSION_BROKEN:
		return cli_fail(&res->err);
	case SESSION_DETACHED:
		cli_note("detached; return with: cove exec --attach %u %s",
			res->id, x->shown);
		return CLI_OK;
	case SESSION_STARTED:
		return CLI_OK;
	case SESSION_PIPE:
		return 128 + SIGPIPE;
	case SESSION_LOST:
		break;
	}
	return explain_loss(cli, x);
}

static int talk(struct cli *cli, struct execution *x, int fd, struct buf *early,
	struct session_result *res, struct err *err)
{
	struct session s = {.req = &x->req,
		.stream = fd,
		.early = early,
		.asked = true,
		.fds = {STDIN_FILENO,
			x->stdout_fd ? x->stdout_fd : STDOUT_FILENO,
			STDERR_FILENO}};
	struct signaler signaler;
	int r = keys_parse(
		x->detach_keys ? x->detach_keys : DETACH_KEYS_DEFAULT, &s.keys,
		err);

	if (r < 0)
		return r;
	signaler_init(&signaler, cli, x->sandbox);
	s.send_signal = signaler_send;
	s.signal_arg = &signaler;
	s.raw = x->req.tty && x->req.stdin_open && isatty(STDIN_FILENO);
	session_run(&s, res);
	signaler_done(&signaler);
	bool cut = res->end != SESSION_EXITED && res->end != SESSION_FAILED;
	if (s.raw && cut)
		term_tidy(STDOUT_FILENO);
	return 0;
}

int execute(struct cli *cli, struct execution *x, uint32_t *ret_id)
{
	_cleanup_(buf_done) struct buf ask, early;
	_cleanup_close_ int fd = -1;
	struct session_result res = {0};
	struct err err = {0};

	*ret_id = 0;
	buf_init(&ask, FRAME_HEAD + FRAME_MAX);
	buf_init(&early, HTTP_HEAD_MAX * 4);
	if (x->req.tty) {
		x->req.term = term_name(getenv("TERM"));
		if (term_size(STDOUT_FILENO, &x->req.rows, &x->req.cols) < 0)
			(void)term_size(
				STDIN_FILENO, &x->req.rows, &x->req.cols);
	}
	int r = request_put_exec(&ask, &x->req, &err);
	if (r == 0)
		r = open_stream(cli, x, &ask, &fd, &early, &err);
	if (r == 0)
		r = talk(cli, x, fd, &early, &res, &err);
	if (r < 0)
		return cli_fail(&err);
	*ret_id = res.id;
	return conclude(cli, x, &res);
}
