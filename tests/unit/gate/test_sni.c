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

/*
 * times: how often the name extension stands there; alpn: the list of names
 * with their lengths, or "".
 */
static struct hello make_alpn(const char *name, int times, const char *alpn)
{
	struct hello exts = {.n = 0}, h = {.n = 9};
	size_t len = strlen(alpn);

	if (len) {
		put16(&exts, 16);
		put16(&exts, len + 2);
		put16(&exts, len);
		put(&exts, alpn, len);
	}

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

static struct hello make(const char *name, int times)
{
	return make_alpn(name, times, "");
}

static void test_name(void **state)
{
	struct hello h = make("WWW.Example.com", 1);
	struct hostname n;
	bool alien;

	assert_int_equal(sni_parse(h.b, h.n, &n, &alien), SNI_NAME);
	assert_string_equal(n.s, "www.example.com");
}

static void test_every_cut_wants_more(void **state)
{
	struct hello h = make("example.com", 1);
	struct hostname n;
	bool alien;

	for (size_t i = 0; i < h.n; i++)
		assert_int_equal(sni_parse(h.b, i, &n, &alien), SNI_MORE);
}

/* The message cut into records of one byte each is the same message. */
static void test_split_records(void **state)
{
	struct hello h = make("example.com", 1);
	static uint8_t out[6 * 1024];
	struct hostname n;
	bool alien;
	size_t len = 0;

	for (size_t i = 5; i < h.n; i++) {
		memcpy(out + len, "\x16\3\1\0\1", 5);
		out[len + 5] = h.b[i];
		len += 6;
	}
	assert_int_equal(sni_parse(out, len, &n, &alien), SNI_NAME);
	assert_string_equal(n.s, "example.com");
}

static void test_others(void **state)
{
	struct hello none = make("", 0), two = make("a.test", 2);
	struct hello bad = make("a..test", 1), addr = make("10.0.0.1", 1);
	struct hostname n;
	bool alien;

	assert_int_equal(sni_parse(none.b, none.n, &n, &alien), SNI_NONE);
	assert_int_equal(sni_parse(two.b, two.n, &n, &alien), SNI_BAD);
	assert_int_equal(sni_parse(bad.b, bad.n, &n, &alien), SNI_BAD);
	assert_int_equal(sni_parse(addr.b, addr.n, &n, &alien), SNI_BAD);
	assert_int_equal(sni_parse((const uint8_t *)"GET /", 5, &n, &alien),
		SNI_NOT_TLS);
	assert_int_equal(sni_parse((const uint8_t *)"SSH-2.0", 7, &n, &alien),
		SNI_NOT_TLS);
	assert_int_equal(sni_parse((const uint8_t *)"\x16\3\1\0\4\2\0\0\0", 9,
				 &n, &alien),
		SNI_BAD); /* a ServerHello */
}

static void test_alpn(void **state)
{
	static const struct {
		const char *list;
		bool alien;
	} t[] = {{"", false}, {"\x02h2", false}, {"\x08http/1.1", false},
		{"\x04imap\x02h2", false}, {"\x04imap", true},
		{"\x02h3\x08http/1.0", true}, {"\x03h2c", true}};
	struct hostname n;
	bool alien;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct hello h = make_alpn("a.test", 1, t[i].list);

		alien = !t[i].alien;
		assert_int_equal(sni_parse(h.b, h.n, &n, &alien), SNI_NAME);
		assert_int_equal(alien, t[i].alien);
	}
	struct hello bad = make_alpn("a.test", 1, "\x05imap");

	assert_int_equal(sni_parse(bad.b, bad.n, &n, &alien), SNI_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_every_cut_wants_more),
		cmocka_unit_test(test_split_records),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_alpn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
