/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords of registries as an older coved kept them: in plain text. */
#include "cm.h"

#include "world.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OLD "config/registries.json"
#define SEALED "state/secret/registries"

static bool exists(const struct world *w, const char *sub)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", w->dir, sub);

	return access(path, F_OK) == 0;
}

/* The users of the registries, in a line: HOST=USER,... */
static void users(struct world *w, char *text, size_t size)
{
	json_t *j, *one;
	size_t i, n = 0;

	assert_int_equal(world_call(w, "GET", "/v1/registries", NULL, &j), 200);
	*text = '\0';
	json_array_foreach (json_object_get(j, "registries"), i, one)
		n += (size_t)snprintf(text + n, size - n, "%s=%s,",
			json_string_value(json_object_get(one, "host")),
			json_string_value(json_object_get(one, "user")));
	json_decref(j);
}

static void test_plain_text_is_sealed(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *path = xasprintf("%s/" SEALED, w->dir);
	_cleanup_free_ char *sealed = NULL;
	char text[256];
	ssize_t n;

	assert_int_equal(world_call(w, "POST", "/v1/registries",
				 "{\"host\":\"b.test\",\"user\":\"new\","
				 "\"password\":\"x\"}",
				 NULL),
		204);
	world_write(w, OLD,
		"{\"a.test\":{\"user\":\"ann\",\"password\":\"in-the-open\"},"
		"\"b.test\":{\"user\":\"old\",\"password\":\"y\"}}");
	users(w, text, sizeof(text));
	assert_non_null(strstr(text, "a.test=ann,"));
	assert_non_null(strstr(text, "b.test=new,"));
	assert_false(exists(w, OLD));
	n = fd_slurp_at(AT_FDCWD, path, 65536, &sealed);
	assert_true(n > 0);
	assert_null(memmem(sealed, (size_t)n, "in-the-open", 11));
	/* The next coved has them. */
	assert_int_equal(world_stop(w), 0);
	assert_true(world_start(w));
	users(w, text, sizeof(text));
	assert_non_null(strstr(text, "a.test=ann,"));
}

static void refused(struct world *w, const char *old)
{
	json_t *j;
	char *text;

	world_write(w, OLD, old);
	assert_int_not_equal(
		world_call(w, "GET", "/v1/registries", NULL, &j), 200);
	text = json_dumps(j, JSON_COMPACT);
	assert_non_null(strstr(text, OLD));
	assert_non_null(strstr(text, "remove it"));
	free(text);
	json_decref(j);
	assert_true(exists(w, OLD));
	assert_false(exists(w, SEALED));
}

static void test_what_cannot_be_read_is_told(void **state)
{
	struct world *w = *state;

	refused(w, "");
	refused(w, "{\"a.test\":");
	refused(w, "[]");
	refused(w, "{\"a.test\":{\"user\":\"ann\"}}");
	refused(w, "{\"a.test\":7}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_plain_text_is_sealed, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(
			test_what_cannot_be_read_is_told, world_setup,
			world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
