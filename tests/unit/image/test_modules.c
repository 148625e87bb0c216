/* SPDX-License-Identifier: Apache-2.0 */
/* Modules in order, and the archive they go into. */
#include "cm.h"
#include "image/cpio.h"
#include "image/mkelf.h"
#include "image/modules.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct modules mods;
static struct module_list list;

static int teardown(void **state)
{
	module_list_done(&list);
	modules_done(&mods);
	return 0;
}

static void add(const char *path, const char *depends, const char *softdep)
{
	char info[256];
	int n = snprintf(info, sizeof(info),
		"license=GPL%cdepends=%s%csoftdep=%s%cname=x", 0, depends, 0,
		softdep, 0);
	struct blob b = elf_module(info, (size_t)n + 1);

	assert_int_equal(modules_add(&mods, path, b.p, b.len, NULL), 0);
}

static void expect(const char *const *want, size_t n_want, const char *order)
{
	char got[256] = "";
	size_t missing = 99;
	struct err err = {0};

	assert_int_equal(
		modules_select(&mods, want, n_want, &list, &missing, &err), 0);
	for (size_t k = 0; k < list.n; k++) {
		size_t n = strlen(got);

		snprintf(got + n, sizeof(got) - n, "%s ", list.v[k]->name);
	}
	assert_string_equal(got, order);
	assert_int_equal(missing, 0);
}

static void test_order(void **state)
{
	static const char *const want[] = {"virtio_blk", "erofs"};

	add("./lib/modules/6.1/kernel/fs/erofs/erofs.ko", "libcrc32c", "");
	add("kernel/lib/libcrc32c.ko", "", "pre: crc32c-intel none");
	add("kernel/arch/crc32c-intel.ko", "", "");
	add("kernel/virtio_blk.ko", "virtio,virtio_ring", "");
	add("kernel/virtio_ring.ko", "", "post: erofs");
	add("kernel/virtio.ko", "virtio_ring", "");
	add("kernel/unused.ko", "", "");
	expect(want, 2,
		"virtio_ring virtio virtio_blk crc32c_intel libcrc32c erofs ");
}

/* The second set does not repeat what the first has. */
static void test_two_sets(void **state)
{
	static const char *const early[] = {"a"}, *const late[] = {"b", "a"};
	struct module_list second = {0};
	size_t missing;

	add("a.ko", "", "");
	add("b.ko", "a", "");
	expect(early, 1, "a ");
	assert_int_equal(
		modules_select(&mods, late, 2, &second, &missing, NULL), 0);
	assert_int_equal(second.n, 1);
	assert_string_equal(second.v[0]->name, "b");
	module_list_done(&second);
}

static void test_circle(void **state)
{
	static const char *const want[] = {"a"};

	add("a.ko", "b", "");
	add("b.ko", "a", "");
	expect(want, 1, "b a ");
}

static void test_chain_too_long(void **state)
{
	static const char *const want[] = {"m0"};
	char path[16], dep[16];
	size_t missing;
	struct err err = {0};

	for (int k = 0; k < 50; k++) {
		snprintf(path, sizeof(path), "m%d.ko", k);
		snprintf(dep, sizeof(dep), "m%d", k + 1);
		add(path, dep, "");
	}
	assert_int_equal(
		modules_select(&mods, want, 1, &list, &missing, &err), -ELOOP);
}

static void test_builtin(void **state)
{
	static const char *const want[] = {"ext4", "not_there", "a_b"};
	size_t missing = 0;

	mods.builtin = xstrdup("kernel/fs/ext4/ext4.ko\nkernel/x/a-b.ko\n");
	assert_true(modules_is_builtin(&mods, "ext4"));
	assert_false(modules_is_builtin(&mods, "ext"));
	assert_int_equal(
		modules_select(&mods, want, 3, &list, &missing, NULL), 0);
	assert_int_equal(list.n, 0);
	assert_int_equal(missing, 1);
}

static void test_names(void **state)
{
	assert_true(modules_is_file("x/y-z.ko"));
	assert_true(modules_is_file("y.ko.xz"));
	assert_true(modules_is_file("y.ko.zst"));
	assert_true(modules_is_file("y.ko.gz"));
	assert_false(modules_is_file("y.ko.bz2"));
	assert_false(modules_is_file(".ko"));
	assert_false(modules_is_file("modules.dep"));
	assert_int_equal(
		modules_add(&mods, "x.txt", xcalloc(1, 1), 1, NULL), -EINVAL);
	assert_int_equal(mods.n, 0);
}

static void test_damaged(void **state)
{
	static const char *const want[] = {"a"};
	struct err err = {0};
	size_t missing;

	assert_int_equal(modules_add(&mods, "a.ko.xz",
				 (uint8_t *)xstrdup("no xz"), 5, NULL),
		0);
	assert_int_equal(modules_select(&mods, want, 1, &list, &missing, &err),
		-EBADMSG);
	assert_string_equal(err.text, "module a is damaged");
}

/* Every byte of a module's head changed in turn: never out of bounds. */
static void test_modinfo_bounds(void **state)
{
	static const char info[] = "depends=b\0name=a";
	struct blob b = elf_module(info, sizeof(info));
	size_t found = 0, at;

	for (size_t k = 0; k < b.len; k++) {
		uint8_t was = b.p[k];

		b.p[k] = 0xff;
		at = 0;
		found += module_info(b.p, b.len, "depends", &at) != NULL;
		b.p[k] = was;
	}
	assert_true(found > 0);
	at = 0;
	assert_string_equal(module_info(b.p, b.len, "name", &at), "a");
	assert_null(module_info(b.p, b.len, "name", &at));
	at = 0;
	assert_null(module_info(b.p, b.len, "nam", &at));
	/* cut short, so that the header of .modinfo is not all there */
	for (size_t n = 0; n < b.len - 2 * 64; n++) {
		at = 0;
		assert_null(module_info(b.p, n, "name", &at));
	}
	blob_done(&b);
}

static void test_strip(void **state)
{
	static const char info[] = "name=a";
	static const char words[] = "~Module signature appended~\n";
	struct blob b = elf_module(info, sizeof(info));
	size_t len = b.len, signed_len = len + 100 + 12 + sizeof(words) - 1;
	size_t at = 0;

	assert_non_null(memmem(b.p, b.len, ".BTF", 4));
	b.p = xrealloc(b.p, signed_len, 1);
	memset(b.p + len, 's', 100);
	memset(b.p + len + 100, 0, 11);
	b.p[len + 111] = 100;
	memcpy(b.p + len + 112, words, sizeof(words) - 1);
	module_strip(b.p, &signed_len);
	assert_int_equal(signed_len, len);
	assert_string_equal(module_info(b.p, len, "name", &at), "a");
	/* once more changes nothing */
	module_strip(b.p, &signed_len);
	assert_int_equal(signed_len, len);
	/* a signature that claims more than there is */
	b.p = xrealloc(b.p, len + 200, 1);
	memset(b.p + len, 0xff, 12);
	memcpy(b.p + len + 12, words, sizeof(words) - 1);
	signed_len = len + 12 + sizeof(words) - 1;
	module_strip(b.p, &signed_len);
	assert_int_equal(signed_len, len + 12 + sizeof(words) - 1);
	blob_done(&b);
}

/* The lists themselves: no name twice, all spelled as the kernel does. */
static void test_lists(void **state)
{
	for (size_t k = 0; k < n_modules_early; k++) {
		assert_null(strchr(modules_early[k], '-'));
		for (size_t n = 0; n < n_modules_late; n++)
			assert_string_not_equal(
				modules_early[k], modules_late[n]);
	}
	for (size_t k = 0; k < n_modules_late; k++) {
		assert_null(strchr(modules_late[k], '-'));
		for (size_t n = 0; n < k; n++)
			assert_string_not_equal(
				modules_late[k], modules_late[n]);
	}
}

static uint32_t hex8(const uint8_t *p)
{
	char text[9] = "";

	memcpy(text, p, 8);
	return (uint32_t)strtoul(text, NULL, 16);
}

static void test_cpio(void **state)
{
	struct cpio c = {0};
	const uint8_t *p;

	cpio_dir(&c, "modules");
	cpio_file(&c, "init", 0755, "12345", 5);
	cpio_end(&c);
	assert_int_equal(c.out.len % 4, 0);
	p = c.out.p;
	assert_memory_equal(p, "070701", 6);
	assert_int_equal(hex8(p + 14), S_IFDIR | 0755);
	assert_int_equal(hex8(p + 94), sizeof("modules"));
	assert_string_equal((const char *)p + 110, "modules");
	p += 120; /* 110 + 8, padded */
	assert_memory_equal(p, "070701", 6);
	assert_int_equal(hex8(p + 14), S_IFREG | 0755);
	assert_int_equal(hex8(p + 54), 5);
	assert_string_equal((const char *)p + 110, "init");
	assert_memory_equal(p + 116, "12345\0\0\0", 8);
	p += 124;
	assert_string_equal((const char *)p + 110, "TRAILER!!!");
	assert_int_equal(p + 124 - c.out.p, c.out.len);
	cpio_done(&c);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		T(test_order),
		T(test_two_sets),
		T(test_circle),
		T(test_chain_too_long),
		T(test_builtin),
		T(test_names),
		T(test_damaged),
		T(test_modinfo_bounds),
		T(test_strip),
		T(test_lists),
		T(test_cpio),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
