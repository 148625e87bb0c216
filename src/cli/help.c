/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"
#include "cli/commands.h"
#include <string.h>

#define HELP_WIDTH 78

const struct opt opt_help = {"help", 'h', OPT_FLAG,
	offsetof(struct no_opts, help), NULL, "show this help", 0, 0, NULL};

void help_all(FILE *out)
{
	fputs("cove runs agents, builds and untrusted code, each in its own "
	      "microVM.\n\n"
	      "Usage: cove COMMAND [ARGUMENT...]\n\n"
	      "Commands:\n",
		out);
	for (size_t i = 0; i < n_commands; i++)
		fprintf(out, "  %-11s %s\n", commands[i]->name,
			commands[i]->help);
	fputs("\nTry: cove run --rm -- uname -a\n"
	      "More about a command: cove help COMMAND\n",
		out);
}

/* Breaks paragraphs (separated by an empty line) at width. */
static void wrap(FILE *out, const char *text, size_t indent)
{
	size_t column = 0;

	for (const char *p = text; *p;) {
		size_t n = strcspn(p, " \n");
		if (column && column + 1 + n > HELP_WIDTH) {
			putc('\n', out);
			column = 0;
		}
		if (column == 0)
			column = (size_t)fprintf(out, "%*s", (int)indent, "");
		else
			column += (size_t)fprintf(out, " ");
		column += (size_t)fprintf(out, "%.*s", (int)n, p);
		p += n;
		if (p[0] == '\n' && p[1] == '\n') {
			fputs("\n\n", out);
			column = 0;
		}
		p += strspn(p, " \n");
	}
	putc('\n', out);
}

static size_t flag_text(const struct opt *o, char *buf, size_t len)
{
	char letter[8] = "    ";

	if (o->letter)
		snprintf(letter, sizeof(letter), "-%c, ", o->letter);
	return (size_t)snprintf(buf, len, "%s--%s%s%s", letter, o->name,
		o->arg ? " " : "", o->arg ? o->arg : "");
}

static size_t widest(const struct command *cmd)
{
	char buf[128];
	size_t wide = flag_text(&opt_help, buf, sizeof(buf));

	for (size_t i = 0; i < cmd->n_opts; i++)
		wide = MAX(wide, flag_text(&cmd->opts[i], buf, sizeof(buf)));
	return wide;
}

static void print_opt(const struct opt *o, size_t wide)
{
	char buf[128];

	flag_text(o, buf, sizeof(buf));
	printf("  %-*s  %s\n", (int)wide, buf, o->help);
}

int help_command(const struct command *cmd)
{
	size_t wide = widest(cmd);

	printf("Usage: cove %s [OPTION...]%s%s\n\n", cmd->name,
		*cmd->args ? " " : "", cmd->args);
	wrap(stdout, cmd->about, 0);
	puts("\nOptions:");
	for (size_t i = 0; i < cmd->n_opts; i++)
		print_opt(&cmd->opts[i], wide);
	print_opt(&opt_help, wide);
	return CLI_OK;
}

/* scdoc: these begin a format or a macro. */
static void put_escaped(FILE *out, const char *s)
{
	for (; *s; s++) {
		if (strchr("\\*_<>[]#~`", *s))
			putc('\\', out);
		putc(*s, out);
	}
}

static void scdoc_opt(FILE *out, const struct opt *o)
{
	putc('*', out);
	if (o->letter)
		fprintf(out, "-%c*, *", o->letter);
	put_escaped(out, "--");
	put_escaped(out, o->name);
	putc('*', out);
	if (o->arg) {
		fputs(" _", out);
		put_escaped(out, o->arg);
		putc('_', out);
	}
	fputs("\n\t", out);
	put_escaped(out, o->help);
	fputs(".\n\n", out);
}

void help_scdoc(const struct command *cmd, FILE *out)
{
	/* A heading is taken as it is, without formats. */
	fprintf(out, "## cove %s\n\n*cove %s*", cmd->name, cmd->name);
	if (cmd->n_opts)
		fputs(" \\[_OPTION_...\\]", out);
	if (*cmd->args)
		putc(' ', out);
	put_escaped(out, cmd->args);
	fputs("\n\n", out);
	put_escaped(out, cmd->about);
	fputs("\n\n", out);
	for (size_t i = 0; i < cmd->n_opts; i++)
		scdoc_opt(out, &cmd->opts[i]);
}
