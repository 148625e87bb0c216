/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"
#include "cli/commands.h"
#include "cli/sandbox.h"
#include "cli/text.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>

struct logs_opts {
	bool help;
	bool follow;
	bool json;
	const char *source;
};

static const struct opt opts[] = {
	{"json", 0, OPT_FLAG, offsetof(struct logs_opts, json), NULL,
		"print the events as JSON", 0, 0, NULL},
	{"follow", 'f', OPT_FLAG, offsetof(struct logs_opts, follow), NULL,
		"go on as more arrives", 0, 0, NULL},
	{"source", 's', OPT_STR, offsetof(struct logs_opts, source), "SOURCE",
		"events (default), or console: what the kernel said", 0, 0,
		"events console"},
};

/*
 * The console is the guest's to write: on a terminal nothing of it may be a
 * control sequence. Files and pipes get the bytes as they are.
 */
static int show(void *arg, const uint8_t *p, size_t len)
{
	const bool *terminal = arg;

	if (!*terminal)
		return fd_write_all(STDOUT_FILENO, p, len);
	_cleanup_free_ char *safe = text_safe_lines((const char *)p, len);
	fputs(safe, stdout);
	return fflush(stdout) ? -errno : 0;
}

static int print_json(const struct call *call)
{
	struct api api = {.cli = call->cli};
	struct err err = {0};
	json_t *answer;
	_cleanup_free_ char *path =
		sandbox_path(call->argv[0], "/events", &err);

	if (!path || api_get(&api, path, &answer, &err) < 0)
		return cli_fail(&err);
	text_json(answer);
	json_decref(answer);
	return CLI_OK;
}

static int run(const struct call *call)
{
	const struct logs_opts *o = call->opts;
	const char *source = o->source ? o->source : "events";
	struct api api = {.cli = call->cli};
	struct err err = {0};
	bool terminal = isatty(STDOUT_FILENO);

	if (!streq(source, "events") && !streq(source, "console"))
		return cli_usage(call->cli,
			"--source: '%s' is not events or console", source);
	if (o->json && (o->follow || !streq(source, "events")))
		return cli_usage(call->cli,
			"--json prints the events there are: no -f, no "
			"--source console");
	if (o->json)
		return print_json(call);
	_cleanup_free_ char *tail = xasprintf(
		"/logs?source=%s%s", source, o->follow ? "&follow=1" : "");
	_cleanup_free_ char *path = sandbox_path(call->argv[0], tail, &err);
	if (!path)
		return cli_fail(&err);
	int r = api_stream(
		&api, "GET", path, NULL, "text/plain", show, &terminal, &err);
	if (r == -EPIPE && !err.code)
		return 128 + SIGPIPE;
	if (r < 0 && !err.code)
		err_sys(&err, -r, "cannot write to standard output");
	return r < 0 ? cli_fail(&err) : CLI_OK;
}

const struct command cmd_logs = {
	.name = "logs",
	.args = "NAME",
	.help = "show what happened to a sandbox",
	.about = "Prints the events of a sandbox (created, started, limits "
		 "that struck, why it ended), or with --source console the "
		 "newest output of its kernel's console.",
	.opts = opts,
	.n_opts = ARRAY_SIZE(opts),
	.opts_size = sizeof(struct logs_opts),
	.min_args = 1,
	.max_args = 1,
	.complete = "sandbox",
	.run = run,
};
