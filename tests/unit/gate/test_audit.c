/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "gate/audit.h"

#include "base/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static char dir[64];
static int dir_fd;

static int make_dir(void **state)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/cove-audit-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return dir_fd < 0;
}

static int remove_dir(void **state)
{
	(void)unlinkat(dir_fd, AUDIT_FILE, 0);
	(void)unlinkat(dir_fd, AUDIT_OLD, 0);
	close(dir_fd);
	return rmdir(dir);
}

static void put(struct audit *a, const char *reason)
{
	const struct audit_entry e = {.proto = "tcp",
		.target = "a.test",
		.port = 443,
		.path = "tunnel",
		.verdict = "deny",
		.rule = "r1",
		.reason = reason};

	audit_write(a, &e);
	assert_false(a->broken);
}

static void slurp(const char *name, char **ret, size_t *ret_len)
{
	ssize_t n = fd_slurp_at(dir_fd, name, 16 * MIB, ret);

	assert_true(n >= 0);
	*ret_len = (size_t)n;
}

static int verify(const char *text, size_t len, uint64_t *lines)
{
	char last[SHA256_HEX] = "";

	return chain_verify(text, len, last, lines);
}

static void test_chain_goes_on_after_a_restart(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct audit a;
	uint64_t lines;
	size_t len;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(audit_open(&a, dir_fd, "box", NULL), 0);
		put(&a, "one");
		put(&a, "two");
		audit_close(&a);
	}
	assert_int_equal(a.seq, 6);
	slurp(AUDIT_FILE, &text, &len);
	assert_int_equal(verify(text, len, &lines), 0);
	assert_int_equal(lines, 6);
}

static void test_changes_show(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct audit a;
	uint64_t lines;
	size_t len, cut;

	assert_int_equal(audit_open(&a, dir_fd, "box", NULL), 0);
	for (int i = 0; i < 4; i++)
		put(&a, "why");
	audit_close(&a);
	slurp(AUDIT_FILE, &text, &len);
	strstr(text, "a.test")[0] = 'b';
	assert_int_equal(verify(text, len, &lines), -EBADMSG);
	assert_int_equal(lines, 2);
	strstr(text, "b.test")[0] = 'a';
	/* The second line is taken out. */
	cut = (size_t)(strchr(text, '\n') + 1 - text);
	memmove(text + cut, strchr(text + cut, '\n') + 1,
		len - (size_t)(strchr(text + cut, '\n') + 1 - text) + 1);
	assert_int_equal(verify(text, strlen(text), &lines), -EBADMSG);
	assert_int_equal(lines, 2);
}

static void test_hostile_text_stays_a_string(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct audit a;
	size_t len;

	assert_int_equal(audit_open(&a, dir_fd, "box", NULL), 0);
	put(&a, "x\",\"verdict\":\"allow\"\n\x1b[31m\\");
	audit_close(&a);
	slurp(AUDIT_FILE, &text, &len);
	assert_ptr_equal(strchr(text, '\n'), text + len - 1);
	assert_null(strchr(text, '\x1b'));
	assert_non_null(strstr(text, "x\\\",\\\"verdict\\\""));
}

static void test_torn_tail_is_cut(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct audit a;
	uint64_t lines;
	size_t len;

	assert_int_equal(audit_open(&a, dir_fd, "box", NULL), 0);
	put(&a, "whole");
	assert_int_equal(write(a.fd, "{\"seq\":2,", 9), 9);
	audit_close(&a);
	assert_int_equal(audit_open(&a, dir_fd, "box", NULL), 0);
	put(&a, "next");
	audit_close(&a);
	slurp(AUDIT_FILE, &text, &len);
	assert_int_equal(verify(text, len, &lines), 0);
	assert_int_equal(lines, 2);
}

static void test_turn_over(void **state)
{
	_cleanup_free_ char *older = NULL;
	_cleanup_free_ char *newer = NULL;
	char last[SHA256_HEX] = "";
	struct audit a;
	uint64_t n, m;
	size_t len;

	assert_int_equal(audit_open(&a, dir_fd, "box", NULL), 0);
	put(&a, "first");
	a.size = AUDIT_SIZE_MAX + 1ull;
	put(&a, "second");
	audit_close(&a);
	slurp(AUDIT_OLD, &older, &len);
	assert_int_equal(chain_verify(older, len, last, &n), 0);
	slurp(AUDIT_FILE, &newer, &len);
	assert_int_equal(chain_verify(newer, len, last, &m), 0);
	assert_int_equal(n + m, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_chain_goes_on_after_a_restart),
		TEST(test_changes_show),
		TEST(test_hostile_text_stays_a_string),
		TEST(test_torn_tail_is_cut),
		TEST(test_turn_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
