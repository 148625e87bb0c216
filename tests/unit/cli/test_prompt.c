/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/prompt.h"
#include "cm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Standard input is /dev/null: there is nobody to ask. */
static void test_nobody_to_ask(void **state)
{
	struct err err = {0};
	int null = open("/dev/null", O_RDONLY);

	assert_true(null >= 0 && dup2(null, 0) == 0);
	close(null);
	assert_int_equal(prompt_yes("Remove?", "-f", &err), -ECANCELED);
	assert_non_null(strstr(err.text, "-f"));
	assert_non_null(strstr(err.text, "no terminal"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_to_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
