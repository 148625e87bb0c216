/* SPDX-License-Identifier: Apache-2.0 */
/* Layers on top of each other, and archives that mean harm. */
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
static bool tar_is_open;

static void next(void)
{
	struct err err = {0};

	tar_close(&tar);
	assert_int_equal(image_tar(&img, &tar, &err), 0);
	tar_done(&tar);
	tar_open(&tar, NULL);
}

static int setup(void **state)
{
	tar_open(&tar, NULL);
	tar_is_open = true;
	image_init(&img, NULL, 0);
	return 0;
}

static int teardown(void **state)
{
	image_done(&img);
	tar_done(&tar);
	return 0;
}

static void finish(void)
{
	next();
	assert_int_equal(image_finish(&img, NULL), 0);
	er_walk(&img.er, NULL, NULL);
}

static bool there(const char *path)
{
	struct er_inode i;

	return er_lookup(&img.er, path, &i);
}

static uint32_t mode_of(const char *path)
{
	struct er_inode i = {0};

	assert_true(er_lookup(&img.er, path, &i));
	return i.mode;
}

static void test_whiteout(void **state)
{
	tar_file(&tar, "keep", "");
	tar_file(&tar, "file", "");
	tar_file(&tar, "dir/a", "");
	tar_file(&tar, "dir/sub/b", "");
	next();
	tar_file(&tar, ".wh.file", "");
	tar_file(&tar, ".wh.dir", "");
	tar_file(&tar, ".wh.never-was", "");
	tar_file(&tar, "no/dir/.wh.x", "");
	finish();
	assert_true(there("keep"));
	assert_false(there("file"));
	assert_false(there("dir"));
	assert_false(there(".wh.file"));
}

/* In whatever order, a whiteout hides only what lies below its layer. */
static void test_whiteout_own_layer(void **state)
{
	tar_file(&tar, "d/old", "");
	tar_file(&tar, "f", "old");
	next();
	tar_file(&tar, "d/new", "");
	tar_file(&tar, ".wh.d", "");
	tar_file(&tar, ".wh.d", "");
	tar_file(&tar, "f", "new");
	tar_file(&tar, ".wh.f", "");
	finish();
	assert_true(there("d/new"));
	assert_false(there("d/old"));
	assert_true(there("f"));
}

static void test_opaque(void **state)
{
	tar_file(&tar, "d/old", "");
	tar_file(&tar, "d/deep/old", "");
	tar_file(&tar, "d/deep/er/old", "");
	next();
	tar_file(&tar, "d/deep/new", "");
	tar_file(&tar, "d/.wh..wh..opq", "");
	tar_file(&tar, "d/late", "");
	finish();
	assert_false(there("d/old"));
	assert_false(there("d/deep/old"));
	assert_false(there("d/deep/er"));
	assert_true(there("d/deep/new"));
	assert_true(there("d/late"));
}

static void test_opaque_root(void **state)
{
	tar_file(&tar, "a", "");
	next();
	tar_file(&tar, "b", "");
	tar_file(&tar, ".wh..wh..opq", "");
	finish();
	assert_false(there("a"));
	assert_true(there("b"));
}

static void test_types_change(void **state)
{
	tar_file(&tar, "a", "file");
	tar_file(&tar, "b/inside", "");
	tar_symlink(&tar, "lib", "usr/lib");
	next();
	tar_file(&tar, "a/now-a-dir", "");
	tar_symlink(&tar, "b", "a");
	tar_file(&tar, "lib/x", "");
	finish();
	assert_int_equal(mode_of("a"), S_IFDIR | 0755);
	assert_true(there("a/now-a-dir"));
	assert_int_equal(mode_of("b"), S_IFLNK | 0777);
	assert_false(there("b/inside"));
	/* as container engines do: through the lower layer's link */
	assert_int_equal(mode_of("lib"), S_IFLNK | 0777);
	assert_true(there("usr/lib/x"));
}

/* Links of lower layers lead on inside the tree and never out of it. */
static void test_lower_links(void **state)
{
	tar_symlink(&tar, "run", "var/run");
	tar_symlink(&tar, "up", "../../../../etc");
	tar_symlink(&tar, "abs", "/etc/./deep/../shallow");
	tar_symlink(&tar, "twice", "run/sub");
	tar_file(&tar, "var/run/old", "");
	tar_file(&tar, "keep", "");
	next();
	tar_file(&tar, "run/new", "");
	tar_file(&tar, "run/.wh.old", "");
	tar_file(&tar, "up/passwd", "");
	tar_file(&tar, "abs/x", "");
	tar_file(&tar, "twice/y", "");
	tar_file(&tar, ".../z", "");
	tar_link(&tar, "hard", "up/passwd");
	finish();
	assert_true(there("var/run/new"));
	assert_false(there("var/run/old"));
	assert_true(there("etc/passwd"));
	assert_true(there("etc/shallow/x"));
	assert_true(there("var/run/sub/y"));
	assert_true(there(".../z"));
	assert_true(there("hard"));
	assert_int_equal(mode_of("run"), S_IFLNK | 0777);
}

/* A directory of its own takes the link's place. */
static void test_link_becomes_dir(void **state)
{
	tar_symlink(&tar, "lib", "usr/lib");
	tar_file(&tar, "usr/lib/a", "");
	next();
	tar_dir(&tar, "lib");
	tar_file(&tar, "lib/b", "");
	finish();
	assert_int_equal(mode_of("lib"), S_IFDIR | 0755);
	assert_true(there("lib/b"));
	assert_false(there("usr/lib/b"));
}

static void test_hardlink_across_layers(void **state)
{
	struct er_inode a, b;

	tar_file(&tar, "a", "data");
	next();
	tar_link(&tar, "b", "a");
	tar_file(&tar, ".wh.a", "");
	finish();
	assert_false(there("a"));
	assert_true(er_lookup(&img.er, "b", &b));
	assert_int_equal(b.links, 1);
	assert_false(er_lookup(&img.er, "a", &a));
}

static void test_whiteouts_off(void **state)
{
	img.opts.whiteouts = false;
	tar_file(&tar, "f", "");
	next();
	tar_file(&tar, ".wh.f", "plain file");
	finish();
	assert_true(there("f"));
	assert_true(there(".wh.f"));
}

static void test_aufs_files(void **state)
{
	tar_file(&tar, ".wh..wh.plnk/1", "");
	tar_file(&tar, ".wh..wh.aufs", "");
	tar_file(&tar, "f", "");
	finish();
	assert_false(there(".wh..wh.aufs"));
	assert_true(there("f"));
}

/* Refusals. Each leaves a text and never crashes the end. */

static void refused(int code, const char *word)
{
	struct err err = {0};

	tar_close(&tar);
	assert_int_equal(image_tar(&img, &tar, &err), -code);
	assert_int_equal(err.code, code);
	if (!strstr(err.text, word))
		fail_msg("'%s' does not say '%s'", err.text, word);
}

static void test_dotdot(void **state)
{
	tar_file(&tar, "a/../../etc/passwd", "");
	refused(EPERM, "'..'");
}

static void test_absolute(void **state)
{
	tar_file(&tar, "/etc/passwd", "");
	refused(EPERM, "absolute");
}

static void test_through_symlink(void **state)
{
	tar_symlink(&tar, "s", "/etc");
	tar_file(&tar, "s/passwd", "");
	refused(ENOTDIR, "no directory");
}

static void test_through_file(void **state)
{
	tar_file(&tar, "f", "");
	tar_file(&tar, "f/x", "");
	refused(ENOTDIR, "no directory");
}

static void test_link_loop(void **state)
{
	tar_symlink(&tar, "a", "b");
	tar_symlink(&tar, "b", "a/x");
	next();
	tar_file(&tar, "a/f", "");
	refused(ELOOP, "symlinks");
}

static void test_hardlink_outside(void **state)
{
	tar_link(&tar, "shadow", "../../etc/shadow");
	refused(ENOENT, "hard link");
}

static void test_hardlink_absolute(void **state)
{
	tar_link(&tar, "shadow", "/etc/shadow");
	refused(ENOENT, "hard link");
}

static void test_hardlink_to_dir(void **state)
{
	tar_dir(&tar, "d");
	tar_link(&tar, "l", "d");
	refused(ENOENT, "hard link");
}

static void test_device_refused(void **state)
{
	img.opts.devices = false;
	archive_entry_set_rdev(
		tar_entry(&tar, "sda", S_IFBLK | 0666), makedev(8, 0));
	tar_put(&tar, NULL, 0);
	refused(EPERM, "device");
}

static void test_root_no_dir(void **state)
{
	tar_file(&tar, ".", "");
	refused(EPERM, "root");
}

static void test_long_name(void **state)
{
	char name[300];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	tar_file(&tar, name, "");
	refused(ENAMETOOLONG, "255");
}

static void test_deep(void **state)
{
	char path[4000];

	for (size_t k = 0; k < sizeof(path) - 1; k += 2)
		memcpy(path + k, "d/", 2);
	path[3000] = '\0';
	tar_file(&tar, path, "");
	refused(ENAMETOOLONG, "nested");
}

static void test_whiteout_of_nothing(void **state)
{
	tar_file(&tar, "d/.wh.", "");
	refused(EINVAL, "whiteout");
}

static void test_whiteout_dotdot(void **state)
{
	tar_file(&tar, "d/.wh...", "");
	refused(EINVAL, "whiteout");
}

/* The header says 100 GB; nothing of it is in the archive. */
static void test_huge_member(void **state)
{
	char header[1024] = "big";

	memcpy(header + 100, "0000644", 8);
	memcpy(header + 108, "0000000", 8);
	memcpy(header + 116, "0000000", 8);
	memcpy(header + 124, "1777777777777", 12); /* 64 GiB - 1 */
	memcpy(header + 136, "00000000000", 12);
	memset(header + 148, ' ', 8);
	header[156] = '0';
	memcpy(header + 257, "ustar", 6);
	memcpy(header + 263, "00", 2);
	{
		unsigned int sum = 0;
		struct err err = {0};

		for (int k = 0; k < 512; k++)
			sum += (uint8_t)header[k];
		snprintf(header + 148, 8, "%06o", sum);
		assert_int_equal(
			image_layer(&img, header, sizeof(header), &err),
			-EFBIG);
		assert_non_null(strstr(err.text, "unpacks to more"));
	}
}

static void test_too_many_entries(void **state)
{
	const struct tree_limits few = {50, MIB};
	char name[16];

	image_done(&img);
	image_init(&img, &few, 0);
	for (int k = 0; k < 60; k++) {
		snprintf(name, sizeof(name), "%d", k);
		tar_file(&tar, name, "");
	}
	refused(EFBIG, "entries");
}

/* Hard links and whiteouts make no inode, and are counted all the same. */
static void test_too_many_links(void **state)
{
	const struct tree_limits few = {50, MIB};
	char name[16];

	image_done(&img);
	image_init(&img, &few, 0);
	tar_file(&tar, "f", "");
	for (int k = 0; k < 60; k++) {
		snprintf(name, sizeof(name), "%d", k);
		tar_link(&tar, name, "f");
	}
	refused(EFBIG, "entries");
}

static void test_too_many_whiteouts(void **state)
{
	const struct tree_limits few = {50, MIB};

	image_done(&img);
	image_init(&img, &few, 0);
	for (int k = 0; k < 120; k++)
		tar_file(&tar, ".wh.x", "");
	refused(EFBIG, "entries");
}

static void test_memory(void **state)
{
	const struct tree_limits small = {1000, 4096};
	_cleanup_free_ char *big = xcalloc(1, 5000);
	struct archive_entry *e;

	image_done(&img);
	image_init(&img, &small, 0);
	e = tar_entry(&tar, "f", S_IFREG | 0644);
	archive_entry_xattr_add_entry(e, "user.big", big, 5000);
	tar_put(&tar, "", 0);
	refused(EFBIG, "names and attributes");
}

static void test_xattr_too_large(void **state)
{
	_cleanup_free_ char *big = xcalloc(1, 60000);
	struct archive_entry *e;

	e = tar_entry(&tar, "f", S_IFREG | 0644);
	archive_entry_xattr_add_entry(e, "user.big", big, 60000);
	tar_put(&tar, "", 0);
	refused(EFBIG, "extended attributes");
}

static void test_gzip_bomb(void **state)
{
	_cleanup_free_ char *zeros = xcalloc(1, 16 * MIB);

	tar_done(&tar);
	tar_open(&tar, "gzip");
	image_done(&img);
	image_init(&img, NULL, 8 * MIB);
	tar_entry(&tar, "bomb", S_IFREG | 0644);
	tar_put(&tar, zeros, 16 * MIB);
	refused(EFBIG, "unpacks to more");
}

static void test_truncated(void **state)
{
	struct err err = {0};
	char data[5000] = {1};

	tar_entry(&tar, "f", S_IFREG | 0644);
	tar_put(&tar, data, sizeof(data));
	tar_close(&tar);
	assert_int_equal(image_layer(&img, tar.out, 3000, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "damaged"));
}

static void test_no_tar(void **state)
{
	static const char junk[2048] = "this is no archive at all";
	struct err err = {0};

	assert_int_equal(image_layer(&img, junk, sizeof(junk), &err), -EBADMSG);
	assert_non_null(strstr(err.text, "no tar"));
}

static ssize_t broken(void *arg, const void **ret_p)
{
	return -EIO;
}

static void test_read_error(void **state)
{
	struct err err = {0};

	assert_int_equal(layer_apply(&img.tree, &img.erofs, &img.opts, broken,
				 NULL, &img.stats, &err),
		-EIO);
	assert_non_null(strstr(err.text, "cannot read"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_whiteout),
		T(test_whiteout_own_layer),
		T(test_opaque),
		T(test_opaque_root),
		T(test_types_change),
		T(test_lower_links),
		T(test_link_becomes_dir),
		T(test_link_loop),
		T(test_hardlink_across_layers),
		T(test_whiteouts_off),
		T(test_aufs_files),
		T(test_dotdot),
		T(test_absolute),
		T(test_through_symlink),
		T(test_through_file),
		T(test_hardlink_outside),
		T(test_hardlink_absolute),
		T(test_hardlink_to_dir),
		T(test_device_refused),
		T(test_root_no_dir),
		T(test_long_name),
		T(test_deep),
		T(test_whiteout_of_nothing),
		T(test_whiteout_dotdot),
		T(test_huge_member),
		T(test_too_many_entries),
		T(test_too_many_links),
		T(test_too_many_whiteouts),
		T(test_memory),
		T(test_xattr_too_large),
		T(test_gzip_bomb),
		T(test_truncated),
		T(test_no_tar),
		T(test_read_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
