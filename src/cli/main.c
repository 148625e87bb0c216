/* SPDX-License-Identifier: Apache-2.0 */
/* cove - the command line: finds the command in the table and runs it. */
#include "cli/commands.h"
#include "cli/help.h"
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>

/* Descriptors 0 to 2 must be something, or a socket of ours would be stdout. */
static void open_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
}

/* A reader that went away ends us as it would end any other program. */
static int finish_output(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	if (errno == EPIPE) {
		signal(SIGPIPE, SIG_DFL);
		raise(SIGPIPE);
	}
	perror("cove: cannot write to standard output");
	return code ? code : CLI_REFUSED;
}

static int unknown(struct cli *cli, const char *name)
{
	const struct command *near = command_guess(name);

	if (name[0] == '-')
		return cli_usage(cli, "unknown option '%s'", name);
	if (near)
		return cli_usage(cli,
			"unknown command '%s'; did you mean "
			"'%s'?",
			name, near->name);
	return cli_usage(cli, "unknown command '%s'", name);
}

static int dispatch(struct cli *cli, int argc, char **argv)
{
	if (argc < 2) {
		help_all(stderr);
		return CLI_USAGE;
	}
	const char *name = argv[1];
	if (streq(name, "--help") || streq(name, "-h"))
		name = "help";
	if (streq(name, "--version") || streq(name, "-V"))
		name = "version";
	const struct command *cmd = command_find(name);
	if (!cmd)
		return unknown(cli, name);
	return command_run(cli, cmd, argc - 2, argv + 2);
}

int main(int argc, char **argv)
{
	struct cli cli = {0};

	open_standard_fds();
	setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_IGN);
	int code = dispatch(&cli, argc, argv);
	if (cli.have_paths)
		paths_done(&cli.paths);
	return finish_output(code);
}
