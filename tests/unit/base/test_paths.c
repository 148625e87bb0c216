/* SPDX-License-Identifier: Apache-2.0 */
#include "base/paths.h"
#include "cm.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

static int setup(void **state)
{
	static const char *const vars[] = {"COVE_HOME", "COVE_LIBEXEC",
		"XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CACHE_HOME",
		"XDG_CONFIG_HOME"};

	for (size_t i = 0; i < ARRAY_SIZE(vars); i++)
		unsetenv(vars[i]);
	setenv("HOME", "/home/me", 1);
	return 0;
}

static void test_defaults(void **state)
{
	struct paths p;

	assert_int_equal(paths_init(&p, NULL), 0);
	assert_string_equal(p.run, "/home/me/.local/state/cove/run");
	assert_string_equal(p.state, "/home/me/.local/state/cove");
	assert_string_equal(p.cache, "/home/me/.cache/cove");
	assert_string_equal(p.config, "/home/me/.config/cove");
	paths_done(&p);
	assert_null(p.run);
}

static void test_xdg(void **state)
{
	struct paths p;

	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	setenv("XDG_STATE_HOME", "/s", 1);
	setenv("XDG_CACHE_HOME", "relative", 1); /* invalid: ignored */
	setenv("XDG_CONFIG_HOME", "", 1);
	assert_int_equal(paths_init(&p, NULL), 0);
	assert_string_equal(p.run, "/run/user/7/cove");
	assert_string_equal(p.state, "/s/cove");
	assert_string_equal(p.cache, "/home/me/.cache/cove");
	assert_string_equal(p.config, "/home/me/.config/cove");
	paths_done(&p);
}

static void test_cove_home_moves_all(void **state)
{
	char cwd[PATH_MAX];
	struct paths p;

	setenv("COVE_HOME", "/c", 1);
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	assert_int_equal(paths_init(&p, NULL), 0);
	assert_string_equal(p.run, "/c/run");
	assert_string_equal(p.state, "/c/state");
	assert_string_equal(p.cache, "/c/cache");
	assert_string_equal(p.config, "/c/config");
	paths_done(&p);
	/* A relative one means the same after a chdir. */
	setenv("COVE_HOME", "rel/c", 1);
	assert_int_equal(paths_init(&p, NULL), 0);
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_memory_equal(p.run, cwd, strlen(cwd));
	assert_string_equal(p.run + strlen(cwd), "/rel/c/run");
	paths_done(&p);
}

static void test_no_home(void **state)
{
	struct err err = {0};
	struct paths p;

	unsetenv("HOME");
	assert_int_equal(paths_init(&p, &err), -ENOENT);
	assert_non_null(strstr(err.text, "HOME is not set"));
}

static void test_make(void **state)
{
	char tmp[] = "/tmp/cove-test-paths-XXXXXX";
	const char *made = mkdtemp(tmp);
	_cleanup_free_ char *deep = xasprintf("%s/a/b/c/", tmp);
	_cleanup_free_ char *file = xasprintf("%s/f", tmp);
	_cleanup_free_ char *below = xasprintf("%s/f/x", tmp);
	_cleanup_free_ char *rm = xasprintf("rm -r %s", tmp);
	struct err err = {0};
	struct stat st;

	assert_non_null(made);
	umask(0);
	assert_int_equal(paths_make(deep, &err), 0);
	assert_int_equal(stat(deep, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(paths_make(deep, &err), 0); /* there already */
	close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(paths_make(file, &err), -ENOTDIR);
	assert_int_equal(paths_make(below, &err), -ENOTDIR);
	assert_non_null(strstr(err.text, below));
	assert_int_equal(system(rm), 0);
}

static void test_program(void **state)
{
	_cleanup_free_ char *self = NULL, *sh = NULL, *none = NULL;
	struct err err = {0};

	assert_int_equal(paths_program("test_base_paths", &self, &err), 0);
	assert_int_equal(access(self, X_OK), 0);
	assert_int_equal(paths_program("cove-none", &none, &err), -ENOENT);
	assert_non_null(strstr(err.text, "cove-none is not installed"));
	setenv("COVE_LIBEXEC", "/bin", 1);
	assert_int_equal(paths_program("sh", &sh, &err), 0);
	assert_string_equal(sh, "/bin/sh");
	assert_int_equal(paths_program("cove-none", &none, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/bin/cove-none (from COVE_LIBEXEC)"));
	assert_null(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_defaults, setup),
		cmocka_unit_test_setup(test_xdg, setup),
		cmocka_unit_test_setup(test_cove_home_moves_all, setup),
		cmocka_unit_test_setup(test_no_home, setup),
		cmocka_unit_test_setup(test_make, setup),
		cmocka_unit_test_setup(test_program, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
