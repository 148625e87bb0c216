/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/text.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int cli_paths(struct cli *cli, struct err *err)
{
	if (cli->have_paths)
		return 0;
	int r = paths_init(&cli->paths, err);
	if (r < 0)
		return r;
	cli->have_paths = true;
	return 0;
}

int cli_exit_of(int code)
{
	switch (code) {
	case EUSAGE:
		return CLI_USAGE;
	case EINVAL:
	case EPERM:
	case EACCES:
	case ENOENT:
	case ENOTDIR:
	case EISDIR:
	case EEXIST:
	case EBUSY:
	case ERANGE:
	case E2BIG:
	case ECANCELED:
		return CLI_REFUSED;
	default:
		return CLI_BROKEN;
	}
}

/*
 * Lines after the first (the end of a console, say) are indented, so that none
 * of them can be taken for a message of ours.
 */
static void say(const char *prefix, const char *text)
{
	_cleanup_free_ char *safe = text_safe_lines(text, strlen(text));

	/* Keep the order of what is seen when both go to one place. */
	fflush(stdout);
	fputs(prefix, stderr);
	for (const char *p = safe; *p; p++) {
		putc(*p, stderr);
		if (*p == '\n' && p[1])
			fputs("  ", stderr);
	}
	putc('\n', stderr);
}

int cli_fail(const struct err *err)
{
	say("cove: ", err->text);
	return cli_exit_of(err->code);
}

void cli_note(const char *fmt, ...)
{
	char line[ERR_TEXT_MAX * 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	say("cove: ", line);
}

int cli_usage(const struct cli *cli, const char *fmt, ...)
{
	char line[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (!cli->cmd) {
		say("cove: ", line);
		fputs("See: cove help\n", stderr);
		return CLI_USAGE;
	}
	_cleanup_free_ char *prefix = xasprintf("cove %s: ", cli->cmd->name);
	say(prefix, line);
	fprintf(stderr, "See: cove help %s\n", cli->cmd->name);
	return CLI_USAGE;
}

int cli_refuse(const struct cli *cli, const struct err *err)
{
	if (err->code == EUSAGE)
		return cli_usage(cli, "%s", err->text);
	return cli_fail(err);
}
