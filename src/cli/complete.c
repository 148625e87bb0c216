/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/complete.h"
#include "cli/commands.h"
#include "cli/help.h"
#include <string.h>

/*
 * What a word is completed with, in the words of a shell. "file" and "dir" are
 * paths, "path" is a path here or NAME: for one in a sandbox.
 */
struct dialect {
	const char *sandbox;
	const char *dir;
	const char *file;
	const char *path;
	const char *command;
	const char *words; /* with one %s: space-separated words */
};

static void put_source(FILE *out, const struct dialect *d, const char *what)
{
	const struct {
		const char *name;
		const char *text;
	} known[] = {{"sandbox", d->sandbox}, {"dir", d->dir},
		{"file", d->file}, {"path", d->path}, {"command", d->command}};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (streq(known[i].name, what)) {
			fputs(known[i].text, out);
			return;
		}
	}
	const char *mark = strstr(d->words, "%s");
	fprintf(out, "%.*s%s%s", (int)(mark - d->words), d->words, what,
		mark + 2);
}

/* Inside single quotes of a shell script. */
static void put_quoted(FILE *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '\'')
			fputs("'\\''", out);
		else
			putc(*s, out);
	}
}

/* ---- bash ---- */

static const struct dialect bash = {
	.sandbox = "_cove_words \"$(_cove_sandboxes)\"",
	.dir = "_cove_paths -d",
	.file = "_cove_paths -f",
	.path = "_cove_words \"$(_cove_sandboxes | sed 's/$/:/')\" nospace; "
		"_cove_paths -f",
	.command = "_cove_words \"$_cove_commands\"",
	.words = "_cove_words '%s'",
};

static void bash_option_values(FILE *out, const struct command *cmd)
{
	for (size_t i = 0; i < cmd->n_opts; i++) {
		const struct opt *o = &cmd->opts[i];
		if (o->type == OPT_FLAG)
			continue;
		fprintf(out, "\t\t--%s", o->name);
		if (o->letter)
			fprintf(out, "|-%c", o->letter);
		fputs(") ", out);
		if (o->complete) {
			put_source(out, &bash, o->complete);
			fputs("; ", out);
		}
		fputs("return ;;\n", out);
	}
}

static void bash_command(FILE *out, const struct command *cmd)
{
	fprintf(out, "\t%s)\n\t\tcase $prev in\n", cmd->name);
	bash_option_values(out, cmd);
	fputs("\t\t*) ;;\n\t\tesac\n\t\tif [[ $cur == -* ]]; then\n"
	      "\t\t\t_cove_words '--help",
		out);
	for (size_t i = 0; i < cmd->n_opts; i++)
		fprintf(out, " --%s", cmd->opts[i].name);
	fputs("'\n", out);
	if (cmd->complete) {
		fputs("\t\telse\n\t\t\t", out);
		put_source(out, &bash, cmd->complete);
		putc('\n', out);
	}
	fputs("\t\tfi\n\t\t;;\n", out);
}

void complete_bash(FILE *out)
{
	fputs("# bash completion for cove; made by: cove completion bash\n"
	      "_cove_commands='",
		out);
	for (size_t i = 0; i < n_commands; i++)
		fprintf(out, "%s%s", i ? " " : "", commands[i]->name);
	fputs("'\n"
	      "_cove_sandboxes()\n{\n"
	      "\tCOVE_NO_START=1 command cove ls -q 2>/dev/null\n}\n"
	      "_cove_words()\n{\n"
	      "\t[[ $2 == nospace ]] && compopt -o nospace\n"
	      "\tlocal words\n"
	      "\tmapfile -t words < <(compgen -W \"$1\" -- \"$cur\")\n"
	      "\tCOMPREPLY+=(\"${words[@]}\")\n}\n"
	      "_cove_paths()\n{\n"
	      "\tcompopt -o filenames\n"
	      "\tlocal words\n"
	      "\tmapfile -t words < <(compgen \"$1\" -- \"$cur\")\n"
	      "\tCOMPREPLY+=(\"${words[@]}\")\n}\n"
	      "_cove()\n{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]}\n"
	      "\tlocal prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	      "\tlocal i\n"
	      "\tCOMPREPLY=()\n"
	      "\tif ((COMP_CWORD == 1)); then\n"
	      "\t\t_cove_words \"$_cove_commands\"\n"
	      "\t\treturn\n\tfi\n"
	      "\t# What follows -- belongs to the command inside.\n"
	      "\tfor ((i = 2; i < COMP_CWORD; i++)); do\n"
	      "\t\t[[ ${COMP_WORDS[i]} == -- ]] && return\n\tdone\n"
	      "\tcase ${COMP_WORDS[1]} in\n",
		out);
	for (size_t i = 0; i < n_commands; i++)
		bash_command(out, commands[i]);
	fputs("\t*) ;;\n\tesac\n}\ncomplete -F _cove cove\n", out);
}

/* ---- zsh ---- */

static const struct dialect zsh = {
	.sandbox = "_cove_sandboxes",
	.dir = "_files -/",
	.file = "_files",
	.path = "_cove_places",
	.command = "_cove_commands",
	.words = "(%s)",
};

/* Inside '...[help]': brackets and colons would end it. */
static void zsh_help(FILE *out, const char *s)
{
	for (; *s; s++) {
		if (strchr("[]:\\", *s))
			putc('\\', out);
		if (*s == '\'')
			fputs("'\\''", out);
		else
			putc(*s, out);
	}
}

static void zsh_opt(FILE *out, const struct opt *o)
{
	const char *star = o->type == OPT_STRS ? "*" : "";

	fputs(" \\\n\t\t\t", out);
	if (o->letter && *star)
		fprintf(out, "'*'{-%c,--%s}'[", o->letter, o->name);
	else if (o->letter)
		fprintf(out, "'(-%c --%s)'{-%c,--%s}'[", o->letter, o->name,
			o->letter, o->name);
	else
		fprintf(out, "'%s--%s[", star, o->name);
	zsh_help(out, o->help);
	putc(']', out);
	if (o->type != OPT_FLAG) {
		putc(':', out);
		zsh_help(out, o->arg);
		putc(':', out);
		if (o->complete)
			put_source(out, &zsh, o->complete);
	}
	putc('\'', out);
}

static void zsh_command(FILE *out, const struct command *cmd)
{
	fprintf(out, "\t%s)\n\t\t_arguments -s -S", cmd->name);
	for (size_t i = 0; i < cmd->n_opts; i++)
		zsh_opt(out, &cmd->opts[i]);
	zsh_opt(out, &opt_help);
	if (cmd->complete) {
		fprintf(out,
			" \\\n\t\t\t'%s:", cmd->stop_at_operand ? "1" : "*");
		zsh_help(out, cmd->args);
		putc(':', out);
		put_source(out, &zsh, cmd->complete);
		putc('\'', out);
	}
	fputs("\n\t\t;;\n", out);
}

void complete_zsh(FILE *out)
{
	fputs("#compdef cove\n"
	      "# zsh completion for cove; made by: cove completion zsh\n"
	      "_cove_sandboxes() {\n"
	      "\tlocal -a names\n"
	      "\tnames=(${(f)\"$(COVE_NO_START=1 command cove ls -q "
	      "2>/dev/null)\"})\n"
	      "\tcompadd \"$@\" -a names\n}\n"
	      "_cove_places() {\n"
	      "\tlocal -a names\n"
	      "\tnames=(${(f)\"$(COVE_NO_START=1 command cove ls -q "
	      "2>/dev/null)\"})\n"
	      "\tcompadd -S ':' -a names\n"
	      "\t_files\n}\n"
	      "_cove_commands() {\n"
	      "\tlocal -a commands\n"
	      "\tcommands=(\n",
		out);
	for (size_t i = 0; i < n_commands; i++) {
		fprintf(out, "\t\t'%s:", commands[i]->name);
		put_quoted(out, commands[i]->help);
		fputs("'\n", out);
	}
	fputs("\t)\n\t_describe command commands\n}\n"
	      "_cove() {\n"
	      "\tif ((CURRENT == 2)); then\n"
	      "\t\t_cove_commands\n\t\treturn\n\tfi\n"
	      "\tshift words\n\t((CURRENT--))\n"
	      "\tcase $words[1] in\n",
		out);
	for (size_t i = 0; i < n_commands; i++)
		zsh_command(out, commands[i]);
	fputs("\tesac\n}\n"
	      "if [[ $funcstack[1] == _cove ]]; then\n\t_cove \"$@\"\n"
	      "else\n\tcompdef _cove cove\nfi\n",
		out);
}

/* ---- fish ---- */

static const struct dialect fish = {
	.sandbox = "(__cove_sandboxes)",
	.dir = "(__fish_complete_directories)",
	.file = "(__fish_complete_path)",
	.path = "(__cove_places)",
	.command = "(__cove_commands)",
	.words = "%s",
};

static void fish_opt(FILE *out, const struct command *cmd, const struct opt *o)
{
	fprintf(out,
		"complete -c cove -n '__fish_seen_subcommand_from %s' "
		"-l %s",
		cmd->name, o->name);
	if (o->letter)
		fprintf(out, " -s %c", o->letter);
	if (o->type != OPT_FLAG)
		fputs(" -x", out);
	if (o->type != OPT_FLAG && o->complete) {
		fputs(" -a '", out);
		put_source(out, &fish, o->complete);
		putc('\'', out);
	}
	fputs(" -d '", out);
	put_quoted(out, o->help);
	fputs("'\n", out);
}

static void fish_command(FILE *out, const struct command *cmd)
{
	fprintf(out, "complete -c cove -n __fish_use_subcommand -a %s -d '",
		cmd->name);
	put_quoted(out, cmd->help);
	fputs("'\n", out);
	for (size_t i = 0; i < cmd->n_opts; i++)
		fish_opt(out, cmd, &cmd->opts[i]);
	fish_opt(out, cmd, &opt_help);
	if (!cmd->complete)
		return;
	fprintf(out,
		"complete -c cove -n '__fish_seen_subcommand_from %s' "
		"-a '",
		cmd->name);
	put_source(out, &fish, cmd->complete);
	fputs("'\n", out);
}

void complete_fish(FILE *out)
{
	fputs("# fish completion for cove; made by: cove completion fish\n"
	      "function __cove_sandboxes\n"
	      "\tCOVE_NO_START=1 command cove ls -q 2>/dev/null\nend\n"
	      "function __cove_places\n"
	      "\t__cove_sandboxes | string replace -r '$' ':'\n"
	      "\t__fish_complete_path\nend\n"
	      "function __cove_commands\n\tprintf '%s\\n'",
		out);
	for (size_t i = 0; i < n_commands; i++)
		fprintf(out, " %s", commands[i]->name);
	fputs("\nend\ncomplete -c cove -f\n", out);
	for (size_t i = 0; i < n_commands; i++)
		fish_command(out, commands[i]);
}
