/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "agent/docker_spec.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEV "{\"destination\":\"/dev\",\"type\":\"tmpfs\"}"
#define MOUNT                                                           \
	"{\"destination\":\"/dev/cove-ca.crt\",\"type\":\"bind\","      \
	"\"source\":\"/b/ca\",\"options\":[\"bind\",\"ro\",\"nosuid\"," \
	"\"nodev\",\"noexec\"]}"
#define V(name) "\"" name "=/dev/cove-ca.crt\""
#define ALL                                                    \
	V("SSL_CERT_FILE")                                     \
	"," V("CURL_CA_BUNDLE") "," V("GIT_SSL_CAINFO") "," V( \
		"REQUESTS_CA_BUNDLE") "," V("NODE_EXTRA_CA_CERTS")

static void becomes(const char *json, const char *source, const char *want)
{
	_cleanup_(buf_done) struct buf out;

	buf_init(&out, 1 << 20);
	assert_int_equal(docker_spec_edit(json, source, &out), 1);
	assert_string_equal((const char *)buf_head(&out), want);
	assert_int_equal(buf_len(&out), strlen(want) + 1);
}

static void stays(const char *json, const char *source, int want)
{
	_cleanup_(buf_done) struct buf out;

	buf_init(&out, 1 << 20);
	assert_int_equal(docker_spec_edit(json, source, &out), want);
	assert_int_equal(buf_len(&out), 0);
}

static void test_whole(void **state)
{
	becomes("{\"a\":[1,{\"env\":[]}],\"process\":{\"env\":[\"A=\\\"]\"]},"
		"\"mounts\":[" DEV "]}",
		"/b/ca",
		"{\"a\":[1,{\"env\":[]}],\"process\":{\"env\":[" ALL
		",\"A=\\\"]\"]},\"mounts\":[" DEV "," MOUNT "]}");
	/* The other order, white space, an environment without entries. */
	becomes("{ \"mounts\" : [ " DEV " ] ,\n\"process\" : { \"env\" : [ ] } "
		"}",
		"/b/ca",
		"{ \"mounts\" : [ " DEV " ," MOUNT
		"] ,\n\"process\" : { \"env\" : [" ALL " ] } }");
}

static void test_what_an_image_sets_stays(void **state)
{
	becomes("{\"process\":{\"env\":[\"SSL_CERT_FILE=/own\",\"X=1\"]},"
		"\"mounts\":[" DEV "]}",
		"/b/ca",
		"{\"process\":{\"env\":[" V("CURL_CA_BUNDLE") "," V("GIT_SSL_CAINFO") "," V(
			"REQUESTS_CA_BUNDLE") "," V("NODE_EXTRA_CA_CERTS") ",\"SSL_CERT_FILE=/own\","
									   "\"X=1\"]},\"mounts\":[" DEV
									   "," MOUNT
									   "]}");
}

static void test_exec(void **state)
{
	becomes("{\"env\":[\"A=1\"],\"cwd\":\"/\"}", NULL,
		"{\"env\":[" ALL ",\"A=1\"],\"cwd\":\"/\"}");
}

static void test_no_place_for_it(void **state)
{
	/* /dev is the guest's own, or there is none: no file is made in it. */
	stays("{\"process\":{\"env\":[]},\"mounts\":[{\"destination\":\"/dev\","
	      "\"type\":\"bind\"}]}",
		"/b/ca", 0);
	stays("{\"process\":{\"env\":[]},\"mounts\":[]}", "/b/ca", 0);
	stays("{\"process\":{},\"mounts\":[" DEV "]}", "/b/ca", 0);
	stays("{\"process\":{\"env\":{}},\"mounts\":[" DEV "]}", "/b/ca", 0);
	stays("{\"process\":{\"env\":[]},\"mounts\":[" DEV "]}", "/b\"x", 0);
	stays("{\"process\":{\"env\":[]},\"mounts\":[" DEV "," MOUNT "]}",
		"/b/ca", 0);
	stays("[]", "/b/ca", 0);
	stays("", NULL, 0);
}

static void test_malformed(void **state)
{
	stays("{\"env\":[\"A", NULL, -EBADMSG);
	stays("{\"env\":[\"A\" \"B\"]}", NULL, -EBADMSG);
	stays("{\"env\":[}", NULL, -EBADMSG);
	stays("{\"env\":[1,,2]}", NULL, -EBADMSG);
}

static void test_root(void **state)
{
	_cleanup_free_ char *a =
		docker_spec_root("{\"root\":{\"path\":\"/x/merged\"}}");
	_cleanup_free_ char *b = docker_spec_root(
		"{\"root\":{\"readonly\":true,\"path\":\"rootfs\"}}");

	assert_string_equal(a, "/x/merged");
	assert_string_equal(b, "rootfs");
	assert_null(docker_spec_root("{\"root\":{\"path\":\"a\\u0000\"}}"));
	assert_null(docker_spec_root("{\"root\":{\"path\":7}}"));
	assert_null(docker_spec_root("{\"path\":\"/\"}"));
}

#define HOOK(path, args) "{\"hooks\":{\"prestart\":[" path args "]},\"x\":[]}"

static void hooked(const char *json, const char *want)
{
	_cleanup_(buf_done) struct buf out;

	buf_init(&out, 1 << 20);
	assert_int_equal(docker_spec_hook(json, &out), want != NULL);
	if (!want) {
		assert_int_equal(buf_len(&out), 0);
		return;
	}
	assert_string_equal((const char *)buf_head(&out), want);
	assert_int_equal(buf_len(&out), strlen(want) + 1);
	/* What was changed is not changed again. */
	hooked(want, NULL);
}

static void test_hook(void **state)
{
	hooked(HOOK("{\"path\":\"/proc/7/exe\",",
		       "\"args\":[\"libnetwork-setkey\",\"a\"]}"),
		HOOK("{\"path\":\"/proc/1/exe\",",
			"\"args\":[\"docker-setkey\",\"/proc/7/exe\","
			"\"libnetwork-setkey\",\"a\"]}"));
	/* The other order, behind another hook, white space. */
	hooked(HOOK("{\"path\":\"/x\"}, ",
		       "{ \"args\" : [ \"libnetwork-setkey\" ] , \"path\" : "
		       "\"/d\" }"),
		HOOK("{\"path\":\"/x\"}, ",
			"{ \"args\" : [ \"docker-setkey\",\"/d\","
			"\"libnetwork-setkey\" ] , \"path\" : "
			"\"/proc/1/exe\" }"));
	hooked(HOOK("{\"path\":\"/d\",", "\"args\":[\"other\"]}"), NULL);
	hooked(HOOK("{\"path\":7,", "\"args\":[\"libnetwork-setkey\"]}"), NULL);
	hooked(HOOK("{\"path\":\"/d\",", "\"args\":[]}"), NULL);
	hooked(HOOK("", "1,,"), NULL);
	hooked("{\"hooks\":{}}", NULL);
	hooked("", NULL);
}

static void test_pid(void **state)
{
	assert_int_equal(docker_spec_pid("{\"a\":{},\"pid\": 4711}"), 4711);
	assert_int_equal(docker_spec_pid("{\"pid\":\"1\"}"), 0);
	assert_int_equal(docker_spec_pid("{\"pid\":-1}"), 0);
	assert_int_equal(docker_spec_pid("{\"pid\":99999999}"), 0);
	assert_int_equal(docker_spec_pid("{}"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_what_an_image_sets_stays),
		cmocka_unit_test(test_exec),
		cmocka_unit_test(test_no_place_for_it),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_root),
		cmocka_unit_test(test_hook),
		cmocka_unit_test(test_pid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
