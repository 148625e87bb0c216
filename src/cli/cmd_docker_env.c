/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/sandbox.h"
#include "cli/text.h"
#include <stdio.h>
#include <string.h>

struct env_opts {
	bool help;
	bool json;
};

static const struct opt opts[] = {
	{"json", 0, OPT_FLAG, offsetof(struct env_opts, json), NULL,
		"print JSON", 0, 0, NULL},
};

/* In single quotes, each of its own written as '\''. */
static void print_quoted(const char *s)
{
	putchar('\'');
	for (; *s; s++)
		if (*s == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*s);
	putchar('\'');
}

static int run(const struct call *call)
{
	const struct env_opts *o = call->opts;
	struct api api = {.cli = call->cli};
	_cleanup_free_ char *host = NULL;
	struct err err = {0};
	json_t *sb;
	int r = sandbox_get(&api, call->argv[0], &sb, &err);

	if (r < 0)
		return cli_refuse(call->cli, &err);
	r = docker_host(sb, &host, &err);
	json_decref(sb);
	if (r < 0)
		return cli_refuse(call->cli, &err);
	if (o->json) {
		json_t *j = json_pack("{s:s, s:s}", "name", call->argv[0],
			"docker_host", host);

		text_json(j);
		json_decref(j);
		return CLI_OK;
	}
	printf("export DOCKER_HOST=");
	print_quoted(host);
	printf("; unset DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH;\n");
	return CLI_OK;
}

const struct command cmd_docker_env = {
	.name = "docker-env",
	.args = "NAME",
	.help = "print where a sandbox's Docker socket is, for a shell",
	.about = "Prints shell commands that turn docker, compose and what "
		 "else speaks to Docker to the sandbox's own daemon; use it "
		 "as: eval \"$(cove docker-env NAME)\"\n\n"
		 "The socket exists as long as the sandbox does and coved "
		 "runs, also as the host of a docker context. While the "
		 "sandbox is stopped, requests are refused with the command "
		 "that starts it.",
	.opts = opts,
	.n_opts = ARRAY_SIZE(opts),
	.opts_size = sizeof(struct env_opts),
	.min_args = 1,
	.max_args = 1,
	.complete = "sandbox",
	.run = run,
};
