/* SPDX-License-Identifier: Apache-2.0 */
/* rename and renameat2, for all pairs of things. */
#include "check.h"

#include <sys/syscall.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#endif

static long rename2(const char *a, const char *b, unsigned flags)
{
	return syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, flags);
}

/* Things to rename from and to. */
static const char *const kinds[] = {"none", "file", "empty", "full", "link"};

static void make(const char *name, int kind)
{
	char inside[64];

	if (kind == 1)
		must(put(name, name), "put");
	else if (kind == 2)
		must(mkdir(name, 0755) == 0, "mkdir");
	else if (kind == 4)
		must(symlink("target", name) == 0, "symlink");
	if (kind != 3)
		return;
	snprintf(inside, sizeof(inside), "%s/in", name);
	must(mkdir(name, 0755) == 0 && put(inside, name), "mkdir");
}

static void clear(const char *name)
{
	char inside[64];

	snprintf(inside, sizeof(inside), "%s/in", name);
	(void)unlink(inside);
	(void)unlink(name);
	(void)rmdir(name);
}

/* The matrix's answers are the same for every file system that is right. */
static int expected(int from, int to)
{
	bool from_dir = from == 2 || from == 3;
	bool to_dir = to == 2 || to == 3;

	if (from == 0)
		return ENOENT;
	if (to == 0)
		return 0;
	if (from_dir && !to_dir)
		return ENOTDIR;
	if (!from_dir && to_dir)
		return EISDIR;
	return to == 3 ? ENOTEMPTY : 0;
}

static void matrix(void)
{
	for (int from = 0; from < 5; from++) {
		for (int to = 0; to < 5; to++) {
			char name[64];
			int want = expected(from, to);

			snprintf(name, sizeof(name), "rename %s to %s",
				kinds[from], kinds[to]);
			make("from", from);
			make("to", to);
			errno = 0;
			(void)rename("from", "to");
			result(errno == want, name, strerror(errno));
			if (want == 0)
				OK(!exists("from") && exists("to"), name);
			clear("from");
			clear("to");
		}
	}
}

static void same(void)
{
	struct stat st;

	must(put("a", "a") && link("a", "b") == 0, "setup");
	OK(rename("a", "a") == 0, "rename to itself");
	OK(holds("a", "a"), "changes nothing");
	OK(rename("a", "b") == 0, "rename to another link of it");
	OK(exists("a") && exists("b"), "does nothing at all");
	OK(stat("a", &st) == 0 && st.st_nlink == 2, "two links still");
	unlink("a");
	unlink("b");
}

static void over_open(void)
{
	char buf[16];
	struct stat st;
	int fd;

	must(put("old", "old contents") && put("new", "new"), "setup");
	fd = open("old", O_RDWR);
	OK(rename("new", "old") == 0, "rename over an open file");
	OK(holds("old", "new"), "the name is the new file");
	SAME(read(fd, buf, 16), 12, "the open one is the old file");
	OK(fstat(fd, &st) == 0 && st.st_nlink == 0, "without a link");
	SAME(write(fd, "more", 4), 4, "writable");
	OK(holds("old", "new"), "apart from the new one");
	close(fd);
	fd = open("old", O_RDWR);
	OK(rename("old", "moved") == 0, "rename an open file");
	SAME(pwrite(fd, "N", 1, 0), 1, "write after it");
	OK(holds("moved", "New"), "arrives under the new name");
	close(fd);
	unlink("moved");
}

static void trees(void)
{
	must(mkdir("t", 0755) == 0 && mkdir("t/sub", 0755) == 0 &&
			put("t/sub/f", "deep"),
		"setup");
	FAILS(rename("t", "t/sub/t"), EINVAL, "into itself");
	OK(rename("t", "u") == 0, "rename a tree");
	OK(holds("u/sub/f", "deep"), "what is in it came along");
	FAILS(access("t/sub/f", F_OK), ENOENT, "and is not in the old place");
	must(mkdir("v", 0755) == 0, "mkdir");
	SAME(links_of("v"), 2, "links of an empty directory");
	OK(rename("u/sub", "v/sub") == 0, "to another directory");
	OK(holds("v/sub/f", "deep"), "found there");
	SAME(links_of("v"), 3, "which has one link more");
	SAME(links_of("u"), 2, "the other one less");
	OK(rename("v/sub/f", "f") == 0, "a file to another directory");
	OK(holds("f", "deep"), "found");
	FAILS(rename("f", "none/f"), ENOENT, "to no directory");
	FAILS(rename("f", "f/f"), ENOTDIR, "below a file");
}

static void flags(void)
{
	must(put("x", "x") && put("y", "y"), "setup");
	FAILS(rename2("x", "y", RENAME_NOREPLACE), EEXIST, "NOREPLACE");
	OK(rename2("x", "z", RENAME_NOREPLACE) == 0, "NOREPLACE to nothing");
	OK(holds("z", "x"), "moved");
	OK(rename2("z", "y", RENAME_EXCHANGE) == 0, "EXCHANGE");
	OK(holds("z", "y") && holds("y", "x"), "exchanged");
	FAILS(rename2("z", "no", RENAME_EXCHANGE), ENOENT,
		"EXCHANGE with nothing");
	must(mkdir("dir", 0755) == 0 && put("dir/in", "in"), "setup");
	OK(rename2("z", "dir", RENAME_EXCHANGE) == 0,
		"EXCHANGE a file and a directory");
	OK(holds("z/in", "in") && holds("dir", "y"), "both are there");
	FAILS(rename2("y", "dir", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL,
		"flags that exclude each other");
}

int main(int argc, char **argv)
{
	start(argc, argv, "rename");
	matrix();
	same();
	over_open();
	trees();
	flags();
	return finish();
}
