/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sessions.h"
#include "cli/text.h"
#include "cm.h"
#include "wire/agent.h"

#include <string.h>

static json_t *parse(struct buf *b)
{
	struct frame f = {.type = AF_SESSION,
		.len = (uint32_t)buf_len(b),
		.p = buf_head(b)};

	return sessions_parse(&f);
}

static void test_good(void **state)
{
	struct buf b;

	buf_init(&b, 4096);
	tlv_put_u32(&b, AT_ID, 3);
	tlv_put_u32(&b, AT_PID, 40);
	tlv_put_str(&b, AT_ARG, "sleep");
	tlv_put_str(&b, AT_ARG, "\033[2J");
	json_t *o = parse(&b);
	assert_non_null(o);
	assert_int_equal(ju64(o, "id"), 3);
	assert_int_equal(ju64(o, "pid"), 40);
	assert_true(json_is_null(json_object_get(o, "status")));
	json_t *argv = json_object_get(o, "argv");
	assert_int_equal(json_array_size(argv), 2);
	assert_string_equal(json_string_value(json_array_get(argv, 1)), "?[2J");
	json_decref(o);
	buf_done(&b);
}

static void test_hostile(void **state)
{
	struct buf b;

	buf_init(&b, 4096);
	tlv_put_u32(&b, AT_PID, 40); /* no id */
	assert_null(parse(&b));
	buf_clear(&b);
	tlv_put_str(&b, AT_ID, "three");
	assert_null(parse(&b));
	buf_clear(&b);
	tlv_put_u32(&b, AT_ID, 3);
	buf_put(&b, "xyz", 3); /* a record that is cut off */
	assert_null(parse(&b));
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
