/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cove docker NAME -- ARGS: the docker CLI against a sandbox's own daemon. The
 * guest's CLI by default: every sandbox has the same one, with compose and
 * buildx, and the host needs none. With --host the caller's own.
 */
#include "cli/commands.h"
#include "cli/execute.h"
#include "cli/sandbox.h"
#include "cli/text.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

struct docker_opts {
	bool help;
	bool host;
};

static const struct opt opts[] = {
	{"host", 0, OPT_FLAG, offsetof(struct docker_opts, host), NULL,
		"run this host's docker CLI, on the sandbox's socket", 0, 0,
		NULL},
};

int docker_host(const json_t *sb, char **ret, struct err *err)
{
	const char *path = jstr(sb, "docker_socket");

	if (!*path)
		return err_set(err, EPROTO,
			"this coved has no sockets for Docker; restart it: "
			"cove daemon restart");
	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return err_set(err, ENAMETOOLONG,
			"the socket's path is too long for other programs: "
			"%s; use a shorter COVE_HOME, or cove docker without "
			"--host",
			path);
	*ret = xasprintf("unix://%s", path);
	return 0;
}

/* What would turn the CLI to another daemon. */
static const char *const others[] = {"DOCKER_CONTEXT", "DOCKER_TLS",
	"DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_API_VERSION"};

static int run_here(struct cli *cli, const json_t *sb, char **words, int n)
{
	_cleanup_free_ char *host = NULL;
	_cleanup_free_ const char **argv =
		xcalloc((size_t)n + 2, sizeof(*argv));
	struct err err = {0};

	if (docker_host(sb, &host, &err) < 0)
		return cli_refuse(cli, &err);
	argv[0] = "docker";
	for (int i = 0; i < n; i++)
		argv[i + 1] = words[i];
	setenv("DOCKER_HOST", host, 1);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		unsetenv(others[i]);
	fflush(NULL);
	execvp("docker", (char **)(uintptr_t)argv);
	cli_note("cannot run docker on this host: %s; without --host the "
		 "sandbox's own CLI is used",
		strerror(errno));
	return errno == ENOENT ? CLI_NOT_FOUND : CLI_NOT_EXECUTABLE;
}

/* Where the current directory is in the sandbox; NULL when it is not there. */
static char *dir_inside(const json_t *sb)
{
	_cleanup_free_ char *here = realpath(".", NULL);
	const json_t *ws;
	size_t i;

	json_array_foreach (json_object_get(sb, "workspaces"), i, ws) {
		const char *host = jstr(ws, "host");
		size_t len = strlen(host);

		if (here && len && strncmp(here, host, len) == 0 &&
			(here[len] == '/' || here[len] == '\0'))
			return xasprintf("%s%s", jstr(ws, "guest"), here + len);
	}
	return NULL;
}

static int run_inside(
	const struct call *call, const json_t *sb, char **words, int n)
{
	_cleanup_free_ char **argv = xcalloc((size_t)n + 1, sizeof(*argv));
	_cleanup_free_ char *docker = xstrdup("docker");
	_cleanup_free_ char *dir = dir_inside(sb);
	bool tty = execute_on_terminal();
	struct execution x = {.sandbox = call->argv[0],
		.shown = call->argv[0],
		.req = {.argv = argv,
			.argc = (size_t)n + 1,
			.cwd = dir,
			.tty = tty,
			.stdin_open = true}};
	uint32_t id;

	argv[0] = docker;
	for (int i = 0; i < n; i++)
		argv[i + 1] = words[i];
	return execute(call->cli, &x, &id);
}

static int run(const struct call *call)
{
	const struct docker_opts *o = call->opts;
	struct api api = {.cli = call->cli};
	const char *name = call->argv[0];
	char **words = call->argv + 1;
	int n = call->argc - 1;
	struct err err = {0};
	json_t *sb;
	int r;

	if (n > 0 && call->dashdash < 0 && streq(words[0], "--")) {
		words++;
		n--;
	}
	r = sandbox_get(&api, name, &sb, &err);
	if (r == 0 && o->host)
		r = sandbox_start(call->cli, name, false, &err);
	if (r < 0)
		return cli_refuse(call->cli, &err);
	r = o->host ? run_here(call->cli, sb, words, n)
		    : run_inside(call, sb, words, n);
	json_decref(sb);
	return r;
}

const struct command cmd_docker = {
	.name = "docker",
	.args = "NAME [--] ARG...",
	.help = "the docker CLI against a sandbox's own daemon",
	.about =
		"Runs the docker CLI of the sandbox, which has compose and "
		"buildx, on the sandbox's own Docker daemon. The sandbox is "
		"started if it is stopped, and the daemon at its first use. In "
		"a directory that the sandbox shares the command runs in that "
		"directory; standard input and output are passed on.\n\n"
		"With --host it is this host's docker CLI that runs, on the "
		"sandbox's socket: with the caller's files and registry "
		"logins. See docker-env for other programs.",
	.opts = opts,
	.n_opts = ARRAY_SIZE(opts),
	.opts_size = sizeof(struct docker_opts),
	.stop_at_operand = true,
	.min_args = 1,
	.max_args = -1,
	.complete = "sandbox",
	.run = run,
};
