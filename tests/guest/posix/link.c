/* SPDX-License-Identifier: Apache-2.0 */
/* Hard links and symbolic links. */
#include "check.h"

static void hard(void)
{
	must(put("a", "one") && mkdir("d", 0755) == 0, "setup");
	OK(link("a", "b") == 0, "link");
	SAME(links_of("a"), 2, "links of the first name");
	SAME(links_of("b"), 2, "links of the second");
	OK(ino_of("a") == ino_of("b"), "the same inode number");
	OK(put("b", "two") && holds("a", "two"), "one file");
	OK(chmod("a", 0600) == 0, "chmod by one name");
	SAME(mode_of("b"), 0600, "seen by the other");
	OK(link("a", "d/c") == 0, "link in another directory");
	SAME(links_of("d/c"), 3, "three links");
	FAILS(link("a", "b"), EEXIST, "link to a name that exists");
	FAILS(link("none", "x"), ENOENT, "link of nothing");
	FAILS(link("d", "x"), EPERM, "link of a directory");
	FAILS(link("a", "none/x"), ENOENT, "link to no directory");
	OK(unlink("a") == 0, "unlink the first name");
	OK(holds("b", "two") && holds("d/c", "two"), "the others stay");
	SAME(links_of("b"), 2, "two links");
	OK(rename("d/c", "c") == 0, "rename one of them");
	OK(put("c", "three") && holds("b", "three"), "still one file");
}

static void at_link(void)
{
	must(symlink("b", "sl") == 0, "symlink");
	OK(link("sl", "sl2") == 0, "link of a symlink");
	OK(linkat(AT_FDCWD, "sl", AT_FDCWD, "b2", AT_SYMLINK_FOLLOW) == 0,
		"link through a symlink");
	OK(ino_of("sl2") == ino_of("sl"), "the first is the symlink itself");
	OK(ino_of("b2") == ino_of("b"), "the second its target");
}

static bool reads(const char *name, const char *want)
{
	char buf[4096];
	ssize_t n = readlink(name, buf, sizeof(buf));

	return n == (ssize_t)strlen(want) && memcmp(buf, want, (size_t)n) == 0;
}

static void symbolic(void)
{
	char target[4096], buf[8];
	struct stat st;

	OK(symlink("some/where", "s") == 0, "symlink to nothing");
	OK(reads("s", "some/where"), "readlink");
	SAME(readlink("s", buf, 4), 4, "readlink into a short buffer");
	SAME(size_of("s"), 10, "its size is the target's length");
	OK(lstat("s", &st) == 0 && S_ISLNK(st.st_mode), "it is a symlink");
	SAME(st.st_mode & 07777, 0777, "mode of a symlink");
	FAILS(symlink("x", "s"), EEXIST, "symlink over something");
	FAILS(symlink("", "empty"), ENOENT, "empty target");
	FAILS(readlink("b", buf, 8), EINVAL, "readlink of a file");
	memset(target, 'x', 4095);
	target[4095] = 0;
	OK(symlink(target, "long") == 0, "target of 4095 bytes");
	OK(reads("long", target), "readlink of it");
	must(mkdir("dir", 0755) == 0 && put("dir/f", "f"), "setup");
	OK(symlink("dir", "dl") == 0 && holds("dl/f", "f"),
		"through a link to a directory");
	OK(symlink("../dir/f", "dir/up") == 0 && holds("dir/up", "f"),
		"relative to where the link is");
	OK(unlink("dl/f") == 0 && !exists("dir/f"), "unlink through it");
	FAILS(rmdir("dl"), ENOTDIR, "rmdir of the link");
	OK(rename("s", "s2") == 0 && reads("s2", "some/where"),
		"rename a symlink");
	OK(unlink("s2") == 0 && symlink("else", "s2") == 0 &&
			reads("s2", "else"),
		"a new symlink of the same name");
	for (int i = 0; i < 45; i++) {
		char from[8], to[8];

		snprintf(from, sizeof(from), "c%d", i);
		snprintf(to, sizeof(to), "c%d", i + 1);
		must(symlink(to, from) == 0, "chain");
	}
	must(put("c45", "end"), "put");
	FAILS(open("c0", O_RDONLY), ELOOP, "a chain that is too long");
	OK(holds("c10", "end"), "a chain that is not");
}

int main(int argc, char **argv)
{
	start(argc, argv, "link");
	hard();
	at_link();
	symbolic();
	return finish();
}
