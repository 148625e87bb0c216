/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/workspace.h"
#include "cm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static char dir[64];

static int setup(void **state)
{
	snprintf(dir, sizeof(dir), "%s", "/tmp/cove-ws-XXXXXX");
	if (!mkdtemp(dir) || chdir(dir) < 0)
		return -1;
	return mkdir("real", 0700) || mkdir("real/a:b", 0700) ||
		symlink("real", "link") || mkdir("x:ro", 0700);
}

static int teardown(void **state)
{
	rmdir("x:ro");
	unlink("link");
	rmdir("real/a:b");
	rmdir("real");
	return chdir("/") || rmdir(dir);
}

static void test_is_path(void **state)
{
	assert_true(workspace_is_path("."));
	assert_true(workspace_is_path(".."));
	assert_true(workspace_is_path("./x"));
	assert_true(workspace_is_path("/x"));
	assert_true(workspace_is_path("a/b"));
	assert_true(workspace_is_path("file.txt"));
	assert_true(workspace_is_path("./x:ro"));
	assert_false(workspace_is_path("shell"));
	assert_false(workspace_is_path("claude-code"));
	assert_false(workspace_is_path(""));
}

static void parsed(const char *arg, const char *below, bool ro)
{
	char want[128];
	struct workspace w = {0};
	struct err err = {0};

	snprintf(want, sizeof(want), "%s%s", dir, below);
	assert_int_equal(workspace_parse(arg, &w, &err), 0);
	assert_string_equal(w.host, want);
	assert_string_equal(w.guest, want);
	assert_int_equal(w.ro, ro);
	workspace_done(&w);
}

static void test_parse(void **state)
{
	struct workspace w = {0};
	struct err err = {0};

	parsed(".", "", false);
	parsed(".:ro", "", true);
	parsed("real/", "/real", false);
	parsed("./real:rw", "/real", false);
	parsed("link", "/real", false); /* the kernel's own name for it */
	parsed("./real/a:b", "/real/a:b", false);
	parsed("./x:ro:ro", "/x:ro", true);
	assert_int_equal(workspace_parse("./missing", &w, &err), -ENOENT);
	assert_non_null(strstr(err.text, "'./missing'"));
	/* ":ro" is always the mark, also where a name ends in it. */
	assert_int_equal(workspace_parse("./x:ro", &w, &err), -ENOENT);
	assert_int_equal(workspace_parse("/", &w, &err), -EINVAL);
	assert_int_equal(workspace_parse("/usr:ro", &w, &err), -EINVAL);
	assert_non_null(strstr(err.text, "--mount /usr:/mnt/host:ro"));
	assert_null(w.host);
}

static void mounted(
	const char *arg, const char *below, const char *guest, bool ro)
{
	char want[128];
	struct workspace w = {0};
	struct err err = {0};

	snprintf(want, sizeof(want), "%s%s", dir, below);
	assert_int_equal(workspace_mount(arg, &w, &err), 0);
	assert_string_equal(w.host, want);
	assert_string_equal(w.guest, guest);
	assert_int_equal(w.ro, ro);
	workspace_done(&w);
}

static void test_mount(void **state)
{
	static const char *const bad[] = {"", "real", "real:", ":/x",
		"real:guest", "real:./guest", "real:/", "real://", "real:/a//b",
		"real:/a/../b", "real:/a/./b", "real:/..", "real:/a:z",
		"real:/a:ro:ro", "real:/a:ro/b"};
	struct workspace w = {0};
	struct err err = {0};

	mounted("real:/srv/x", "/real", "/srv/x", false);
	mounted("real:/srv/x/", "/real", "/srv/x", false);
	mounted("./real:/srv/x:ro", "/real", "/srv/x", true);
	mounted("./real:/srv/x:rw", "/real", "/srv/x", false);
	mounted("real/a:b:/g", "/real/a:b", "/g", false);
	mounted("x:ro:/g", "/x:ro", "/g", false);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_true(workspace_mount(bad[i], &w, &err) < 0);
		assert_true(err.text[0]);
	}
	assert_int_equal(workspace_mount("missing:/x", &w, &err), -ENOENT);
}

static void test_cwd(void **state)
{
	const char *const none[] = {NULL};
	const char *const inside[] = {"/nowhere", dir, NULL};
	char below[96];
	const char *const above[] = {below, NULL};
	enum workspace_cwd kind;
	struct workspace w = {0};
	struct err err = {0};

	snprintf(below, sizeof(below), "%s/real", dir);
	assert_int_equal(workspace_cwd(none, &w, &kind, &err), 0);
	assert_int_equal(kind, CWD_SHARE);
	assert_string_equal(w.host, dir);
	workspace_done(&w);
	assert_int_equal(workspace_cwd(inside, &w, &kind, &err), 0);
	assert_int_equal(kind, CWD_OWN);
	assert_int_equal(workspace_cwd(above, &w, &kind, &err), 0);
	assert_int_equal(kind, CWD_OWN);
	assert_int_equal(chdir("/usr"), 0);
	assert_int_equal(workspace_cwd(none, &w, &kind, &err), 0);
	assert_int_equal(kind, CWD_SYSTEM);
	assert_null(w.host);
	assert_int_equal(chdir(dir), 0);
}

static void test_cwd_gone(void **state)
{
	const char *const none[] = {NULL};
	enum workspace_cwd kind;
	struct workspace w = {0};
	struct err err = {0};

	assert_int_equal(mkdir("gone", 0700) || chdir("gone"), 0);
	assert_int_equal(rmdir("../gone"), 0);
	assert_int_equal(workspace_cwd(none, &w, &kind, &err), -ENOENT);
	assert_int_equal(chdir(dir), 0);
}

static void test_system(void **state)
{
	assert_true(workspace_is_system("/"));
	assert_true(workspace_is_system("/home"));
	assert_true(workspace_is_system("/proc/self"));
	assert_false(workspace_is_system("/procfs"));
	assert_false(workspace_is_system("/usr/src/linux"));
	assert_false(workspace_is_system("/home/me"));
	assert_true(path_below("/a", "/"));
	assert_true(path_below("/a/b", "/a"));
	assert_false(path_below("/ab", "/a"));
	assert_false(path_below("/a", "/a/b"));
}

static void test_cp_side(void **state)
{
	static const char *const bad[] = {
		"", "box:", "box:rel", "BOX:/x", ":/x", "a:/x"};
	struct cp_side s = {0};
	struct err err = {0};

	assert_int_equal(cp_side_parse("box:/a:b", &s, &err), 0);
	assert_string_equal(s.sandbox, "box");
	assert_string_equal(s.path, "/a:b");
	cp_side_done(&s);
	assert_int_equal(cp_side_parse("./a:/b", &s, &err), 0);
	assert_null(s.sandbox);
	assert_string_equal(s.path, "./a:/b");
	cp_side_done(&s);
	assert_int_equal(cp_side_parse("plain", &s, &err), 0);
	assert_null(s.sandbox);
	cp_side_done(&s);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(cp_side_parse(bad[i], &s, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_path),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_mount),
		cmocka_unit_test(test_cwd),
		cmocka_unit_test(test_cwd_gone),
		cmocka_unit_test(test_system),
		cmocka_unit_test(test_cp_side),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
