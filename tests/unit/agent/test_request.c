/* SPDX-License-Identifier: Apache-2.0 */
/* What the host asks: exec requests and the config, as checked structs. */
#include "cm.h"

#include "agent/config.h"
#include "agent/request.h"
#include "agent/spawn.h"
#include "wire/agent.h"
#include <errno.h>
#include <string.h>

static struct buf body;

static int setup(void **state)
{
	buf_init(&body, 1 * MIB);
	return 0;
}

static int teardown(void **state)
{
	buf_done(&body);
	return 0;
}

static void str(uint16_t tag, const char *s)
{
	assert_int_equal(tlv_put_str(&body, tag, s), 0);
}

static void u32(uint16_t tag, uint32_t v)
{
	assert_int_equal(tlv_put_u32(&body, tag, v), 0);
}

static int parse(uint8_t type, struct request *q, struct err *err)
{
	return request_parse(type, buf_head(&body), buf_len(&body), q, err);
}

static void refused(uint8_t type, int r)
{
	struct request q = {.id = 9};
	struct err err = {0};

	assert_int_equal(parse(type, &q, &err), r);
	assert_int_equal(q.id, 9);
	assert_true(err.text[0]);
	buf_clear(&body);
}

static void test_exec(void **state)
{
	_cleanup_(request_done) struct request q;

	str(AT_ARG, "sh");
	str(AT_ARG, "");
	str(AT_ENV, "A=1");
	str(AT_ENV, "B=");
	str(AT_ENV, "A=2=3");
	str(AT_CWD, "/tmp");
	str(AT_USER, "me:you");
	u32(AT_FLAGS, EX_TTY | EX_STDIN);
	u32(AT_ROWS, 24);
	u32(AT_COLS, 80);
	str(999, "of a newer host");
	assert_int_equal(parse(AF_EXEC, &q, NULL), 0);
	assert_int_equal(q.argv.n, 2);
	assert_string_equal(q.argv.v[0], "sh");
	assert_string_equal(q.argv.v[1], "");
	assert_null(q.argv.v[2]);
	assert_int_equal(q.env.n, 2);
	assert_string_equal(strv_getenv(&q.env, "A"), "2=3");
	assert_string_equal(strv_getenv(&q.env, "B"), "");
	assert_null(strv_getenv(&q.env, ""));
	assert_string_equal(q.cwd, "/tmp");
	assert_string_equal(q.user, "me:you");
	assert_int_equal(q.flags, EX_TTY | EX_STDIN);
	assert_int_equal(q.rows, 24);
	assert_int_equal(q.cols, 80);
}

static void test_exec_refused(void **state)
{
	refused(AF_EXEC, -EINVAL); /* nothing */
	str(AT_ARG, "");
	refused(AF_EXEC, -EINVAL);
	str(AT_ARG, "a");
	str(AT_ENV, "no value");
	refused(AF_EXEC, -EINVAL);
	str(AT_ARG, "a");
	str(AT_ENV, "=no name");
	refused(AF_EXEC, -EINVAL);
	str(AT_ARG, "a");
	assert_int_equal(tlv_put(&body, AT_ARG, "a\0b", 3), 0);
	refused(AF_EXEC, -EBADMSG);
	str(AT_ARG, "a");
	u32(AT_COLS, 65536);
	refused(AF_EXEC, -EINVAL);
	str(AT_ARG, "a");
	assert_int_equal(tlv_put(&body, AT_FLAGS, "123", 3), 0);
	refused(AF_EXEC, -EBADMSG);
	assert_int_equal(buf_put(&body, "junk", 4), 0);
	refused(AF_EXEC, -EBADMSG);
}

static void test_too_many_arguments(void **state)
{
	_cleanup_(request_done) struct request q;

	for (unsigned int i = 0; i < AGENT_ARGV_MAX; i++)
		str(AT_ARG, "a");
	assert_int_equal(parse(AF_EXEC, &q, NULL), 0);
	assert_int_equal(q.argv.n, AGENT_ARGV_MAX);
	str(AT_ARG, "a");
	refused(AF_EXEC, -E2BIG);
}

static void test_long_strings(void **state)
{
	_cleanup_free_ char *s = xcalloc(AGENT_STR_MAX + 2, 1);
	_cleanup_(request_done) struct request q;

	memset(s, 'x', AGENT_STR_MAX);
	str(AT_ARG, s);
	assert_int_equal(parse(AF_EXEC, &q, NULL), 0);
	s[AGENT_STR_MAX] = 'x';
	str(AT_ARG, s);
	refused(AF_EXEC, -EBADMSG);
	str(AT_ARG, "a");
	s[AGENT_PATH_MAX] = '\0';
	str(AT_CWD, s);
	refused(AF_EXEC, -EBADMSG);
}

static void test_other_requests(void **state)
{
	struct request q;

	refused(AF_ATTACH, -EINVAL);
	u32(AT_ID, 0);
	refused(AF_ATTACH, -EINVAL);
	u32(AT_ID, 3);
	assert_int_equal(parse(AF_ATTACH, &q, NULL), 0);
	assert_int_equal(q.id, 3);
	refused(AF_SIGNAL, -EINVAL);
	u32(AT_ID, 3);
	u32(AT_SIGNO, 65);
	refused(AF_SIGNAL, -EINVAL);
	u32(AT_ID, 3);
	u32(AT_SIGNO, 15);
	assert_int_equal(parse(AF_SIGNAL, &q, NULL), 0);
	buf_clear(&body);
	refused(AF_GET, -EINVAL);
	str(AT_PATH, "");
	refused(AF_PUT, -EINVAL);
	assert_int_equal(parse(AF_LIST, &q, NULL), 0);
}

static void test_winsize(void **state)
{
	uint32_t rows = 1, cols = 1;

	u32(AT_ROWS, 50);
	u32(AT_COLS, 132);
	assert_int_equal(
		request_winsize(buf_head(&body), buf_len(&body), &rows, &cols),
		0);
	assert_int_equal(rows, 50);
	assert_int_equal(cols, 132);
	u32(AT_COLS, 1u << 20);
	assert_int_equal(
		request_winsize(buf_head(&body), buf_len(&body), &rows, &cols),
		-EBADMSG);
	assert_int_equal(cols, 132);
}

/* ---- config ---- */

#define UUID "0b0e0000-1111-2222-3333-444455556666"

static void put_mount(const char *export, const char *target, uint32_t flags)
{
	size_t m = tlv_begin(&body, AT_MOUNT);

	if (export)
		str(AM_EXPORT, export);
	if (target)
		str(AM_TARGET, target);
	u32(AM_FLAGS, flags);
	tlv_end(&body, m);
}

static int config(struct config *c, struct err *err)
{
	int r = config_parse(buf_head(&body), buf_len(&body), c, err);

	buf_clear(&body);
	return r;
}

static void minimal(void)
{
	str(AT_NAME, "box");
	str(AT_SANDBOX, UUID);
}

static void test_config(void **state)
{
	_cleanup_(config_done) struct config c;

	minimal();
	u32(AT_VERSION, WIRE_VERSION);
	str(AT_WORKDIR, "/home/me/x y");
	str(AT_AGENT_USER, "agent");
	str(AT_ENV, "A=b");
	assert_int_equal(tlv_put(&body, AT_ENTROPY, "0123456789", 10), 0);
	assert_int_equal(tlv_put_u64(&body, AT_REALTIME_NS, 5000000000u), 0);
	u32(AT_PIDS_MAX, 77);
	put_mount("0", "/home/me/x y", 0);
	put_mount("1", "/etc/file", AMF_RO | AMF_FILE);
	assert_int_equal(config(&c, NULL), 0);
	assert_string_equal(c.name, "box");
	assert_string_equal(c.sandbox, UUID);
	assert_string_equal(c.workdir, "/home/me/x y");
	assert_string_equal(c.user, "agent");
	assert_string_equal(strv_getenv(&c.env, "A"), "b");
	assert_int_equal(c.n_entropy, 10);
	assert_int_equal(c.realtime_ns, 5000000000u);
	assert_int_equal(c.pids_max, 77);
	assert_int_equal(c.n_mounts, 2);
	assert_string_equal(c.mounts[1].export, "1");
	assert_string_equal(c.mounts[1].target, "/etc/file");
	assert_int_equal(c.mounts[1].flags, AMF_RO | AMF_FILE);
}

static void config_refused(void)
{
	struct config c = {.pids_max = 5};
	struct err err = {0};

	assert_true(config(&c, &err) < 0);
	assert_int_equal(c.pids_max, 5);
	assert_true(err.text[0]);
}

static void test_config_refused(void **state)
{
	static const char *const targets[] = {"", "/", "relative", "/a/../b",
		"/a/./b", "//a", "/a//b", "/a/", "/..", "/a/.."};
	static const char *const exports[] = {"", ".", "..", "a/b"};
	static const char *const names[] = {
		"", "Box", "a b", "-a", ".a", "a\nb", "\xc3\xa4"};

	config_refused();
	str(AT_NAME, "box");
	config_refused();
	str(AT_SANDBOX, UUID);
	config_refused();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		str(AT_SANDBOX, UUID);
		str(AT_NAME, names[i]);
		config_refused();
	}
	str(AT_NAME, "box");
	str(AT_SANDBOX, "0b0e0000-1111-2222-3333-44445555666");
	config_refused();
	str(AT_NAME, "box");
	str(AT_SANDBOX, "0b0e0000-1111-2222-3333-44445555666g");
	config_refused();
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		minimal();
		put_mount("0", targets[i], 0);
		config_refused();
	}
	for (size_t i = 0; i < ARRAY_SIZE(exports); i++) {
		minimal();
		put_mount(exports[i], "/a", 0);
		config_refused();
	}
	minimal();
	put_mount(NULL, "/a", 0);
	config_refused();
	minimal();
	put_mount("0", NULL, 0);
	config_refused();
	minimal();
	str(AT_WORKDIR, "not/absolute");
	config_refused();
	minimal();
	u32(AT_VERSION, WIRE_VERSION + 1);
	config_refused();
}

static void test_config_bounds(void **state)
{
	static const uint8_t much[CONFIG_ENTROPY_MAX + 1];
	struct config c;

	minimal();
	for (unsigned int i = 0; i < CONFIG_MOUNTS; i++)
		put_mount("x", "/a", 0);
	assert_int_equal(config(&c, NULL), 0);
	config_done(&c);
	minimal();
	for (unsigned int i = 0; i <= CONFIG_MOUNTS; i++)
		put_mount("x", "/a", 0);
	config_refused();
	minimal();
	assert_int_equal(tlv_put(&body, AT_ENTROPY, much, sizeof(much)), 0);
	config_refused();
}

/* Repeated fields: the last one counts and nothing leaks. */
static void test_config_twice(void **state)
{
	_cleanup_(config_done) struct config c;

	minimal();
	str(AT_NAME, "second");
	str(AT_AGENT_USER, "a");
	str(AT_AGENT_USER, "b");
	assert_int_equal(config(&c, NULL), 0);
	assert_string_equal(c.name, "second");
	assert_string_equal(c.user, "b");
}

/* ---- the environment and the program ---- */

static void test_environ_order(void **state)
{
	char name[] = "n", home[] = "/h", shell[] = "/s", box[] = "box";
	struct account who = {.name = name, .home = home, .shell = shell};
	_cleanup_(strv_done) struct strv env = {0};
	struct config c = {.name = box};
	struct request q = {0};

	assert_int_equal(strv_setenv(&c.env, xstrdup("HOME=/sandbox")), 0);
	assert_int_equal(strv_setenv(&c.env, xstrdup("A=sandbox")), 0);
	assert_int_equal(strv_setenv(&q.env, xstrdup("A=request")), 0);
	spawn_environ(&c, &q, &who, &env);
	assert_string_equal(strv_getenv(&env, "HOME"), "/sandbox");
	assert_string_equal(strv_getenv(&env, "A"), "request");
	assert_string_equal(strv_getenv(&env, "USER"), "n");
	assert_string_equal(strv_getenv(&env, "LOGNAME"), "n");
	assert_string_equal(strv_getenv(&env, "SHELL"), "/s");
	assert_string_equal(strv_getenv(&env, "LANG"), "C.UTF-8");
	assert_string_equal(strv_getenv(&env, "COVE_NAME"), "box");
	assert_null(strv_getenv(&env, "TERM"));
	strv_done(&env);
	q.flags = EX_TTY;
	spawn_environ(&c, &q, &who, &env);
	assert_string_equal(strv_getenv(&env, "TERM"), "xterm-256color");
	strv_done(&c.env);
	request_done(&q);
}

static void test_lookup(void **state)
{
	_cleanup_free_ char *a = NULL, *b = NULL, *c = NULL;

	assert_int_equal(spawn_lookup("sh", "/nowhere:/bin", &a), 0);
	assert_string_equal(a, "/bin/sh");
	assert_int_equal(spawn_lookup("./x", "/bin", &b), 0);
	assert_string_equal(b, "./x");
	assert_int_equal(spawn_lookup("sh", "", &c), -ENOENT);
	assert_int_equal(spawn_lookup("no-such", "/bin:/usr/bin", &c), -ENOENT);
	/* Found, but nothing that could be run: 126, not 127. */
	assert_int_equal(spawn_lookup("passwd", "/etc:/nowhere", &c), -EACCES);
	assert_int_equal(spawn_lookup("etc", "/", &c), -EACCES);
	assert_null(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_exec, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_exec_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_too_many_arguments, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_long_strings, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_other_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_winsize, setup, teardown),
		cmocka_unit_test_setup_teardown(test_config, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_config_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_config_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_config_twice, setup, teardown),
		cmocka_unit_test(test_environ_order),
		cmocka_unit_test(test_lookup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
