/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "gate/dns.h"

#include <errno.h>
#include <string.h>

#define Q_HEAD "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
#define Q_NAME "\3WWW\4test\0"
#define Q_A "\0\1\0\1"

static int parse(const char *p, size_t len, struct dns_query *q)
{
	return dns_query_parse((const uint8_t *)p, len, q);
}
#define PARSE(lit, q) parse(lit, sizeof(lit) - 1, q)

static void test_question(void **state)
{
	struct dns_query q;

	assert_int_equal(PARSE(Q_HEAD Q_NAME Q_A, &q), DNS_OK);
	assert_int_equal(q.id, 0x1234);
	assert_true(q.recursion && q.is_name);
	assert_int_equal(q.type, DNS_A);
	assert_string_equal(q.name.s, "www.test");
}

static void test_answer_keeps_the_case(void **state)
{
	static const uint8_t v4[4] = {198, 18, 0, 16};
	uint8_t out[DNS_MESSAGE_MAX];
	struct dns_query q;
	size_t n;

	assert_int_equal(PARSE(Q_HEAD Q_NAME Q_A, &q), DNS_OK);
	n = dns_answer(&q, DNS_OK, v4, 4, 60, out);
	assert_int_equal(n, 12 + 10 + 4 + 12 + 4);
	assert_memory_equal(out, "\x12\x34\x81\x80\0\1\0\1\0\0\0\0", 12);
	assert_memory_equal(out + 12, Q_NAME Q_A, 14);
	assert_memory_equal(out + 26, "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4", 12);
	assert_memory_equal(out + 38, v4, 4);
	n = dns_answer(&q, DNS_NXDOMAIN, NULL, 0, 0, out);
	assert_int_equal(n, 26);
	assert_int_equal(out[3] & 15, DNS_NXDOMAIN);
}

static void test_what_is_no_question(void **state)
{
	struct dns_query q;

	assert_int_equal(PARSE("", &q), -EBADMSG);
	assert_int_equal(PARSE("\x12\x34\x81\x80\0\1\0\0\0\0\0\0", &q),
		-EBADMSG); /* an answer */
	assert_int_equal(PARSE("\0\0\x28\0\0\1\0\0\0\0\0\0", &q), DNS_NOTIMP);
	assert_int_equal(
		PARSE("\0\0\1\0\0\2\0\0\0\0\0\0" Q_NAME Q_A, &q), DNS_FORMERR);
	assert_int_equal(PARSE(Q_HEAD, &q), DNS_FORMERR);
	assert_int_equal(PARSE(Q_HEAD "\3WW", &q), DNS_FORMERR);
	assert_int_equal(PARSE(Q_HEAD "\xc0\x0c" Q_A, &q), DNS_FORMERR);
	assert_int_equal(PARSE(Q_HEAD Q_NAME "\0\1", &q), DNS_FORMERR);
	assert_int_equal(PARSE(Q_HEAD Q_NAME "\0\1\0\3", &q), DNS_NOTIMP);
}

/* Every cut of a good message is refused, and nothing is read beyond it. */
static void test_cuts(void **state)
{
	static const char msg[] = Q_HEAD Q_NAME Q_A;

	for (size_t n = 0; n < sizeof(msg) - 1; n++) {
		char *copy = malloc(n + !n);
		struct dns_query q;

		assert_non_null(copy);
		memcpy(copy, msg, n);
		assert_int_not_equal(parse(copy, n, &q), DNS_OK);
		free(copy);
	}
}

static void test_a_dot_in_a_label_is_no_name(void **state)
{
	struct dns_query q;

	assert_int_equal(PARSE(Q_HEAD "\3a.b\4test\0" Q_A, &q), DNS_OK);
	assert_false(q.is_name);
	assert_int_equal(PARSE(Q_HEAD "\0" Q_A, &q), DNS_OK);
	assert_false(q.is_name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_question),
		cmocka_unit_test(test_answer_keeps_the_case),
		cmocka_unit_test(test_what_is_no_question),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_a_dot_in_a_label_is_no_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
