/* SPDX-License-Identifier: Apache-2.0 */
/* tar to EROFS: every attribute, every size, and what fsck.erofs says. */
#include "cm.h"
#include "image/tar.h"

#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static struct tar tar;
static struct image img;

static int setup(void **state)
{
	tar_open(&tar, NULL);
	image_init(&img, NULL, 0);
	return 0;
}

static int teardown(void **state)
{
	image_done(&img);
	tar_done(&tar);
	return 0;
}

/* fsck.erofs as an oracle; not everybody who builds this has it. */
static void fsck(void)
{
	char cmd[128];

	if (system("command -v fsck.erofs >/dev/null 2>&1") != 0)
		return;
	snprintf(cmd, sizeof(cmd), "fsck.erofs /proc/%d/fd/%d >/dev/null 2>&1",
		(int)getpid(), img.fd);
	assert_int_equal(system(cmd), 0);
}

static void build(void)
{
	struct err err = {0};

	tar_close(&tar);
	assert_int_equal(image_tar(&img, &tar, &err), 0);
	assert_string_equal(err.text, "");
	assert_int_equal(image_finish(&img, &err), 0);
	er_walk(&img.er, NULL, NULL);
	fsck();
}

static struct er_inode look(const char *path)
{
	struct er_inode i;

	if (!er_lookup(&img.er, path, &i))
		fail_msg("%s is not in the image", path);
	return i;
}

static void expect_text(const char *path, const char *text)
{
	struct er_inode i = look(path);
	_cleanup_free_ char *data = er_data(&img.er, &i);

	assert_int_equal(i.size, strlen(text));
	assert_string_equal(data, text);
}

static void test_attributes(void **state)
{
	struct archive_entry *e;
	struct er_inode i;

	e = tar_entry(&tar, "./usr/bin/sudo", S_IFREG | 04755);
	archive_entry_set_uid(e, 70000);
	archive_entry_set_gid(e, 50);
	archive_entry_set_mtime(e, 123456789, 987654321);
	tar_put(&tar, "x", 1);
	e = tar_entry(&tar, "compact", S_IFREG | 0640);
	archive_entry_set_uid(e, 1000);
	archive_entry_set_mtime(e, 5000, 0);
	tar_put(&tar, "y", 1);
	build();
	i = look("usr/bin/sudo");
	assert_int_equal(i.mode, S_IFREG | 04755);
	assert_int_equal(i.uid, 70000);
	assert_int_equal(i.gid, 50);
	assert_int_equal(i.mtime, 123456789);
	assert_int_equal(i.mtime_nsec, 987654321);
	assert_int_equal(i.links, 1);
	i = look("compact");
	assert_false(i.extended);
	assert_int_equal(i.mode, S_IFREG | 0640);
	assert_int_equal(i.uid, 1000);
	assert_int_equal(i.mtime, 5000);
	/* parents that no entry describes */
	i = look("usr");
	assert_int_equal(i.mode, S_IFDIR | 0755);
	assert_int_equal(i.uid, 0);
	assert_int_equal(i.links, 3);
}

static void test_sizes(void **state)
{
	static const size_t sizes[] = {0, 1, 2047, 2048, 2049, 4095, 4096, 4097,
		6143, 6144, 6145, 8192, 1048575, 1048576, 3000001};
	_cleanup_free_ char *data = xcalloc(1, 3000001);
	char name[32];

	for (size_t k = 0; k < 3000001; k++)
		data[k] = (char)(k * 7 + k / 4096);
	for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
		snprintf(name, sizeof(name), "f%zu", sizes[k]);
		tar_entry(&tar, name, S_IFREG | 0644);
		tar_put(&tar, data, sizes[k]);
	}
	build();
	for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
		_cleanup_free_ char *got = NULL;
		struct er_inode i;

		snprintf(name, sizeof(name), "f%zu", sizes[k]);
		i = look(name);
		got = er_data(&img.er, &i);
		assert_int_equal(i.size, sizes[k]);
		assert_memory_equal(got, data, sizes[k]);
	}
	assert_int_equal(img.stats.bytes,
		2047 + 2048 + 2049 + 4095 + 4096 + 4097 + 6143 + 6144 + 6145 +
			8192 + 1048575 + 1048576 + 3000001 + 1);
}

static void test_xattrs(void **state)
{
	static const uint8_t caps[] = {
		1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	struct archive_entry *e;
	struct er_inode i;
	size_t len = 0;
	char *v;

	e = tar_entry(&tar, "ping", S_IFREG | 0755);
	archive_entry_xattr_add_entry(e, "user.zz", "last", 4);
	archive_entry_xattr_add_entry(e, "user.aa", "", 0);
	archive_entry_xattr_add_entry(
		e, "security.capability", caps, sizeof(caps));
	archive_entry_xattr_add_entry(e, "trusted.overlay.opaque", "y", 1);
	archive_entry_xattr_add_entry(e, "com.example", "z", 1);
	tar_put(&tar, "data", 4);
	e = tar_entry(&tar, "dir", S_IFDIR | 0700);
	archive_entry_xattr_add_entry(e, "trusted.t", "tt", 2);
	tar_put(&tar, NULL, 0);
	build();
	i = look("ping");
	v = er_xattr(&img.er, &i, 6, "capability", &len);
	assert_int_equal(len, sizeof(caps));
	assert_memory_equal(v, caps, sizeof(caps));
	free(v);
	v = er_xattr(&img.er, &i, 1, "zz", &len);
	assert_string_equal(v, "last");
	free(v);
	v = er_xattr(&img.er, &i, 1, "aa", &len);
	assert_non_null(v);
	assert_int_equal(len, 0);
	free(v);
	assert_null(er_xattr(&img.er, &i, 4, "overlay.opaque", &len));
	/* two, and libarchive's writer puts each twice, in two spellings */
	assert_int_equal(img.stats.dropped, 4);
	expect_text("ping", "data");
	i = look("dir");
	v = er_xattr(&img.er, &i, 4, "t", &len);
	assert_string_equal(v, "tt");
	free(v);
}

static void test_large_xattrs(void **state)
{
	_cleanup_free_ char *big = xcalloc(1, 30000);
	struct archive_entry *e;
	struct er_inode i;
	size_t len = 0;
	char *v;

	memset(big, 'x', 30000);
	e = tar_entry(&tar, "f", S_IFREG | 0644);
	archive_entry_xattr_add_entry(e, "user.big", big, 30000);
	tar_put(&tar, "rest", 4);
	build();
	i = look("f");
	v = er_xattr(&img.er, &i, 1, "big", &len);
	assert_int_equal(len, 30000);
	assert_memory_equal(v, big, 30000);
	free(v);
	expect_text("f", "rest");
}

static void test_links(void **state)
{
	struct er_inode a, b;
	char target[4000];

	memset(target, 't', sizeof(target) - 1);
	target[sizeof(target) - 1] = '\0';
	tar_file(&tar, "a", "one");
	tar_link(&tar, "d/b", "a");
	tar_link(&tar, "c", "./d/b");
	tar_symlink(&tar, "s", "../else/where");
	tar_link(&tar, "s2", "s");
	tar_symlink(&tar, "long", target);
	build();
	a = look("a");
	b = look("d/b");
	assert_int_equal(a.nid, b.nid);
	assert_int_equal(a.links, 3);
	expect_text("c", "one");
	expect_text("s", "../else/where");
	assert_int_equal(look("s2").links, 2);
	assert_int_equal(look("s").mode, S_IFLNK | 0777);
	expect_text("long", target);
}

static void test_specials(void **state)
{
	struct archive_entry *e;

	e = tar_entry(&tar, "dev/null", S_IFCHR | 0666);
	archive_entry_set_rdev(e, makedev(1, 3));
	tar_put(&tar, NULL, 0);
	e = tar_entry(&tar, "dev/big", S_IFBLK | 0600);
	archive_entry_set_rdev(e, makedev(259, 70000));
	tar_put(&tar, NULL, 0);
	tar_entry(&tar, "fifo", S_IFIFO | 0600);
	tar_put(&tar, NULL, 0);
	build();
	assert_int_equal(look("dev/null").mode, S_IFCHR | 0666);
	assert_int_equal(look("dev/null").u, 1 << 8 | 3);
	/* new_encode_dev(): low 8 bits of the minor, major, the rest */
	assert_int_equal(look("dev/big").u,
		(70000 & 0xff) | 259 << 8 | (70000 & ~0xff) << 12);
	assert_int_equal(look("fifo").mode, S_IFIFO | 0600);
}

static void test_large_directory(void **state)
{
	char name[300];

	for (int k = 0; k < 3000; k++) {
		snprintf(name, sizeof(name), "d/%d-%0*d", k % 10, k % 200 + 1,
			k);
		tar_file(&tar, name, "");
	}
	tar_file(&tar, "d/!before-the-dots", "x");
	tar_file(&tar, "d/\xc3\xa9t\xc3\xa9", "utf-8");
	build();
	assert_int_equal(er_walk(&img.er, NULL, NULL), 3003);
	expect_text("d/!before-the-dots", "x");
	expect_text("d/\xc3\xa9t\xc3\xa9", "utf-8");
}

static void test_empty(void **state)
{
	build();
	assert_int_equal(er_walk(&img.er, NULL, NULL), 0);
	assert_int_equal(look("").mode, S_IFDIR | 0755);
}

static void test_root_entry(void **state)
{
	struct archive_entry *e = tar_entry(&tar, "./", S_IFDIR | 0750);

	archive_entry_set_uid(e, 12);
	tar_put(&tar, NULL, 0);
	build();
	assert_int_equal(look("").mode, S_IFDIR | 0750);
	assert_int_equal(look("").uid, 12);
}

static void test_last_wins(void **state)
{
	tar_file(&tar, "f", "first");
	tar_file(&tar, "f", "second");
	tar_dir(&tar, "d");
	tar_file(&tar, "d/inside", "x");
	tar_entry(&tar, "d", S_IFDIR | 0700);
	tar_put(&tar, NULL, 0);
	tar_dir(&tar, "e");
	tar_file(&tar, "e/gone", "x");
	tar_file(&tar, "e", "now a file");
	build();
	expect_text("f", "second");
	expect_text("d/inside", "x");
	assert_int_equal(look("d").mode, S_IFDIR | 0700);
	expect_text("e", "now a file");
	assert_int_equal(look("f").links, 1);
}

/* What a later layer replaced takes no room in the image. */
static void test_replaced_blocks(void **state)
{
	_cleanup_free_ char *big = xcalloc(1, 4 * MIB);
	struct stat st;

	memset(big, 1, 4 * MIB);
	tar_entry(&tar, "f", S_IFREG | 0644);
	tar_put(&tar, big, 4 * MIB);
	tar_file(&tar, "f", "small");
	build();
	assert_int_equal(fstat(img.fd, &st), 0);
	assert_true(st.st_size > (off_t)(4 * MIB));
	assert_true((uint64_t)st.st_blocks * 512 < MIB);
	expect_text("f", "small");
}

static void test_filters(void **state)
{
	static const char *const filters[] = {"gzip", "xz", "zstd"};

	for (size_t k = 0; k < ARRAY_SIZE(filters); k++) {
		teardown(NULL);
		tar_open(&tar, filters[k]);
		image_init(&img, NULL, 0);
		tar_file(&tar, "f", filters[k]);
		build();
		expect_text("f", filters[k]);
	}
}

static void test_deterministic(void **state)
{
	_cleanup_free_ uint8_t *first = NULL;
	size_t len;

	tar_file(&tar, "b", "b");
	tar_file(&tar, "a", "a");
	build();
	len = img.map_len;
	first = xcalloc(1, len);
	memcpy(first, img.map, len);
	/* another order of entries, the same tree */
	teardown(NULL);
	setup(NULL);
	tar_file(&tar, "b", "b");
	tar_file(&tar, "a", "a");
	build();
	assert_int_equal(img.map_len, len);
	assert_memory_equal(img.map, first, len);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_attributes),
		T(test_sizes),
		T(test_xattrs),
		T(test_large_xattrs),
		T(test_links),
		T(test_specials),
		T(test_large_directory),
		T(test_empty),
		T(test_root_entry),
		T(test_last_wins),
		T(test_replaced_blocks),
		T(test_filters),
		T(test_deterministic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
