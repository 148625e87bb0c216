/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of images, names of images, challenges: what is taken and not. */
#include "cm.h"
#include "image/fetch.h"
#include "image/oci.h"
#include "image/ref.h"

#include <errno.h>
#include <string.h>

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HEX2 "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct oci_doc doc;
static struct oci_saved saved;
static struct oci_config config;
static struct oci_diffs diffs;
static struct err err;

static int parse_doc(const char *text, const char *want)
{
	err = (struct err){0};
	return oci_doc_parse(text, strlen(text), want, &doc, &err);
}

static int parse_config(const char *text)
{
	err = (struct err){0};
	return oci_config_parse(text, strlen(text), &config, &diffs, &err);
}

static void test_manifest(void **state)
{
	assert_int_equal(parse_doc("{\"config\":{\"digest\":\"sha256:" HEX
				   "\",\"size\":7},\"layers\":[{\"digest\":"
				   "\"sha256:" HEX2 "\",\"size\":9}]}",
				 ""),
		0);
	assert_int_equal(doc.kind, OCI_MANIFEST);
	assert_string_equal(doc.config.hex, HEX);
	assert_int_equal(doc.config.size, 7);
	assert_int_equal(doc.n_layers, 1);
	assert_string_equal(doc.layers[0].hex, HEX2);
}

#define ENTRY(hex, arch)                                          \
	"{\"digest\":\"sha256:" hex "\",\"size\":1,\"platform\":" \
	"{\"architecture\":\"" arch "\",\"os\":\"linux\"}}"

static void test_index(void **state)
{
	assert_int_equal(
		parse_doc("{\"manifests\":[" ENTRY(HEX2, "arm64") "," ENTRY(
				  HEX, "amd64") "]}",
			""),
		0);
	assert_int_equal(doc.kind, OCI_INDEX);
	assert_string_equal(doc.pick.hex, HEX);
	assert_int_equal(
		parse_doc("{\"manifests\":[" ENTRY(HEX2, "arm64") "]}", ""),
		-ENOEXEC);
	assert_non_null(strstr(err.text, "arm64"));
	assert_int_equal(parse_doc("{\"manifests\":[]}", ""), -EBADMSG);
}

static void test_manifest_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"schemaVersion\":1,\"fsLayers\":[]}",
		"{\"config\":{\"digest\":\"sha512:" HEX "\"},\"layers\":[]}",
		"{\"config\":{\"digest\":\"sha256:../../x\"},\"layers\":[]}",
		"{\"config\":{\"digest\":\"sha256:" HEX "\"}}",
		"{\"config\":{\"digest\":\"sha256:" HEX
		"\",\"size\":-1},\"layers\":[]}",
		"{\"config\":{\"digest\":\"sha256:" HEX
		"\\u0000\"},\"layers\":[]}",
		"{\"config\":{\"digest\":\"sha256:" HEX
		"\"},\"layers\":[{\"digest\":7}]}",
		"{\"config\":1,\"config\":2,\"layers\":[]}",
	};

	for (size_t k = 0; k < ARRAY_SIZE(bad); k++)
		assert_int_equal(parse_doc(bad[k], ""), -EBADMSG);
}

static void test_too_many_layers(void **state)
{
	_cleanup_free_ char *text = xcalloc(1, 64 * KIB);
	char *at = text;

	at = stpcpy(
		at, "{\"config\":{\"digest\":\"sha256:" HEX "\"},\"layers\":[");
	for (unsigned k = 0; k <= OCI_LAYERS_MAX; k++)
		at = stpcpy(at,
			k ? ",{\"digest\":\"sha256:" HEX "\"}"
			  : "{\"digest\":\"sha256:" HEX "\"}");
	stpcpy(at, "]}");
	assert_int_equal(parse_doc(text, ""), -EBADMSG);
}

#define LINUX "\"architecture\":\"amd64\",\"os\":\"linux\","
#define ROOTFS "\"rootfs\":{\"diff_ids\":[\"sha256:" HEX "\"]}"

static void test_config(void **state)
{
	uint32_t at = 0;

	assert_int_equal(
		parse_config("{" LINUX ROOTFS
			     ",\"config\":{\"User\":\"app\",\"Env\":[\"A=b\","
			     "\"C=d e\"],\"Entrypoint\":[\"/x\"],\"Cmd\":null,"
			     "\"WorkingDir\":\"/w\"},\"history\":[{"
			     "\"created_by\":\"made\"},{\"comment\":1}]}"),
		0);
	assert_string_equal(config.user, "app");
	assert_string_equal(config.workdir, "/w");
	assert_int_equal(config.env.n, 2);
	assert_string_equal(oci_strings_next(&config.env, config.env_text,
				    OCI_ENV_MAX, &at),
		"A=b");
	assert_string_equal(oci_strings_next(&config.env, config.env_text,
				    OCI_ENV_MAX, &at),
		"C=d e");
	assert_null(oci_strings_next(
		&config.env, config.env_text, OCI_ENV_MAX, &at));
	assert_int_equal(config.cmd.n, 0);
	assert_int_equal(config.history.n, 1);
	assert_int_equal(diffs.n, 1);
}

static void test_config_refused(void **state)
{
	assert_int_equal(parse_config("{" LINUX "\"config\":{}}"), -EBADMSG);
	assert_int_equal(parse_config("{\"architecture\":\"arm64\",\"os\":"
				      "\"linux\"," ROOTFS "}"),
		-ENOEXEC);
	assert_int_equal(parse_config("{\"architecture\":\"amd64\",\"os\":"
				      "\"windows\"," ROOTFS "}"),
		-ENOEXEC);
	assert_int_equal(
		parse_config("{" LINUX ROOTFS ",\"config\":{\"Env\":[1]}}"),
		-EBADMSG);
}

/* A struct from a process that was taken over must not lead anywhere. */
static void test_strings_hostile(void **state)
{
	char text[8] = {'a', 'b', '\0', 'c', 'd', 'e', 'f', 'g'};
	struct oci_strings s = {.len = 8};
	uint32_t at = 0;

	assert_string_equal(oci_strings_next(&s, text, 8, &at), "ab");
	assert_null(oci_strings_next(&s, text, 8, &at));
	s.len = 9;
	at = 0;
	assert_null(oci_strings_next(&s, text, 8, &at));
	at = UINT32_MAX;
	s.len = 8;
	assert_null(oci_strings_next(&s, text, 8, &at));
}

static void test_saved(void **state)
{
	const char two[] =
		"[{\"Config\":\"c1\",\"RepoTags\":[\"a:1\"],"
		"\"Layers\":[\"l1\"]},{\"Config\":\"c2\","
		"\"RepoTags\":[\"b:1\"],\"Layers\":[\"l2\",\"l3\"]}]";

	err = (struct err){0};
	assert_int_equal(
		oci_saved_parse(two, strlen(two), "", &saved, &err), -EINVAL);
	assert_int_equal(
		oci_saved_parse(two, strlen(two), "b:1", &saved, &err), 0);
	assert_string_equal(saved.config, "c2");
	assert_int_equal(saved.n_layers, 2);
	assert_string_equal(saved.layers[1], "l3");
	assert_int_equal(oci_saved_parse("[]", 2, "", &saved, &err), -EBADMSG);
	assert_int_equal(oci_saved_parse("[{\"Config\":\"\",\"Layers\":[]}]",
				 28, "", &saved, &err),
		-EBADMSG);
}

static void test_token(void **state)
{
	_cleanup_free_ char *token = xcalloc(1, OCI_TOKEN_MAX);

	assert_int_equal(
		oci_token_parse("{\"token\":\"abc\"}", 15, token, &err), 0);
	assert_string_equal(token, "abc");
	assert_int_equal(
		oci_token_parse("{\"access_token\":\"x\"}", 20, token, &err),
		0);
	/* no header of its own */
	assert_int_equal(
		oci_token_parse("{\"token\":\"a\\r\\nb\"}", 18, token, &err),
		-EBADMSG);
	assert_int_equal(oci_token_parse("{}", 2, token, &err), -EBADMSG);
}

static void test_ref(void **state)
{
	struct image_ref r;

	assert_int_equal(image_ref_parse("debian", &r, &err), 0);
	assert_string_equal(r.host, "registry-1.docker.io");
	assert_string_equal(r.repo, "library/debian");
	assert_string_equal(r.tag, "latest");
	assert_false(r.http);
	assert_int_equal(image_ref_parse("me/app:v1.0", &r, &err), 0);
	assert_string_equal(r.repo, "me/app");
	assert_string_equal(r.tag, "v1.0");
	assert_int_equal(
		image_ref_parse("127.0.0.1:5000/a@sha256:" HEX, &r, &err), 0);
	assert_string_equal(r.host, "127.0.0.1:5000");
	assert_string_equal(r.repo, "a");
	assert_string_equal(r.hex, HEX);
	assert_true(r.http);
	assert_int_equal(image_ref_parse("https://localhost:1/a", &r, &err), 0);
	assert_false(r.http);
	assert_int_equal(image_ref_parse("ghcr.io/a/b:c", &r, &err), 0);
	assert_false(r.http);
}

static void test_ref_refused(void **state)
{
	static const char *const bad[] = {"", "A", "a b", "a/../b", "a//b",
		"/a", "a/", "a:", "a:.x", "a@sha256:12", ("a@md5:" HEX),
		"reg.io/a?x=y", "reg.io:1@x/a", "ex ample.org/a", "a\nb",
		"http://example.org/a", "a:b c"};
	struct image_ref r;

	for (size_t k = 0; k < ARRAY_SIZE(bad); k++)
		assert_int_equal(image_ref_parse(bad[k], &r, &err), -EINVAL);
}

static void test_loopback(void **state)
{
	assert_true(image_ref_loopback("127.0.0.1"));
	assert_true(image_ref_loopback("127.1.2.3:80"));
	assert_true(image_ref_loopback("localhost:80"));
	assert_true(image_ref_loopback("[::1]:80"));
	assert_false(image_ref_loopback("127.evil.org"));
	assert_false(image_ref_loopback("localhost.evil.org"));
	assert_false(image_ref_loopback("[::1].evil.org"));
	assert_false(image_ref_loopback("10.0.0.1"));
}

static void test_challenge(void **state)
{
	struct fetch_reply r = {0};

	fetch_challenge("Bearer realm=\"https://a/b\",service=\"s\", "
			"scope=\"repository:x:pull\"",
		&r);
	assert_true(r.bearer);
	assert_string_equal(r.realm, "https://a/b");
	assert_string_equal(r.service, "s");
	assert_string_equal(r.scope, "repository:x:pull");
	r = (struct fetch_reply){0};
	fetch_challenge("basic realm=x", &r);
	assert_true(r.basic);
	r = (struct fetch_reply){0};
	fetch_challenge("Bearer realm=\"never ends", &r);
	assert_string_equal(r.realm, "");
	fetch_challenge("Digest x", &r);
	assert_false(r.basic);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manifest),
		cmocka_unit_test(test_index),
		cmocka_unit_test(test_manifest_refused),
		cmocka_unit_test(test_too_many_layers),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_config_refused),
		cmocka_unit_test(test_strings_hostile),
		cmocka_unit_test(test_saved),
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_ref),
		cmocka_unit_test(test_ref_refused),
		cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_challenge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
