/* SPDX-License-Identifier: Apache-2.0 */
/* What init does to the guest, as far as it can be seen outside of one. */
#include "cm.h"
#include "ids.h"

#include "agent/cgroup.h"
#include "agent/mounts.h"
#include "agent/revoke.h"
#include "agent/stream.h"
#include "base/fd.h"
#include "wire/share.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

static char dir[64];
static int dir_fd = -1;

static int setup(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/cove-guest-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	_cleanup_free_ char *cmd = xasprintf("rm -rf %s", dir);

	closep(&dir_fd);
	return system(cmd);
}

static void test_counters(void **state)
{
	static const char text[] = "low 1\nhigh 2\nmax 30\noom 4\n"
				   "oom_kill 5\noom_group_kill 6\n";

	assert_int_equal(cgroup_counter(text, "low"), 1);
	assert_int_equal(cgroup_counter(text, "max"), 30);
	assert_int_equal(cgroup_counter(text, "oom"), 4);
	assert_int_equal(cgroup_counter(text, "oom_kill"), 5);
	assert_int_equal(cgroup_counter(text, "kill"), 0);
	assert_int_equal(cgroup_counter("", "max"), 0);
	assert_int_equal(
		cgroup_counter("max 18446744073709551615", "max"), UINT64_MAX);
	assert_int_equal(cgroup_counter("max", "max"), 0);
}

/* ---- mount points ---- */

static mode_t mode_of(const char *path)
{
	struct stat st;

	return fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0
								   : st.st_mode;
}

static void test_targets(void **state)
{
	uid_t me = getuid();
	gid_t grp = getgid();

	assert_int_equal(
		mounts_make_target(dir_fd, "/home/me/a b/c", false, me, grp),
		0);
	assert_true(S_ISDIR(mode_of("home/me/a b/c")));
	assert_int_equal(
		mounts_make_target(dir_fd, "/home/me/a b/c", false, me, grp),
		0);
	assert_int_equal(
		mounts_make_target(dir_fd, "/etc/x/file", true, me, grp), 0);
	assert_true(S_ISREG(mode_of("etc/x/file")));
	assert_int_equal(
		mounts_make_target(dir_fd, "/etc/x/file", true, me, grp), 0);
	/* A file where a directory is needed, and the other way round. */
	assert_int_equal(
		mounts_make_target(dir_fd, "/etc/x/file/y", false, me, grp),
		-ENOTDIR);
	assert_int_equal(
		mounts_make_target(dir_fd, "/etc/x/file", false, me, grp),
		-ENOTDIR);
	assert_int_equal(
		mounts_make_target(dir_fd, "/home/me", true, me, grp), -EISDIR);
}

static void test_target_owners(void **state)
{
	struct stat st;

	uid_t me = geteuid();

	if (!ids_can_give(1000, 1001))
		skip(); /* gives directories away */
	assert_int_equal(
		mounts_make_target(dir_fd, "/home/u/x", false, 1000, 1001), 0);
	assert_int_equal(fstatat(dir_fd, "home/u", &st, 0), 0);
	assert_int_equal(st.st_uid, 1000);
	assert_int_equal(st.st_gid, 1001);
	assert_int_equal(
		mounts_make_target(dir_fd, "/srv/u/x", false, 1000, 1001), 0);
	/* Only root can tell that it was left alone: others have one id. */
	assert_int_equal(fstatat(dir_fd, "srv/u", &st, 0), 0);
	if (me == 0)
		assert_int_equal(st.st_uid, 0);
}

/* ---- revocation ---- */

static void test_revoke_paths(void **state)
{
	static const char *const good[] = {"0", "0/a", "0/a b/...", "0/.x"};
	static const char *const bad[] = {"", "/", "/0", "0/", "0//a", "..",
		"0/..", "0/../x", ".", "0/."};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(revoke_path_ok(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(revoke_path_ok(bad[i]));
}

static void put_revoke(struct buf *to, uint64_t seq, const char *path)
{
	struct buf b;

	buf_init(&b, 65536);
	assert_int_equal(tlv_put_u64(&b, ST_SEQ, seq), 0);
	assert_int_equal(tlv_put_str(&b, ST_PATH, path), 0);
	assert_int_equal(
		frame_put(to, SF_REVOKE, buf_head(&b), buf_len(&b)), 0);
	buf_done(&b);
}

static uint64_t take_answer(struct buf *in)
{
	struct tlv_iter it;
	uint64_t seq = 0;
	struct frame f;
	struct tlv t;

	assert_int_equal(frame_peek(in, &f), 1);
	assert_int_equal(f.type, SF_REVOKED);
	it = tlv_iter(f.p, f.len);
	while (tlv_next(&it, &t) == 1)
		if (t.tag == ST_SEQ)
			assert_int_equal(tlv_u64(&t, &seq), 0);
	buf_consume(in, FRAME_HEAD + f.len);
	return seq;
}

/*
 * Each call is answered with its number. A directory that is not the read-only
 * mount is not touched: nothing may ever be created by looking.
 */
static void test_revoke_answers(void **state)
{
	struct buf b;
	int sv[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	buf_init(&b, 65536);
	put_revoke(&b, 7, "0/new");
	put_revoke(&b, UINT64_MAX, "../outside");
	assert_int_equal(frame_put(&b, 99, "?", 1), 0); /* of a newer server */
	put_revoke(&b, 9, "x");
	assert_int_equal(fd_write_all(sv[0], buf_head(&b), buf_len(&b)), 0);
	assert_int_equal(shutdown(sv[0], SHUT_WR), 0);
	revoke_serve(sv[1], dir);
	close(sv[1]);
	buf_clear(&b);
	while (buf_read_fd(&b, sv[0], 4096) > 0)
		;
	assert_int_equal(take_answer(&b), 7);
	assert_int_equal(take_answer(&b), UINT64_MAX);
	assert_int_equal(take_answer(&b), 9);
	assert_int_equal(buf_len(&b), 0);
	assert_int_equal(mode_of("x"), 0);
	assert_int_equal(mode_of("0"), 0);
	buf_done(&b);
	close(sv[0]);
}

static void test_revoke_garbage_ends_it(void **state)
{
	int sv[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	assert_int_equal(
		fd_write_all(sv[0], "\xff\xff\xff\xff garbage", 12), 0);
	revoke_serve(sv[1], dir); /* returns though the stream is open */
	close(sv[0]);
	close(sv[1]);
}

/* ---- streams ---- */

static void no_event(struct loop *l, struct watch *w, uint32_t events)
{
}

static void test_stream_keeps_what_is_not_taken(void **state)
{
	static uint8_t data[600000], back[600000];
	struct stream s;
	struct loop l;
	size_t got = 0;
	int sv[2];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	assert_int_equal(loop_init(&l), 0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	assert_int_equal(stream_open(&s, &l, sv[0], no_event), 0);
	assert_int_equal(stream_send(&s, data, sizeof(data)), 0);
	assert_true(stream_blocked(&s));
	assert_int_equal(stream_send(&s, data, STREAM_OUT_MAX), -ENOBUFS);
	while (got < sizeof(back)) {
		ssize_t n = read(sv[1], back + got, sizeof(back) - got);

		assert_true(n > 0);
		got += (size_t)n;
		assert_int_equal(stream_flush(&s), 0);
	}
	assert_memory_equal(data, back, sizeof(data));
	assert_false(stream_blocked(&s));
	stream_close(&s);
	stream_close(&s);
	close(sv[1]);
	loop_done(&l);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counters),
		T(test_targets),
		T(test_target_owners),
		cmocka_unit_test(test_revoke_paths),
		T(test_revoke_answers),
		T(test_revoke_garbage_ends_it),
		cmocka_unit_test(test_stream_keeps_what_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
