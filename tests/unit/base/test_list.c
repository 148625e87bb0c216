/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"
#include "cm.h"

struct item {
	int n;
	struct list link;
};

static void test_order_and_removal(void **state)
{
	struct item items[3] = {{.n = 1}, {.n = 2}, {.n = 3}};
	struct list head;
	int seen = 0;

	list_init(&head);
	assert_true(list_empty(&head));
	for (size_t i = 0; i < ARRAY_SIZE(items); i++)
		list_add_tail(&head, &items[i].link);
	list_for_each (it, &head)
		seen = seen * 10 + list_entry(it, struct item, link)->n;
	assert_int_equal(seen, 123);
	list_del(&items[1].link);
	list_del(&items[1].link); /* twice is harmless */
	seen = 0;
	list_for_each (it, &head)
		seen = seen * 10 + list_entry(it, struct item, link)->n;
	assert_int_equal(seen, 13);
}

static void test_removal_while_walking(void **state)
{
	struct item items[4] = {{.n = 1}, {.n = 2}, {.n = 3}, {.n = 4}};
	struct list head;
	int seen = 0;

	list_init(&head);
	for (size_t i = 0; i < ARRAY_SIZE(items); i++)
		list_add_tail(&head, &items[i].link);
	list_for_each_safe (it, &head) {
		seen = seen * 10 + list_entry(it, struct item, link)->n;
		list_del(it);
	}
	assert_int_equal(seen, 1234);
	assert_true(list_empty(&head));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_removal),
		cmocka_unit_test(test_removal_while_walking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
