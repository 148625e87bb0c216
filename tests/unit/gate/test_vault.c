/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "gate/vault.h"
#include "http/base64.h"
#include "wire/gate.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define REAL "sk-real-1234"

static void put_secret(struct buf *b, const char *host, const char *use)
{
	size_t mark = tlv_begin(b, GK_SECRET);

	(void)tlv_put_str(b, GS_NAME, "acme");
	(void)tlv_put_str(b, GS_HOST, host);
	(void)tlv_put_str(b, GS_USE, use);
	(void)tlv_put_str(b, GS_PLACEHOLDER, "cove-secret-acme");
	(void)tlv_put_str(b, GS_VALUE, REAL);
	tlv_end(b, mark);
}

static int file_of(const void *p, size_t len)
{
	int fd = memfd_create("vault", 0);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, len), (ssize_t)len);
	return fd;
}

static struct vault *vault_with(const char *host, const char *use)
{
	struct vault *v = NULL;
	struct err err = {0};
	struct buf b;
	char left[4096];
	int fd;
	ssize_t n;

	buf_init(&b, 4096);
	put_secret(&b, host, use);
	fd = file_of(buf_head(&b), buf_len(&b));
	assert_int_equal(vault_read(fd, &v, &err), 0);
	/* The file that it came in holds nothing any more. */
	n = pread(fd, left, sizeof(left), 0);
	assert_null(memmem(left, (size_t)n, REAL, strlen(REAL)));
	close(fd);
	buf_done(&b);
	return v;
}

static struct hostname name_of(const char *s)
{
	struct hostname n;

	assert_int_equal(name_parse(s, strlen(s), &n), 0);
	return n;
}

/* What becomes of a value; NULL: it stays. */
static void check(const char *host, const char *use, const char *to,
	const char *field, const char *value, const char *want)
{
	struct vault *v = vault_with(host, use);
	struct hostname n = name_of(to);
	struct buf out;
	int r;

	buf_init(&out, 8192);
	r = vault_replace(
		v, &n, 443, field, strlen(field), value, strlen(value), &out);
	if (r != (want != NULL))
		fail_msg("%s: %s: %d", use, value, r);
	if (want) {
		assert_int_equal(buf_len(&out), strlen(want));
		assert_memory_equal(buf_head(&out), want, strlen(want));
	} else {
		assert_int_equal(buf_len(&out), 0);
	}
	buf_done(&out);
	vault_free(v);
}

#define KEY "x-api-key: %s"
#define P "cove-secret-acme"

static void test_fields(void **state)
{
	check("a.test", KEY, "a.test", "X-Api-Key", P, REAL);
	check("a.test", KEY, "b.test", "X-Api-Key", P, NULL);
	check("a.test", KEY, "x.a.test", "X-Api-Key", P, NULL);
	check("*.a.test", KEY, "x.a.test", "X-Api-Key", P, REAL);
	check("a.test:444", KEY, "a.test", "X-Api-Key", P, NULL);
	check("a.test", KEY, "a.test", "X-Other", P, NULL);
	check("a.test", KEY, "a.test", "X-Api-Key", P "x", NULL);
	check("a.test", KEY, "a.test", "X-Api-Key", "x" P, NULL);
	check("a.test", KEY, "a.test", "X-Api-Key", "", NULL);
	check("a.test", "authorization: Bearer %s", "a.test", "Authorization",
		"bearer " P, "bearer " REAL);
	check("a.test", "authorization: Bearer %s", "a.test", "Authorization",
		P, NULL);
	check("a.test", "*: *", "a.test", "X", "1 " P " 2 " P,
		"1 " REAL " 2 " REAL);
	check("a.test", "*: *", "a.test", "X", "cove-secret-acm", NULL);
}

static void test_query(void **state)
{
	check("a.test", "?key", "a.test", "?", "/p?key=" P, "/p?key=" REAL);
	check("a.test", "?key", "a.test", "?", "/p?a=1&key=" P "&b=2",
		"/p?a=1&key=" REAL "&b=2");
	check("a.test", "?key", "a.test", "?", "/p?xkey=" P, NULL);
	check("a.test", "?key", "a.test", "?", "/p?key=" P "x", NULL);
	check("a.test", "?key", "a.test", "?", "/" P, NULL);
	/* A use of the query is none of a field, and the other way. */
	check("a.test", "?key", "a.test", "key", P, NULL);
	check("a.test", KEY, "a.test", "?", "/?x-api-key=" P, NULL);
}

static void basic(const char *plain, const char *want)
{
	char in[256] = "Basic ", out[256] = "Basic ";
	struct buf b;

	buf_init(&b, 256);
	(void)base64_put(&b, plain, strlen(plain));
	memcpy(in + 6, buf_head(&b), buf_len(&b));
	buf_clear(&b);
	if (want) {
		(void)base64_put(&b, want, strlen(want));
		memcpy(out + 6, buf_head(&b), buf_len(&b));
	}
	check("a.test", "authorization: Basic %s", "a.test", "authorization",
		in, want ? out : NULL);
	buf_done(&b);
}

static void test_basic(void **state)
{
	basic("user:" P, "user:" REAL);
	basic(P ":", REAL ":");
	basic(P ":x", REAL ":x");
	basic("user:other", NULL);
	basic("user:" P "x", NULL);
	check("a.test", "authorization: Basic %s", "a.test", "authorization",
		"Basic !!!!", NULL);
	check("a.test", "authorization: Basic %s", "a.test", "authorization",
		"Basic abc", NULL);
}

static void test_refused(void **state)
{
	static const uint8_t junk[] = {1, 2, 3};
	struct vault *v = NULL;
	struct err err = {0};
	struct buf b;
	int fd = file_of(junk, sizeof(junk));

	assert_int_equal(vault_read(fd, &v, &err), -EBADMSG);
	close(fd);
	buf_init(&b, 4096);
	put_secret(&b, "a..b", KEY);
	fd = file_of(buf_head(&b), buf_len(&b));
	assert_true(vault_read(fd, &v, &err) < 0);
	close(fd);
	buf_clear(&b);
	put_secret(&b, "a.test", "no format");
	fd = file_of(buf_head(&b), buf_len(&b));
	assert_true(vault_read(fd, &v, &err) < 0);
	close(fd);
	assert_null(v);
	assert_null(strstr(err.text, REAL));
	assert_null(vault_ca(NULL));
	buf_done(&b);
}

static void test_base64(void **state)
{
	char out[16];
	size_t n;

	assert_int_equal(base64_decode("Zm9v", 4, out, sizeof(out), &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(base64_decode("Zg==", 4, out, sizeof(out), &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(
		base64_decode("Zg=", 3, out, sizeof(out), &n), -EINVAL);
	assert_int_equal(
		base64_decode("Z=g=", 4, out, sizeof(out), &n), -EINVAL);
	assert_int_equal(base64_decode("Zm9v", 4, out, 2, &n), -ENOBUFS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_basic),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
