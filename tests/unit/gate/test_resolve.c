/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "gate/resolve.h"
#include "wire/egress.h"

#include <errno.h>
#include <string.h>

static const char hosts[] = "# comment\n"
			    "127.0.0.1\tlocalhost\n"
			    "::1 localhost a.test # b.test\n"
			    "10.0.0.1 A.TEST. other.test\n"
			    "not-an-address a.test\n"
			    "010.0.0.9 a.test\n"
			    "10.0.0.2 a.test";

static size_t find(const char *s, struct address *out, size_t max)
{
	struct hostname n;

	assert_int_equal(name_parse(s, strlen(s), &n), 0);
	return hosts_find(hosts, &n, out, max);
}

static void test_hosts(void **state)
{
	struct address a[4];
	char text[64];

	assert_int_equal(find("a.test", a, 4), 3);
	assert_string_equal(address_format(&a[0], text, sizeof(text)), "::1");
	assert_string_equal(
		address_format(&a[1], text, sizeof(text)), "10.0.0.1");
	assert_string_equal(
		address_format(&a[2], text, sizeof(text)), "10.0.0.2");
	assert_int_equal(find("a.test", a, 1), 1);
	assert_int_equal(find("b.test", a, 4), 0);
	assert_int_equal(find("other.test", a, 4), 1);
}

static void test_egress_header(void **state)
{
	struct egress_head h = {.proto = EGRESS_TCP, .port = 443}, back;
	uint8_t b[EGRESS_HEAD];

	h.addr[15] = 7;
	egress_put(b, &h);
	assert_int_equal(egress_get(b, &back), 0);
	assert_int_equal(back.port, 443);
	assert_memory_equal(back.addr, h.addr, 16);
	for (size_t i = 0; i < 8; i++) {
		uint8_t bad[EGRESS_HEAD];

		memcpy(bad, b, sizeof(bad));
		if (i == 2 || i == 3)
			bad[2] = bad[3] = 0; /* port 0 */
		else
			bad[i] ^= 0x80;
		assert_int_equal(egress_get(bad, &back), -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_egress_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
