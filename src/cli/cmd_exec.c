/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/execute.h"
#include "cli/keys.h"
#include "cli/name.h"
#include "cli/sessions.h"
#include "cli/spec.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

struct exec_opts {
	bool help;
	bool interactive;
	bool tty;
	bool detach;
	bool list;
	bool json;
	const char *user;
	const char *workdir;
	const char *detach_keys;
	struct opt_strs env;
	uint32_t attach;
};

static const struct opt opts[] = {
	{"interactive", 'i', OPT_FLAG, offsetof(struct exec_opts, interactive),
		NULL, "pass standard input on", 0, 0, NULL},
	{"tty", 't', OPT_FLAG, offsetof(struct exec_opts, tty), NULL,
		"give the command a terminal", 0, 0, NULL},
	{"user", 'u', OPT_STR, offsetof(struct exec_opts, user), "USER",
		"run as this user, user:group or uid; default agent", 0, 0,
		NULL},
	{"workdir", 'w', OPT_STR, offsetof(struct exec_opts, workdir), "DIR",
		"start in this directory of the sandbox", 0, 0, NULL},
	{"env", 'e', OPT_STRS, offsetof(struct exec_opts, env), "K=V",
		"set a variable; K alone copies the caller's", 0, 0, NULL},
	{"detach", 'd', OPT_FLAG, offsetof(struct exec_opts, detach), NULL,
		"leave it running and print its session number", 0, 0, NULL},
	{"attach", 0, OPT_U32, offsetof(struct exec_opts, attach), "SESSION",
		"return to a command that was left running", 1, 0, NULL},
	{"sessions", 0, OPT_FLAG, offsetof(struct exec_opts, list), NULL,
		"list the commands that run in the sandbox", 0, 0, NULL},
	{"json", 0, OPT_FLAG, offsetof(struct exec_opts, json), NULL,
		"with --sessions: print JSON", 0, 0, NULL},
	{"detach-keys", 0, OPT_STR, offsetof(struct exec_opts, detach_keys),
		"KEYS", "leave with these keys; default ctrl-p,ctrl-q", 0, 0,
		NULL},
};

/* NULL when the combination makes sense. */
static const char *conflict(const struct exec_opts *o, int n_words)
{
	if (o->list && (o->attach || n_words))
		return "--sessions takes only a sandbox";
	if (o->json && !o->list)
		return "--json goes with --sessions";
	if (o->attach &&
		(n_words || o->detach || o->user || o->workdir || o->env.n))
		return "--attach joins a command as it is: no command, user, "
		       "directory or variable";
	if (o->detach && o->interactive)
		return "-d leaves the command alone, so -i has nothing to read";
	if (!n_words && !o->list && !o->attach &&
		(o->detach || !execute_on_terminal()))
		return "needs a command; without one it opens a shell, which "
		       "needs a terminal";
	return NULL;
}

static int go(const struct call *call, struct execution *x)
{
	uint32_t id;
	int code = execute(call->cli, x, &id);

	if (x->req.detached && code == CLI_OK)
		printf("%" PRIu32 "\n", id);
	return code;
}

/* A shell, and a command that was left, are met on the terminal if we can. */
static bool on_terminal(const struct exec_opts *o, int n_words)
{
	if (o->attach)
		return !o->tty && !o->interactive && execute_on_terminal();
	return !n_words;
}

static int run(const struct call *call)
{
	const struct exec_opts *o = call->opts;
	char **words = call->argv + 1;
	int n = call->argc - 1;
	char **env;
	struct keys keys;
	struct err err = {0};

	/* "exec NAME -- CMD": parsing had stopped at NAME. */
	if (n > 0 && call->dashdash < 0 && streq(words[0], "--")) {
		words++;
		n--;
	}
	const char *why = conflict(o, n);
	if (why)
		return cli_usage(call->cli, "%s", why);
	struct execution x = {.sandbox = call->argv[0],
		.shown = call->argv[0],
		.detach_keys = o->detach_keys,
		.req = {.argv = words,
			.argc = (size_t)n,
			.cwd = o->workdir,
			.user = o->user,
			.tty = o->tty || on_terminal(o, n),
			.stdin_open = o->interactive || on_terminal(o, n),
			.detached = o->detach,
			.attach = o->attach != 0,
			.id = o->attach}};
	int r = name_check(x.sandbox, &err);
	if (r == 0 && o->detach_keys)
		r = keys_parse(o->detach_keys, &keys, &err);
	if (r < 0)
		return cli_refuse(call->cli, &err);
	if (o->list)
		return sessions_print(call->cli, x.sandbox, o->json);
	r = env_parse_all(&o->env, &env, &x.req.n_env, &err);
	if (r < 0)
		return cli_usage(call->cli, "%s", err.text);
	x.req.env = env;
	r = go(call, &x);
	env_free(env, x.req.n_env);
	return r;
}

const struct command cmd_exec = {
	.name = "exec",
	.args = "NAME CMD [ARG...]",
	.help = "run a command in a sandbox",
	.about =
		"Runs a command in a sandbox, which is started first if it is "
		"stopped. No shell is involved: arguments arrive as given. The "
		"exit code is the command's own, or 128 and the number of the "
		"signal that ended it.\n\n"
		"Without -t standard output and standard error stay apart and "
		"bytes are not changed. Ctrl-C reaches the command; a second "
		"one within a second leaves it. With -it the keys ctrl-p "
		"ctrl-q leave the command running. Without a command a login "
		"shell is opened.",
	.opts = opts,
	.n_opts = ARRAY_SIZE(opts),
	.opts_size = sizeof(struct exec_opts),
	.stop_at_operand = true,
	.min_args = 1,
	.max_args = -1,
	.complete = "sandbox",
	.run = run,
};
