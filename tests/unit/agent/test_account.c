/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "ids.h"

#include "agent/account.h"
#include "agent/etc.h"
#include "base/buf.h"
#include "base/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char passwd[] = "root:x:0:0:root:/root:/bin/bash\n"
			     "# a comment:x:1:1::/:\n"
			     "broken\n"
			     "half:x:12\n"
			     "bad:x:-1:0::/:/bin/sh\n"
			     "agent:x:1000:1000:Agent,,,:/home/agent:/bin/zsh\n"
			     "second:x:1000:1000::/elsewhere:\n"
			     "1234:x:77:78::relative:sh\n"
			     "last:x:5:6::/last:/bin/last"; /* no newline */
static const char group[] = "root:x:0:\n"
			    "sudo:x:27:agent,other\n"
			    "agent:x:1000:\n"
			    "docker:x:998:other,agent\n"
			    "agents:x:55:agent2,myagent\n"
			    "twice:x:27:agent\n"
			    "junk:x:nan:agent\n";

static void test_by_name(void **state)
{
	_cleanup_(account_done) struct account a;

	assert_int_equal(account_find(passwd, group, "agent", &a, NULL), 0);
	assert_int_equal(a.uid, 1000);
	assert_int_equal(a.gid, 1000);
	assert_string_equal(a.name, "agent");
	assert_string_equal(a.home, "/home/agent");
	assert_string_equal(a.shell, "/bin/zsh");
	assert_int_equal(a.n_groups, 3);
	assert_int_equal(a.groups[0], 1000);
	assert_int_equal(a.groups[1], 27);
	assert_int_equal(a.groups[2], 998);
}

static void test_by_uid(void **state)
{
	_cleanup_(account_done) struct account a;

	/* The first of several names; its groups count. */
	assert_int_equal(account_find(passwd, group, "1000", &a, NULL), 0);
	assert_string_equal(a.name, "agent");
	assert_int_equal(a.n_groups, 3);
}

static void test_uid_without_a_name(void **state)
{
	_cleanup_(account_done) struct account a;

	assert_int_equal(account_find(passwd, group, "4711", &a, NULL), 0);
	assert_int_equal(a.uid, 4711);
	assert_int_equal(a.gid, 0);
	assert_string_equal(a.name, "");
	assert_string_equal(a.home, "/");
	assert_string_equal(a.shell, "/bin/sh");
	assert_int_equal(a.n_groups, 1);
}

static void test_a_name_of_digits_wins(void **state)
{
	_cleanup_(account_done) struct account a;

	assert_int_equal(account_find(passwd, group, "1234", &a, NULL), 0);
	assert_int_equal(a.uid, 77);
	assert_string_equal(a.home, "/"); /* no relative one */
	assert_string_equal(a.shell, "/bin/sh");
}

static void test_last_line_without_newline(void **state)
{
	_cleanup_(account_done) struct account a;

	assert_int_equal(account_find(passwd, group, "last", &a, NULL), 0);
	assert_int_equal(a.uid, 5);
	assert_string_equal(a.shell, "/bin/last");
}

static void test_with_group(void **state)
{
	static const struct {
		const char *spec;
		uid_t uid;
		gid_t gid;
	} t[] = {
		{"agent:docker", 1000, 998},
		{"agent:0", 1000, 0},
		{"0:1000", 0, 1000},
		{"4711:4712", 4711, 4712},
		{"root:sudo", 0, 27},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		_cleanup_(account_done) struct account a;

		assert_int_equal(
			account_find(passwd, group, t[i].spec, &a, NULL), 0);
		assert_int_equal(a.uid, t[i].uid);
		assert_int_equal(a.gid, t[i].gid);
		assert_int_equal(a.n_groups, 1);
		assert_int_equal(a.groups[0], t[i].gid);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *spec;
		int r;
	} t[] = {
		{"", -EINVAL},
		{":", -EINVAL},
		{"agent:", -EINVAL},
		{":0", -EINVAL},
		{"nobody", -ENOENT},
		{"broken", -ENOENT},
		{"half", -ENOENT},
		{"bad", -ENOENT},
		{"# a comment", -ENOENT},
		{"-1", -ENOENT},
		{"4294967295", -ENOENT},
		{"4294967296", -ENOENT},
		{"99999999999999999999", -ENOENT},
		{"0x0", -ENOENT},
		{" 0", -ENOENT},
		{"agent:nogroup", -ENOENT},
		{"agent:junk", -ENOENT},
		{"agent:0:0", -ENOENT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct account a = {.uid = 7};
		struct err err = {0};

		assert_int_equal(
			account_find(passwd, group, t[i].spec, &a, &err),
			t[i].r);
		assert_int_equal(a.uid, 7);
		assert_true(err.text[0]);
	}
}

static void test_long_lines(void **state)
{
	size_t len = 3 * MIB;
	_cleanup_free_ char *text = xcalloc(len + 64, 1);
	_cleanup_(account_done) struct account a;

	memset(text, 'x', len);
	snprintf(text + len, 64, ":x:1:1\nme:x:3:4::/me:/bin/me\n");
	assert_int_equal(account_find(text, text, "me", &a, NULL), 0);
	assert_int_equal(a.uid, 3);
}

static void test_too_many_groups(void **state)
{
	_cleanup_(account_done) struct account a;
	struct buf b;

	buf_init(&b, 1 * MIB);
	for (unsigned int i = 0; i < 2 * ACCOUNT_GROUPS; i++)
		assert_int_equal(
			buf_putf(&b, "g%u:x:%u:agent\n", i, 2000 + i), 0);
	assert_int_equal(buf_put(&b, "", 1), 0);
	assert_int_equal(account_find(passwd, (const char *)buf_head(&b),
				 "agent", &a, NULL),
		0);
	assert_int_equal(a.n_groups, ACCOUNT_GROUPS);
	buf_done(&b);
}

/* ---- making the account in an image ---- */

static char root[64];

static int setup(void **state)
{
	snprintf(root, sizeof(root), "%s", "/tmp/cove-etc-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
	_cleanup_free_ char *cmd = xasprintf("rm -rf %s", root);

	return system(cmd);
}

static char *read_file(const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", root, name);
	char *text;

	return fd_slurp_at(AT_FDCWD, path, 65536, &text) < 0 ? NULL : text;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", root, name);
	_cleanup_close_ int fd =
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static void has(const char *name, const char *what)
{
	_cleanup_free_ char *text = read_file(name);

	assert_non_null(text);
	if (!strstr(text, what))
		fail_msg("%s: no '%s' in '%s'", name, what, text);
}

/* A home directory is given to uid 1000. */
static void need_agent_id(void)
{
	if (!ids_can_give(1000, 1000))
		skip();
}

static void test_user_in_a_bare_image(void **state)
{
	_cleanup_(account_done) struct account a;
	_cleanup_free_ char *etc = xasprintf("%s/etc", root);
	_cleanup_free_ char *shadow = NULL;
	_cleanup_free_ char *home = xasprintf("%s/home/agent", root);
	struct err err = {0};
	struct stat st;

	need_agent_id();
	assert_int_equal(etc_ensure_user(root, "agent", &err), 0);
	assert_int_equal(account_load(etc, "agent", &a, &err), 0);
	assert_int_equal(a.uid, 1000);
	assert_string_equal(a.home, "/home/agent");
	assert_string_equal(a.shell, "/bin/sh");
	assert_int_equal(stat(home, &st), 0);
	assert_int_equal(st.st_uid, 1000);
	/* None of what only sudo or PAM need. */
	shadow = read_file("etc/shadow");
	assert_null(shadow);
}

static void test_user_in_an_image_with_sudo(void **state)
{
	_cleanup_free_ char *dir = xasprintf("%s/etc", root);
	_cleanup_free_ char *sub = xasprintf("%s/etc/sudoers.d", root);
	_cleanup_free_ char *shadow = xasprintf("%s/etc/shadow", root);
	struct err err = {0};
	struct stat st;

	need_agent_id();
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(mkdir(sub, 0755), 0);
	write_file("etc/passwd", "root:x:0:0::/root:/bin/sh", 0644);
	write_file("etc/shadow", "root:*:1::::::\n", 0640);
	assert_int_equal(etc_ensure_user(root, "agent", &err), 0);
	/* The line that had no newline keeps its own. */
	has("etc/passwd", "root:x:0:0::/root:/bin/sh\nagent:x:1000:1000:");
	has("etc/shadow", "root:*:1::::::\nagent:*:");
	has("etc/group", "agent:x:1000:\n");
	has("etc/sudoers.d/cove-agent", "agent ALL=(ALL:ALL) NOPASSWD: ALL\n");
	assert_int_equal(stat(shadow, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
}

static void test_user_that_exists_is_left_alone(void **state)
{
	_cleanup_free_ char *dir = xasprintf("%s/etc", root);
	_cleanup_free_ char *text = NULL;
	struct err err = {0};

	assert_int_equal(mkdir(dir, 0755), 0);
	write_file("etc/passwd", "agent:x:5:5::/a:/b\n", 0644);
	assert_int_equal(etc_ensure_user(root, "agent", &err), 0);
	text = read_file("etc/passwd");
	assert_string_equal(text, "agent:x:5:5::/a:/b\n");
	assert_null(read_file("etc/group"));
}

static void test_identity(void **state)
{
	_cleanup_free_ char *dir = xasprintf("%s/etc", root);
	_cleanup_free_ char *id = NULL;
	struct err err = {0};

	assert_int_equal(mkdir(dir, 0755), 0);
	write_file("etc/hosts", "127.0.0.1 localhost boxer\n", 0644);
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			etc_identity(root, "box",
				"0B0E0000-1111-2222-3333-444455556666", &err),
			0);
	id = read_file("etc/machine-id");
	assert_string_equal(id, "0b0e0000111122223333444455556666\n");
	has("etc/hostname", "box\n");
	has("etc/hosts", "127.0.0.1 localhost boxer\n127.0.1.1\tbox\n");
}

static void test_identity_in_a_bare_image(void **state)
{
	struct err err = {0};

	assert_int_equal(etc_identity(root, "box",
				 "0b0e0000-1111-2222-3333-444455556666", &err),
		0);
	has("etc/hosts", "127.0.0.1\tlocalhost\n");
	has("etc/hosts", "127.0.1.1\tbox\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_name),
		cmocka_unit_test(test_by_uid),
		cmocka_unit_test(test_uid_without_a_name),
		cmocka_unit_test(test_a_name_of_digits_wins),
		cmocka_unit_test(test_last_line_without_newline),
		cmocka_unit_test(test_with_group),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_too_many_groups),
		cmocka_unit_test_setup_teardown(
			test_user_in_a_bare_image, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_user_in_an_image_with_sudo, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_user_that_exists_is_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_identity_in_a_bare_image, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
