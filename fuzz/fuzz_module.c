/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel module of a package, maybe compressed: its .modinfo is read, and it
 * is placed among two others that may depend on it.
 */
#include "image/modules.h"

#include <assert.h>
#include <string.h>

static void add(
	struct modules *m, const char *name, const uint8_t *data, size_t size)
{
	uint8_t *copy = xcalloc(1, size + 1);
	int r;

	memcpy(copy, data, size);
	r = modules_add(m, name, copy, size, NULL);
	assert(r == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const want[] = {"a", "none", "b_c"};
	struct module_list list = {0};
	struct modules m = {0};
	size_t missing = 0, at = 0;
	struct err err = {0};
	const char *v;

	while ((v = module_info(data, size, "depends", &at)))
		assert((const uint8_t *)v > data &&
			(const uint8_t *)v + strlen(v) < data + size);
	add(&m, "kernel/a.ko", data, size);
	add(&m, "b-c.ko.xz", data, size);
	m.builtin = xstrndup((const char *)data, size);
	if (modules_select(&m, want, ARRAY_SIZE(want), &list, &missing, &err) ==
		0)
		assert(list.n == 2 && missing <= 1);
	module_list_done(&list);
	modules_done(&m);
	return 0;
}
