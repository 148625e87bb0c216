/* SPDX-License-Identifier: Apache-2.0 */
/* Trees through a socket pair, and streams that no honest sender makes. */
#include "cm.h"

#include "base/fd.h"
#include "copy/place.h"
#include "copy/reply.h"
#include "copy/tree.h"
#include "wire/agent.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const struct tree_opts no_opts;
static char dir[64]; /* of one test; it is also the working directory */

static int setup(void **state)
{
	snprintf(dir, sizeof(dir), "%s", "/tmp/cove-tree-XXXXXX");
	(void)signal(SIGPIPE, SIG_IGN);
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	_cleanup_free_ char *cmd =
		xasprintf("chmod -R u+rwx %s; rm -rf %s", dir, dir);

	return chdir("/") == 0 ? system(cmd) : -1;
}

static void sh(const char *cmd)
{
	assert_int_equal(system(cmd), 0);
}

static bool holds(const char *cmd)
{
	return system(cmd) == 0;
}

/* The agent's end of one request in a child; the other end is returned. */
static int serve(pid_t *ret_pid)
{
	int sv[2];
	struct buf in;
	struct frame f;
	struct tlv_iter it;
	struct tlv t;
	struct err err = {0};
	char *path = NULL;

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	*ret_pid = fork();
	assert_true(*ret_pid >= 0);
	if (*ret_pid) {
		close(sv[1]);
		return sv[0];
	}
	close(sv[0]);
	buf_init(&in, TREE_IN_MAX);
	while (frame_peek(&in, &f) == 0)
		if (buf_read_fd(&in, sv[1], 4096) <= 0)
			_exit(99);
	it = tlv_iter(f.p, f.len);
	while (tlv_next(&it, &t) == 1)
		if (t.tag == AT_PATH)
			(void)tlv_str(&t, AGENT_PATH_MAX, &path);
	buf_consume(&in, FRAME_HEAD + f.len);
	if (f.type == AF_GET)
		(void)tree_serve_get(sv[1], path, &err);
	else
		(void)tree_serve_put(sv[1], &in, path, &err);
	_exit(0);
}

static int put(const char *src, const char *dst, struct tree_count *count,
	struct err *err)
{
	pid_t pid;
	int fd = serve(&pid);
	int r = tree_put(fd, src, dst, NULL, NULL, count, err);

	close(fd);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return r;
}

static int get(const char *src, const char *dst, const struct tree_opts *opts,
	struct tree_count *count, struct err *err)
{
	pid_t pid;
	int fd = serve(&pid);
	int r = tree_get(fd, src, dst, NULL, opts, count, err);

	close(fd);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return r;
}

static void put_ok(const char *src, const char *dst)
{
	struct tree_count count;
	struct err err = {0};

	if (put(src, dst, &count, &err) < 0)
		fail_msg("put %s %s: %s", src, dst, err.text);
}

static void put_fails(const char *src, const char *dst, const char *text)
{
	struct tree_count count;
	struct err err = {0};

	assert_true(put(src, dst, &count, &err) < 0);
	if (!strstr(err.text, text))
		fail_msg("put %s %s: '%s' is not in '%s'", src, dst, text,
			err.text);
}

static void make_tree(void)
{
	sh("mkdir -p src/sub/deep src/empty && echo hello > src/file && "
	   ": > src/zero && head -c 300000 /dev/urandom > src/sub/big && "
	   "ln -s ../file src/sub/link && ln -s /nowhere src/dangling && "
	   "echo x > 'src/sub/deep/a b\\c' && chmod 4751 src/file && "
	   "chmod 500 src/sub/deep && touch -d @1234567890 src/sub/deep "
	   "src/file src/empty && touch -h -d @1000000000 src/dangling");
}

static void same(const char *a, const char *b)
{
	_cleanup_free_ char *cmd = xasprintf(
		"f() { (cd \"$1\" && find . -printf '%%P %%y %%m %%T@ %%l\\n' "
		"| sed 's/\\.[0-9]*//' | sort; find . -type f | sort | "
		"xargs -d '\\n' cksum); }; test \"$(f %s)\" = \"$(f %s)\"",
		a, b);

	if (!holds(cmd))
		fail_msg("%s and %s differ", a, b);
}

static void test_round_trip(void **state)
{
	struct tree_count out, back;
	struct err err = {0};

	make_tree();
	assert_int_equal(put("src", "copy", &out, &err), 0);
	same("src", "copy");
	assert_int_equal(out.entries, 10);
	assert_int_equal(out.bytes, 6 + 300000 + 2);
	assert_int_equal(out.skipped, 0);
	assert_int_equal(get("copy", "back", &no_opts, &back, &err), 0);
	same("src", "back");
	assert_int_equal(back.entries, 10);
	assert_int_equal(back.bytes, out.bytes);
}

static void test_one_file(void **state)
{
	sh("head -c 1000000 /dev/urandom > a && chmod 640 a");
	put_ok("a", "b");
	sh("cmp a b && test $(stat -c %a b) = 640");
}

/* What docker cp does with each kind of destination. */
static void test_places(void **state)
{
	sh("mkdir -p d/in t && echo 1 > d/in/f && echo 2 > file");
	put_ok("file", "new");
	sh("test $(cat new) = 2");
	put_ok("file", "t");
	put_ok("file", "t/");
	sh("test $(cat t/file) = 2");
	put_ok("file", "t/other");
	sh("test $(cat t/other) = 2");
	put_fails("file", "nodir/", "no such directory");
	put_fails("file", "nodir/x", "No such file");
	put_fails("file", "file/", "Not a directory");
	put_fails("d", "file", "cannot replace it");
	put_ok("d", "t");
	sh("test $(cat t/d/in/f) = 1");
	put_ok("d", "u");
	sh("test $(cat u/in/f) = 1");
	put_ok("d", "v/");
	sh("test $(cat v/in/f) = 1");
	put_ok("d/.", "t");
	sh("test $(cat t/in/f) = 1");
	put_ok("d/.", "w");
	sh("test $(cat w/in/f) = 1");
	put_fails("file", "d/in/f/x", "Not a directory");
	put_fails("missing", "x", "missing: No such file");
	put_fails("d/in", "t/other", "cannot replace it");
}

static void test_a_directory_in_the_way_of_a_file(void **state)
{
	sh("mkdir -p a b/f && echo 1 > a/f");
	put_fails("a/.", "b", "directory");
}

static void test_links_at_both_ends(void **state)
{
	sh("mkdir real && echo 1 > real/f && ln -s real ld && "
	   "ln -s real/f lf && mkdir into && ln -s into dst && echo old > "
	   "target && ln -s target over");
	put_ok("lf", "x"); /* the link itself */
	sh("test -L x");
	put_ok("ld", "y");
	sh("test -L y");
	put_ok("ld/", "z"); /* what it points to */
	sh("test ! -L z && test $(cat z/f) = 1");
	put_ok("real/f", "dst"); /* the user's own path may be a link */
	sh("test $(cat into/f) = 1");
	put_ok("real/f", "over");
	sh("test -L over && test $(cat target) = 1");
}

/* A file is replaced, not written through another of its names. */
static void test_hard_links_are_not_written_through(void **state)
{
	sh("echo old > keep && ln keep other && echo new > f");
	put_ok("f", "other");
	sh("test $(cat keep) = old && test $(cat other) = new");
}

static void test_special_files_are_left_out(void **state)
{
	struct tree_count count;
	struct err err = {0};

	sh("mkdir s && mkfifo s/fifo && echo 1 > s/f");
	assert_int_equal(put("s", "t", &count, &err), 0);
	assert_int_equal(count.skipped, 1);
	sh("test ! -e t/fifo && test -f t/f");
	assert_int_equal(get("s", "u", &no_opts, &count, &err), 0);
	assert_int_equal(count.skipped, 1);
	put_fails("s/fifo", "x", "neither a file nor");
}

static void test_holes_stay_holes(void **state)
{
	sh("truncate -s 64M s && printf x | dd of=s bs=1 seek=20M "
	   "conv=notrunc status=none");
	put_ok("s", "t");
	sh("cmp s t && test $(du -k t | cut -f1) -lt 1024");
	sh("truncate -s 100000 s2");
	put_ok("s2", "t2");
	sh("cmp s2 t2");
}

static void test_too_deep(void **state)
{
	sh("p=deep; for i in $(seq 140); do p=$p/d; done; mkdir -p $p");
	put_fails("deep", "x", "levels deep");
}

static void test_options(void **state)
{
	struct tree_opts opts = {.name = "mine", .mode_mask = 0700};
	struct tree_count count;
	struct err err = {0};

	make_tree();
	sh("mkdir dst");
	assert_int_equal(get("src", "dst", &opts, &count, &err), 0);
	sh("test ! -e dst/src && test $(stat -c %a dst/mine/file) = 700");
	opts.max_entries = 3;
	assert_int_equal(get("src", "d2", &opts, &count, &err), -E2BIG);
}

static void test_remote_refusal_reaches_the_caller(void **state)
{
	struct tree_count count;
	struct err err = {0};

	sh("head -c 30000000 /dev/zero > big && mkdir -p here/big");
	/* In the middle of the data, while the sender is still writing. */
	assert_int_equal(put("big", "here", &count, &err), -EISDIR);
	assert_int_equal(get("nothing", "x", &no_opts, &count, &err), -ENOENT);
	assert_non_null(strstr(err.text, "nothing"));
}

static void test_names(void **state)
{
	static const char *const t[][2] = {{"a", "a"}, {"/a", "a"}, {"a/", "a"},
		{"/x/a//", "a"}, {"a/.", "."}, {".", "."}, {"..", "."},
		{"a/..", "."}, {"/", "."}, {"//", "."}, {"", "."},
		{"...", "..."}};
	char name[256];

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		assert_int_equal(tree_name(t[i][0], name), 0);
		assert_string_equal(name, t[i][1]);
	}
	assert_false(tree_name_ok(""));
	assert_false(tree_name_ok("."));
	assert_false(tree_name_ok(".."));
	assert_false(tree_name_ok("a/b"));
	assert_true(tree_name_ok("..."));
}

/* ---- hostile streams ---- */

static struct buf evil;

static void entry(
	const char *name, uint32_t mode, uint64_t size, const char *target)
{
	struct buf b;

	buf_init(&b, 65536);
	assert_int_equal(tlv_put_str(&b, AT_NAME, name), 0);
	assert_int_equal(tlv_put_u32(&b, AT_MODE, mode), 0);
	assert_int_equal(tlv_put_u64(&b, AT_SIZE, size), 0);
	if (target)
		assert_int_equal(tlv_put_str(&b, AT_TARGET, target), 0);
	assert_int_equal(
		frame_put(&evil, AF_ENTRY, buf_head(&b), buf_len(&b)), 0);
	buf_done(&b);
}

static void data(size_t len)
{
	static const uint8_t zeros[FRAME_MAX];

	assert_int_equal(frame_put(&evil, AF_DATA, zeros, len), 0);
}

static void plain(uint8_t type)
{
	assert_int_equal(frame_put(&evil, type, NULL, 0), 0);
}

static void evil_done(struct err *err, int want)
{
	struct tree_count count;
	int r = tree_recv(-1, &evil, "box", &no_opts, &count, err);

	buf_done(&evil);
	if (r != want)
		fail_msg("%d, not %d: %s", r, want, err->text);
	/* Whatever happened, it happened inside. */
	sh("test $(ls | grep -vc '^box$') = 1 && test $(cat canary) = safe");
}

static void evil_begin(void)
{
	sh("rm -rf box canary; mkdir box; echo safe > canary");
	buf_init(&evil, 16 * MIB);
}

#define REG (S_IFREG | 0644)
#define DIR_ (S_IFDIR | 0755)

static void test_bad_names(void **state)
{
	static const char *const names[] = {
		"..", "a/b", "/etc/passwd", "../canary", "", "a/../../canary"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct err err = {0};

		evil_begin();
		entry(names[i], REG, 0, NULL);
		evil_done(&err, -EBADMSG);
		evil_begin();
		entry("d", DIR_, 0, NULL);
		entry(names[i], REG, 0, NULL);
		evil_done(&err, -EBADMSG);
	}
	/* "." is for the root only. */
	evil_begin();
	entry("d", DIR_, 0, NULL);
	entry(".", DIR_, 0, NULL);
	evil_done(&(struct err){0}, -EBADMSG);
}

/* A link that was just made is never followed. */
static void test_write_through_a_link(void **state)
{
	struct err err = {0};

	evil_begin();
	entry(".", DIR_, 0, NULL);
	entry("l", S_IFLNK | 0777, 0, "../canary");
	entry("l", REG, 3, NULL);
	data(3);
	plain(AF_UP);
	plain(AF_TREE_END);
	evil_done(&err, 0);
	sh("test -f box/l && test ! -L box/l");
	evil_begin();
	entry(".", DIR_, 0, NULL);
	entry("l", S_IFLNK | 0777, 0, "..");
	entry("l", DIR_, 0, NULL);
	entry("canary", REG, 3, NULL);
	data(3);
	evil_done(&err, -ENOTDIR);
}

static void test_bad_entries(void **state)
{
	static const uint32_t modes[] = {S_IFCHR | 0666, S_IFBLK | 0666,
		S_IFIFO | 0666, S_IFSOCK | 0666, 0644, 0xffffffff};
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		evil_begin();
		entry("x", modes[i], 0, NULL);
		evil_done(&err, -EBADMSG);
	}
	evil_begin();
	entry("x", REG, UINT64_MAX, NULL);
	evil_done(&err, -EBADMSG);
	evil_begin();
	entry("x", DIR_, 5, NULL);
	evil_done(&err, -EBADMSG);
	evil_begin();
	entry("x", S_IFLNK | 0777, 0, NULL);
	evil_done(&err, -EBADMSG);
	evil_begin();
	entry("x", REG, 0, "target");
	evil_done(&err, -EBADMSG);
}

static void test_bad_order(void **state)
{
	struct err err = {0};

	evil_begin();
	plain(AF_UP);
	evil_done(&err, -EBADMSG);
	evil_begin();
	plain(AF_TREE_END);
	evil_done(&err, -EBADMSG);
	evil_begin();
	data(1);
	evil_done(&err, -EBADMSG);
	evil_begin();
	entry("a", REG, 1, NULL);
	data(2);
	evil_done(&err, -EBADMSG);
	evil_begin();
	entry("a", REG, 2, NULL);
	data(1);
	entry("b", REG, 0, NULL);
	evil_done(&err, -EBADMSG);
	evil_begin();
	entry("a", REG, 1, NULL);
	data(0);
	evil_done(&err, -EBADMSG);
	evil_begin();
	entry("a", REG, 0, NULL);
	entry("b", REG, 0, NULL);
	evil_done(&err, -EBADMSG);
	evil_begin();
	entry("a", DIR_, 0, NULL);
	plain(AF_TREE_END);
	evil_done(&err, -EBADMSG);
	evil_begin();
	entry("a", DIR_, 0, NULL);
	plain(AF_UP);
	plain(AF_UP);
	evil_done(&err, -EBADMSG);
	evil_begin();
	entry("a", REG, 5, NULL);
	evil_done(&err, -EPIPE);
	evil_begin();
	plain(77);
	evil_done(&err, -EBADMSG);
}

static void test_endless_depth(void **state)
{
	struct err err = {0};

	evil_begin();
	for (int i = 0; i < 200; i++)
		entry("d", DIR_, 0, NULL);
	evil_done(&err, -EBADMSG);
	assert_non_null(strstr(err.text, "levels"));
}

/* The last byte of a huge file is a hole: no space is taken for a promise. */
static void test_huge_promise(void **state)
{
	struct err err = {0};

	evil_begin();
	entry("x", REG, INT64_MAX, NULL);
	data(FRAME_MAX);
	evil_done(&err, -EPIPE);
}

static void test_failed_text_is_harmless(void **state)
{
	struct err err = {0};

	evil_begin();
	assert_int_equal(reply_failed(&evil, EACCES, "no\033[2J\nway"), 0);
	evil_done(&err, -EACCES);
	assert_string_equal(err.text, "no?[2J?way");
	evil_begin();
	plain(AF_FAILED);
	evil_done(&err, -EIO);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_round_trip),
		T(test_one_file),
		T(test_places),
		T(test_a_directory_in_the_way_of_a_file),
		T(test_links_at_both_ends),
		T(test_hard_links_are_not_written_through),
		T(test_special_files_are_left_out),
		T(test_holes_stay_holes),
		T(test_too_deep),
		T(test_options),
		T(test_remote_refusal_reaches_the_caller),
		T(test_names),
		T(test_bad_names),
		T(test_write_through_a_link),
		T(test_bad_entries),
		T(test_bad_order),
		T(test_endless_depth),
		T(test_huge_promise),
		T(test_failed_text_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
