/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "gate/sni.h"

#include <string.h>

struct hello {
	uint8_t b[1024];
	size_t n;
};

static void put(struct hello *h, const void *p, size_t n)
{
	memcpy(h->b + h->n, p, n);
	h->n += n;
}

static void put16(struct hello *h, size_t v)
{
	const uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};

	put(h, b, 2);
}

static void put_name(struct hello *h, const char *name)
{
	size_t n = strlen(name);

	put16(h, 0);
	put16(h, n + 5);
	put16(h, n + 3);
	put(h, "", 1);
	put16(h, n);
	put(h, name, n);
}

/* times: how often the name extension stands there. */
static struct hello make(const char *name, int times)
{
	struct hello exts = {.n = 0}, h = {.n = 9};

	for (int i = 0; i < times; i++)
		put_name(&exts, name);
	put16(&h, 0x0303);
	h.n += 32;
	put(&h, "\0\0\2\x13\1\1\0", 7);
	put16(&h, exts.n);
	put(&h, exts.b, exts.n);
	memcpy(h.b, "\x16\3\1", 3);
	h.b[3] = (uint8_t)((h.n - 5) >> 8);
	h.b[4] = (uint8_t)(h.n - 5);
	h.b[5] = 1;
	h.b[7] = (uint8_t)((h.n - 9) >> 8);
	h.b[8] = (uint8_t)(h.n - 9);
	return h;
}

static void test_name(void **state)
{
	struct hello h = make("WWW.Example.com", 1);
	struct hostname n;

	assert_int_equal(sni_parse(h.b, h.n, &n), SNI_NAME);
	assert_string_equal(n.s, "www.example.com");
}

static void test_every_cut_wants_more(void **state)
{
	struct hello h = make("example.com", 1);
	struct hostname n;

	for (size_t i = 0; i < h.n; i++)
		assert_int_equal(sni_parse(h.b, i, &n), SNI_MORE);
}

/* The message cut into records of one byte each is the same message. */
static void test_split_records(void **state)
{
	struct hello h = make("example.com", 1);
	static uint8_t out[6 * 1024];
	struct hostname n;
	size_t len = 0;

	for (size_t i = 5; i < h.n; i++) {
		memcpy(out + len, "\x16\3\1\0\1", 5);
		out[len + 5] = h.b[i];
		len += 6;
	}
	assert_int_equal(sni_parse(out, len, &n), SNI_NAME);
	assert_string_equal(n.s, "example.com");
}

static void test_others(void **state)
{
	struct hello none = make("", 0), two = make("a.test", 2);
	struct hello bad = make("a..test", 1), addr = make("10.0.0.1", 1);
	struct hostname n;

	assert_int_equal(sni_parse(none.b, none.n, &n), SNI_NONE);
	assert_int_equal(sni_parse(two.b, two.n, &n), SNI_BAD);
	assert_int_equal(sni_parse(bad.b, bad.n, &n), SNI_BAD);
	assert_int_equal(sni_parse(addr.b, addr.n, &n), SNI_BAD);
	assert_int_equal(
		sni_parse((const uint8_t *)"GET /", 5, &n), SNI_NOT_TLS);
	assert_int_equal(
		sni_parse((const uint8_t *)"SSH-2.0", 7, &n), SNI_NOT_TLS);
	assert_int_equal(
		sni_parse((const uint8_t *)"\x16\3\1\0\4\2\0\0\0", 9, &n),
		SNI_BAD); /* a ServerHello */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_every_cut_wants_more),
		cmocka_unit_test(test_split_records),
		cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
