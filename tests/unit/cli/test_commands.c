/* SPDX-License-Identifier: Apache-2.0 */
/* The command table itself, and what is made from it. */
#include "cli/commands.h"
#include "cli/complete.h"
#include "cli/help.h"
#include "cm.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void check_opts(const struct command *c)
{
	for (size_t i = 0; i < c->n_opts; i++) {
		const struct opt *o = &c->opts[i];
		assert_string_not_equal(o->name, "help");
		assert_int_not_equal(o->letter, 'h');
		assert_true(o->offset < c->opts_size);
		assert_true(o->offset >= sizeof(bool)); /* --help is first */
		assert_int_equal(o->arg == NULL, o->type == OPT_FLAG);
		assert_int_not_equal(o->help[strlen(o->help) - 1], '.');
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(o->name, c->opts[j].name);
			if (o->letter)
				assert_int_not_equal(
					o->letter, c->opts[j].letter);
		}
	}
}

static void test_table(void **state)
{
	for (size_t i = 0; i < n_commands; i++) {
		const struct command *c = commands[i];
		assert_ptr_equal(command_find(c->name), c);
		assert_non_null(c->run);
		assert_true(c->max_args < 0 || c->max_args >= c->min_args);
		assert_true(c->max_args == 0 || *c->args);
		assert_true(strlen(c->help) < 60);
		assert_int_not_equal(c->help[strlen(c->help) - 1], '.');
		assert_int_equal(c->about[strlen(c->about) - 1], '.');
		check_opts(c);
	}
	assert_null(command_find("frobnicate"));
	assert_null(command_find(""));
}

static void guess(const char *word, const char *want)
{
	const struct command *c = command_guess(word);

	if (want)
		assert_string_equal(c ? c->name : "(none)", want);
	else
		assert_null(c);
}

static void test_guess(void **state)
{
	guess("sl", "ls");
	guess("lss", "ls");
	guess("creat", "create");
	guess("isnpect", "inspect");
	guess("doctr", "doctor");
	guess("frobnicate", NULL);
	guess("", NULL);
	guess("a-word-that-is-longer-than-any-command-will-ever-be", NULL);
}

/* What commands print is not TAP. */
static int hide_output(void)
{
	int saved = dup(STDOUT_FILENO);

	fflush(stdout);
	assert_non_null(freopen("/dev/null", "w", stdout));
	return saved;
}

static void show_output(int saved)
{
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
}

/* Runs a command line with nowhere to write; its exit code. */
static int run_line(const char *line)
{
	int saved = hide_output();
	struct cli cli = {0};
	char words[128] = "";
	char *argv[16];
	int argc = 0;

	strncpy(words, line, sizeof(words) - 1);
	for (char *w = strtok(words, " "); w; w = strtok(NULL, " "))
		argv[argc++] = w;
	const struct command *c = command_find(argv[0]);
	assert_non_null(c);
	int code = command_run(&cli, c, argc - 1, argv + 1);
	if (cli.have_paths)
		paths_done(&cli.paths);
	show_output(saved);
	return code;
}

static void test_usage_errors(void **state)
{
	static const char *const lines[] = {"run --frobnicate", "run shell ls",
		"run --rm -d", "run --engine xen", "run --memory much",
		"run --cpus 0", "run --detach-keys ctrl", "exec", "exec box",
		"exec -d -i box true", "exec --attach 3 box true",
		"exec --sessions box true", "exec --json box true",
		"exec -e 1=2 box true", "ls x", "ls -q --json", "inspect",
		"inspect a1 b1", "logs --source x box", "logs --json -f box",
		"stop", "start", "rm", "rm --all box", "cp x", "cp x y",
		"cp aa:/x bb:/y", "cp aa:x y", "daemon", "daemon frob",
		"daemon stop --json", "daemon status --foreground", "template",
		"template frob", "completion", "completion csh", "help frob",
		"create -- ls"};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (run_line(lines[i]) != CLI_USAGE)
			fail_msg("not a usage error: %s", lines[i]);
}

static void test_help(void **state)
{
	for (size_t i = 0; i < n_commands; i++) {
		char line[64];
		snprintf(line, sizeof(line), "%s --help", commands[i]->name);
		assert_int_equal(run_line(line), CLI_OK);
	}
}

/* Every command and option is in every script. */
static void check_script(void (*make)(FILE *))
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	make(f);
	fclose(f);
	for (size_t i = 0; i < n_commands; i++) {
		assert_non_null(strstr(text, commands[i]->name));
		for (size_t j = 0; j < commands[i]->n_opts; j++)
			assert_non_null(
				strstr(text, commands[i]->opts[j].name));
	}
	free(text);
}

static void test_scripts(void **state)
{
	check_script(complete_bash);
	check_script(complete_zsh);
	check_script(complete_fish);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_guess),
		cmocka_unit_test(test_usage_errors),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_scripts),
	};

	setenv("COVE_HOME", "/proc/nonexistent", 1);
	setenv("COVE_NO_START", "1", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
