/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "wire/ssh.h"

#include <string.h>

/* A request to sign: a key of 3 bytes, data of 2, flags. */
static const uint8_t sign[] = {
	13, 0, 0, 0, 3, 'k', 'e', 'y', 0, 0, 0, 2, 'd', 'a', 0, 0, 0, 4};

static enum ssh_request_kind kind(const void *p, size_t len)
{
	return ssh_request_read(p, len).kind;
}

static void test_list(void **state)
{
	assert_int_equal(kind("\x0b", 1), SSH_LIST);
	assert_int_equal(kind("\x0b\0", 2), SSH_REFUSED);
	assert_int_equal(kind("", 0), SSH_REFUSED);
}

static void test_sign(void **state)
{
	struct ssh_request q = ssh_request_read(sign, sizeof(sign));

	assert_int_equal(q.kind, SSH_SIGN);
	assert_int_equal(q.key_len, 3);
	assert_memory_equal(q.key, "key", 3);
	for (size_t n = 1; n < sizeof(sign); n++)
		assert_int_equal(kind(sign, n), SSH_REFUSED);
}

static void with_byte(size_t at, uint8_t v, enum ssh_request_kind want)
{
	uint8_t b[sizeof(sign) + 1];

	memcpy(b, sign, sizeof(sign));
	b[at] = v;
	assert_int_equal(kind(b, sizeof(sign)), want);
	assert_int_equal(kind(b, sizeof(sign) + 1), SSH_REFUSED);
}

static void test_sign_bent(void **state)
{
	with_byte(17, 2, SSH_SIGN); /* the other hash */
	with_byte(17, 0, SSH_SIGN);
	with_byte(17, 1, SSH_REFUSED); /* no such flag */
	with_byte(4, 0, SSH_REFUSED);  /* lengths that do not meet */
	with_byte(1, 0xff, SSH_REFUSED);
	with_byte(11, 3, SSH_REFUSED);
	with_byte(8, 0xff, SSH_REFUSED);
}

/* Adding, removing, locking, smart cards, extensions: every other number. */
static void test_others(void **state)
{
	for (unsigned i = 0; i < 256; i++) {
		uint8_t b = (uint8_t)i;

		assert_int_equal(kind(&b, 1), i == 11 ? SSH_LIST : SSH_REFUSED);
	}
}

static void test_length(void **state)
{
	assert_int_equal(ssh_length((const uint8_t *)"\0\0\0\1"), 1);
	assert_int_equal(ssh_length((const uint8_t *)"\0\4\0\0"), SSH_MSG_MAX);
	assert_int_equal(ssh_length((const uint8_t *)"\0\4\0\1"), 0);
	assert_int_equal(ssh_length((const uint8_t *)"\xff\xff\xff\xff"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_sign),
		cmocka_unit_test(test_sign_bent),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
