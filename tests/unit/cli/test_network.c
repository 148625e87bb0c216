/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "cli/network.h"
#include "cli/text.h"

static void good(
	const char *text, const char *address, unsigned host, unsigned port)
{
	struct err err = {0};
	json_t *j;

	assert_int_equal(publish_parse(text, &j, &err), 0);
	assert_string_equal(jstr(j, "address"), address);
	assert_int_equal(ju64(j, "host_port"), host);
	assert_int_equal(ju64(j, "port"), port);
	json_decref(j);
}

static void test_publish(void **state)
{
	good("80", "", 0, 80);
	good("8080:80", "", 8080, 80);
	good("8080:80/tcp", "", 8080, 80);
	good(":80", "", 0, 80);
	good("0.0.0.0:1:65535", "0.0.0.0", 1, 65535);
	good("127.0.0.1::80", "127.0.0.1", 0, 80);
	good("[::1]:8080:80", "::1", 8080, 80);
	good("::1:8080:80", "::1", 8080, 80);
}

static void test_publish_udp(void **state)
{
	struct err err = {0};
	_cleanup_free_ char *text = NULL;
	json_t *j;

	assert_int_equal(publish_parse("5353:53/udp", &j, &err), 0);
	assert_string_equal(jstr(j, "protocol"), "udp");
	text = publish_text(j);
	assert_string_equal(text, ":5353 -> 53/udp");
	json_decref(j);
	assert_int_equal(publish_parse("80", &j, &err), 0);
	assert_string_equal(jstr(j, "protocol"), "tcp");
	json_decref(j);
}

static void test_publish_refused(void **state)
{
	static const char *const bad[] = {"", ":", "0", "65536", "80:", "x:80",
		"80/sctp", "80/tcp/", "1.2.3:1:2", "localhost:1:2",
		"8080:80:", "99999999999999999999:1", "-1", "+80", " 80",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:1:2"};
	struct err err;
	json_t *j;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err = (struct err){0};
		assert_true(publish_parse(bad[i], &j, &err) < 0);
		assert_true(err.text[0]);
	}
}

static void rate(const char *text, uint64_t up, uint64_t down)
{
	struct err err = {0};
	uint64_t u = 0, d = 0;

	assert_int_equal(rate_parse(text, &u, &d, &err), 0);
	assert_int_equal(u, up);
	assert_int_equal(d, down);
}

static void test_rate(void **state)
{
	static const char *const bad[] = {"", "/", "1m/", "fast", "1xbit",
		"bit", "99999999999999999999gbit"};
	struct err err = {0};
	uint64_t u, d;

	rate("1000", 1000, 1000);
	rate("500k/2m", 500 * KIB, 2 * MIB);
	rate("8mbit", 1000000, 1000000);
	rate("8Kbit/1Gbit", 1000, 125000000);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(rate_parse(bad[i], &u, &d, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_publish),
		cmocka_unit_test(test_publish_udp),
		cmocka_unit_test(test_publish_refused),
		cmocka_unit_test(test_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
