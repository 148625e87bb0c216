/* SPDX-License-Identifier: Apache-2.0 */
/* unlink, and files that live on without a name. */
#include "check.h"

static void errors(void)
{
	must(mkdir("d", 0755) == 0 && put("d/f", "x"), "setup");
	FAILS(unlink("none"), ENOENT, "unlink nothing");
	FAILS(unlink("d"), EISDIR, "unlink a directory");
	FAILS(unlink("d/f/x"), ENOTDIR, "unlink below a file");
	FAILS(unlinkat(AT_FDCWD, "d/f", AT_REMOVEDIR), ENOTDIR,
		"rmdir of a file");
	OK(unlink("d/f") == 0, "unlink");
	FAILS(access("d/f", F_OK), ENOENT, "it is gone");
	FAILS(unlink("d/f"), ENOENT, "unlink twice");
	must(symlink("d", "s") == 0, "symlink");
	OK(unlink("s") == 0, "unlink a link to a directory");
	OK(exists("d"), "which stays");
}

static void open_file(void)
{
	char buf[16], path[64];
	struct stat st;
	int fd, again;

	must(put("f", "precious"), "put");
	fd = open("f", O_RDWR);
	OK(unlink("f") == 0, "unlink an open file");
	OK(fstat(fd, &st) == 0 && st.st_nlink == 0, "it has no link");
	SAME(st.st_size, 8, "but its size");
	SAME(pread(fd, buf, 16, 0), 8, "read it");
	OK(memcmp(buf, "precious", 8) == 0, "its contents");
	SAME(pwrite(fd, "P", 1, 0), 1, "write it");
	OK(ftruncate(fd, 4) == 0, "shorten it");
	OK(fstat(fd, &st) == 0 && st.st_size == 4, "it is shorter");
	OK(fchmod(fd, 0600) == 0, "chmod it");
	OK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0600, "mode");
	OK(futimens(fd, NULL) == 0, "touch it");
	must(put("f", "other"), "put");
	SAME(pread(fd, buf, 16, 0), 4, "a new file of the name is another");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY);
	OK(again >= 0, "open it again through /proc");
	SAME(read(again, buf, 16), 4, "and read there");
	close(again);
	SAME(fsync(fd), 0, "fsync it");
	close(fd);
	OK(holds("f", "other"), "the new file is as it was");
}

static void hard_links(void)
{
	struct stat st;
	int fd;

	must(put("a", "1") && link("a", "b") == 0, "setup");
	fd = open("a", O_RDWR);
	OK(unlink("a") == 0, "unlink one of two names");
	OK(fstat(fd, &st) == 0 && st.st_nlink == 1, "one link is left");
	SAME(links_of("b"), 1, "also by name");
	OK(write(fd, "2", 1) == 1 && holds("b", "2"), "the other name sees it");
	close(fd);
}

static void directories(void)
{
	struct stat st;
	int fd;

	must(mkdir("gone", 0755) == 0, "mkdir");
	fd = open("gone", O_RDONLY | O_DIRECTORY);
	OK(rmdir("gone") == 0, "rmdir an open directory");
	OK(fstat(fd, &st) == 0 && S_ISDIR(st.st_mode), "it still is one");
	FAILS(openat(fd, "x", O_RDWR | O_CREAT, 0644), ENOENT,
		"create in a removed directory");
	FAILS(mkdirat(fd, "x", 0755), ENOENT, "mkdir in it");
	close(fd);
}

int main(int argc, char **argv)
{
	start(argc, argv, "unlink");
	errors();
	open_file();
	hard_links();
	directories();
	return finish();
}
