/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/jks.h"
#include "cm.h"

#include <errno.h>
#include <string.h>

/* An empty store, as keytool writes it. */
static const uint8_t empty[] = {0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 0,
	0xe2, 0x68, 0x6e, 0x45, 0xfb, 0x43, 0xdf, 0xa4, 0xd9, 0x92, 0xdd, 0x41,
	0xce, 0xb6, 0xb2, 0x1c, 0x63, 0x30, 0xd7, 0x92};
static const char one[] = "-----BEGIN CERTIFICATE-----\n"
			  "b25lIGNl\ncnRpZmljYXRl\n"
			  "-----END CERTIFICATE-----\n";
static const char two[] = "text before\n-----BEGIN CERTIFICATE-----\n"
			  "dHdv\n-----END CERTIFICATE-----\n";

static int add(const uint8_t *p, size_t len, const char *pem, struct buf *b)
{
	buf_init(b, JKS_MAX);
	return jks_add(p, len, pem, b);
}

static void test_add(void **state)
{
	struct buf a, b, c;

	assert_int_equal(add(empty, sizeof(empty), one, &a), 0);
	assert_int_equal(buf_head(&a)[11], 1);
	assert_non_null(memmem(
		buf_head(&a), buf_len(&a), "\0\4cove", strlen("cove") + 2));
	assert_non_null(memmem(buf_head(&a), buf_len(&a),
		"\0\5X.509\0\0\0\x0fone certificate", 26));
	/* Its digest is right: it is taken as a store. */
	assert_int_equal(add(buf_head(&a), buf_len(&a), one, &b), -EEXIST);
	assert_int_equal(buf_len(&b), 0);
	assert_int_equal(add(buf_head(&a), buf_len(&a), two, &c), 0);
	assert_int_equal(buf_head(&c)[11], 2);
	buf_done(&a);
	buf_done(&c);
}

static void test_refused(void **state)
{
	uint8_t bent[sizeof(empty)];
	struct buf b;

	for (size_t i = 0; i < sizeof(empty); i++) {
		memcpy(bent, empty, sizeof(empty));
		bent[i] ^= 1;
		assert_int_equal(add(bent, sizeof(bent), one, &b), -EINVAL);
		assert_int_equal(add(empty, i, one, &b), -EINVAL);
	}
	assert_int_equal(add(empty, sizeof(empty), "", &b), -EINVAL);
	assert_int_equal(
		add(empty, sizeof(empty), "-----BEGIN CERTIFICATE-----", &b),
		-EINVAL);
}

/* A store of another shape: PKCS#12 begins with a DER sequence. */
static void test_pkcs12(void **state)
{
	static const uint8_t p12[64] = {0x30, 0x82};
	struct buf b;

	assert_int_equal(add(p12, sizeof(p12), one, &b), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_pkcs12),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
