/* SPDX-License-Identifier: Apache-2.0 */
/* A second server goes on where the first one was saved. */
#include "client.h"

#include "base/buf.h"
#include "wire/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct bed {
	struct world w;
	struct fs *fs;
	struct client c; /* of the second server */
	struct buf saved;
};

static int set_up(void **state)
{
	struct bed *b = xnew(struct bed);

	world_open(&b->w, &fs_config_default);
	buf_init(&b->saved, 1 * MIB);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bed *b = *state;

	if (b->fs) {
		client_done(&b->c);
		fs_free(b->fs);
	}
	buf_done(&b->saved);
	world_close(&b->w);
	free(b);
	return 0;
}

static void export(
	struct bed *b, const char *name, const char *path, uint32_t flags)
{
	struct err err;
	int fd = open(at(&b->w, path), O_PATH | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fs_export(b->fs, name, fd, flags, &err), 0);
}

/* The same exports, as world_open() makes them. */
static int second(struct bed *b, const void *p, size_t len)
{
	struct err err;

	assert_int_equal(fs_new(&fs_config_default, &b->fs, &err), 0);
	export(b, "0", "rw", 0);
	export(b, "1", "ro", AMF_RO);
	export(b, "2", "file", AMF_FILE | AMF_RO);
	client_init(&b->c, b->fs, 0);
	return fs_restore(b->fs, p, len);
}

static void save(struct bed *b)
{
	assert_int_equal(fs_save(b->w.fs, &b->saved), 0);
}

static int continue_saved(struct bed *b)
{
	return second(b, buf_head(&b->saved), buf_len(&b->saved));
}

static void test_goes_on(void **state)
{
	struct bed *b = *state;
	struct client *c = &b->w.c;
	uint64_t sub, file, fh;
	struct fuse_open_out o;
	struct fuse_attr a;

	assert_int_equal(mkdir(at(&b->w, "rw/sub"), 0755), 0);
	file_put(at(&b->w, "rw/sub/kept"), "some text");
	sub = walk(c, "0/sub");
	file = walk(c, "0/sub/kept");
	assert_true(sub && file);
	assert_int_equal(open_node(c, FUSE_OPEN, file, O_RDWR, &o), 0);
	fh = o.fh;
	save(b);
	assert_int_equal(continue_saved(b), 0);
	c = &b->c;
	assert_int_equal(getattr(c, sub, &a), 0);
	assert_int_equal(getattr(c, file, &a), 0);
	assert_int_equal(a.size, 9);
	assert_int_equal(read_at(c, file, fh, 5, 100), 4);
	assert_memory_equal(payload(c), "text", 4);
	assert_int_equal(write_at(c, file, fh, 0, "SOME", 0), 0);
	assert_int_equal(release(c, FUSE_RELEASE, file, fh), 0);
	/* The same file is the same node; new ones get new numbers. */
	assert_int_equal(walk(c, "0/sub/kept"), file);
	file_put(at(&b->w, "rw/new"), "x");
	uint64_t fresh = walk(c, "0/new");
	assert_true(fresh && fresh != file && fresh != sub);
}

static void test_what_changed_is_stale(void **state)
{
	struct bed *b = *state;
	struct client *c = &b->w.c;
	uint64_t gone, other, moved;
	struct fuse_attr a;

	file_put(at(&b->w, "rw/gone"), "1");
	file_put(at(&b->w, "rw/other"), "2");
	file_put(at(&b->w, "rw/moved"), "3");
	gone = walk(c, "0/gone");
	other = walk(c, "0/other");
	moved = walk(c, "0/moved");
	save(b);
	assert_int_equal(unlink(at(&b->w, "rw/gone")), 0);
	assert_int_equal(
		rename(at(&b->w, "rw/moved"), at(&b->w, "rw/other")), 0);
	assert_int_equal(continue_saved(b), 0);
	assert_int_equal(getattr(&b->c, gone, &a), -ESTALE);
	assert_int_equal(getattr(&b->c, other, &a), -ESTALE);
	assert_int_equal(getattr(&b->c, moved, &a), -ESTALE);
}

static void test_read_only_stays_so(void **state)
{
	struct bed *b = *state;
	struct client *c = &b->w.c;
	struct fuse_open_out o;
	uint64_t file;

	file_put(at(&b->w, "ro/file"), "text");
	file = walk(c, "1/file");
	assert_true(file);
	assert_int_equal(open_node(c, FUSE_OPEN, file, O_RDONLY, &o), 0);
	save(b);
	/* Whoever edits the saved bytes gets no writable file from it. */
	for (size_t i = 0; i + 32 <= buf_len(&b->saved); i++) {
		uint8_t *p = b->saved.data + b->saved.off + i;
		if (p[0] == 6 && p[1] == 0 && p[4] == 24)
			p[8 + 16] = O_RDWR;
	}
	assert_int_equal(continue_saved(b), 0);
	assert_true(write_at(&b->c, file, o.fh, 0, "no", 0) < 0);
}

static void test_damage_is_refused(void **state)
{
	struct bed *b = *state;
	struct fuse_attr a;
	uint64_t file;

	file_put(at(&b->w, "rw/a"), "1");
	file = walk(&b->w.c, "0/a");
	save(b);
	assert_int_equal(second(b, buf_head(&b->saved), buf_len(&b->saved) - 3),
		-EBADMSG);
	assert_int_equal(getattr(&b->c, file, &a), -ENOTCONN);
	client_done(&b->c);
	fs_free(b->fs);
	/* A name that is no name. */
	for (size_t i = 0; i + 24 < buf_len(&b->saved); i++) {
		uint8_t *p = b->saved.data + b->saved.off + i;
		if (p[0] == 5 && p[1] == 0 && p[4] == 17)
			p[8 + 16] = '/';
	}
	assert_int_equal(continue_saved(b), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_goes_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_what_changed_is_stale, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_read_only_stays_so, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_damage_is_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
