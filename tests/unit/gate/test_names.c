/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "gate/names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static struct hostname name(const char *s)
{
	struct hostname n;

	assert_int_equal(name_parse(s, strlen(s), &n), 0);
	return n;
}

/* The journal's descriptor belongs to the map: the test keeps a second one. */
static int journal(const char *text)
{
	int fd = memfd_create("names", 0);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	return fd;
}

static struct names *open_map(int fd)
{
	struct names *n = NULL;
	struct err err = {0};

	assert_int_equal(names_open(dup(fd), &n, &err), 0);
	return n;
}

static void test_assign_and_find(void **state)
{
	_cleanup_close_ int fd = journal("");
	struct names *n = open_map(fd);
	struct hostname a = name("a.test"), b = name("b.test");
	struct address a4, a6, b4, b6;

	assert_int_equal(names_assign(n, &a, &a4, &a6), 0);
	assert_int_equal(names_assign(n, &b, &b4, &b6), 0);
	assert_memory_not_equal(&a4, &b4, sizeof(a4));
	assert_true(names_is_synthetic(&a4) && names_is_synthetic(&a6));
	assert_string_equal(names_find(n, &a4)->s, "a.test");
	assert_string_equal(names_find(n, &b6)->s, "b.test");
	assert_int_equal(names_assign(n, &a, &b4, &b6), 0);
	assert_memory_equal(&a4, &b4, sizeof(a4));
	names_free(n);
}

static void test_unassigned(void **state)
{
	static const char *const texts[] = {"198.18.0.2", "198.18.0.16",
		"198.19.255.255", "fdc0:7e00::10", "fdc0:7e00:0:1::10",
		"10.0.0.1", "::1"};
	_cleanup_close_ int fd = journal("");
	struct names *n = open_map(fd);
	struct address a;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(
			address_parse(texts[i], strlen(texts[i]), &a), 0);
		assert_null(names_find(n, &a));
	}
	names_free(n);
}

static void test_journal_is_read_again(void **state)
{
	_cleanup_close_ int fd = journal("");
	struct names *n = open_map(fd);
	struct hostname host;
	struct address v4, v6, again4;
	char text[32];

	for (int i = 0; i < 100; i++) {
		(void)snprintf(text, sizeof(text), "h%d.test", i);
		host = name(text);
		assert_int_equal(names_assign(n, &host, &v4, &v6), 0);
	}
	names_free(n);
	n = open_map(fd);
	assert_int_equal(names_assign(n, &host, &again4, &v6), 0);
	assert_memory_equal(&again4, &v4, sizeof(v4));
	names_free(n);
}

static void test_torn_line_is_dropped(void **state)
{
	_cleanup_close_ int fd = journal("a.test\nb.te");
	struct names *n = open_map(fd);
	struct hostname b = name("b.test");
	struct address v4, v6;

	assert_int_equal(lseek(fd, 0, SEEK_END), 7);
	assert_int_equal(names_assign(n, &b, &v4, &v6), 0);
	assert_string_equal(names_find(n, &v4)->s, "b.test");
	names_free(n);
}

static void test_damage_is_refused(void **state)
{
	static const char *const bad[] = {
		"a.test\na.test\n", "no name!\n", "\n", "A.test\n\n"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct names *n = NULL;
		struct err err = {0};

		assert_int_equal(
			names_open(journal(bad[i]), &n, &err), -EBADMSG);
		assert_null(n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_assign_and_find),
		cmocka_unit_test(test_unassigned),
		cmocka_unit_test(test_journal_is_read_again),
		cmocka_unit_test(test_torn_line_is_dropped),
		cmocka_unit_test(test_damage_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
