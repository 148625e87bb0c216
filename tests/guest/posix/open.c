/* SPDX-License-Identifier: Apache-2.0 */
/* open, creat, truncate. */
#include "check.h"

static void creating(void)
{
	int fd;

	FAILS(open("none", O_RDONLY), ENOENT, "open of nothing");
	fd = open("new", O_RDWR | O_CREAT | O_EXCL, 0640);
	OK(fd >= 0, "create exclusively");
	SAME(mode_of("new"), 0640, "mode of a new file");
	SAME(size_of("new"), 0, "a new file is empty");
	close(fd);
	FAILS(open("new", O_RDWR | O_CREAT | O_EXCL, 0640), EEXIST,
		"exclusive create of a file that exists");
	fd = open("new", O_RDWR | O_CREAT, 0777);
	OK(fd >= 0, "create opens a file that exists");
	SAME(mode_of("new"), 0640, "and keeps its mode");
	close(fd);
	umask(077);
	fd = creat("masked", 0777);
	SAME(mode_of("masked"), 0700, "umask applies");
	umask(022);
	close(fd);
	fd = open("readonly", O_RDWR | O_CREAT, 0400);
	OK(fd >= 0, "create a read-only file for writing");
	SAME(write(fd, "x", 1), 1, "write through that descriptor");
	close(fd);
	FAILS(open("none/file", O_RDWR | O_CREAT, 0644), ENOENT,
		"create without the directory");
	FAILS(open("new/file", O_RDWR | O_CREAT, 0644), ENOTDIR,
		"create below a file");
	FAILS(open("", O_RDONLY), ENOENT, "empty name");
	FAILS(open("new/", O_RDONLY), ENOTDIR, "slash behind a file");
}

static void directories(void)
{
	int fd;

	must(mkdir("dir", 0755) == 0, "mkdir");
	FAILS(open("dir", O_WRONLY), EISDIR, "write to a directory");
	FAILS(open("dir", O_RDWR | O_CREAT, 0644), EISDIR,
		"create over a directory");
	FAILS(open("new", O_RDONLY | O_DIRECTORY), ENOTDIR,
		"O_DIRECTORY on a file");
	fd = open("dir", O_RDONLY | O_DIRECTORY);
	OK(fd >= 0, "O_DIRECTORY on a directory");
	FAILS(read(fd, &(char){0}, 1), EISDIR, "read of a directory");
	close(fd);
	fd = open("dir", O_PATH);
	OK(fd >= 0, "O_PATH");
	close(fd);
}

static void links(void)
{
	must(symlink("new", "sym") == 0, "symlink");
	must(symlink("nowhere", "dangling") == 0, "symlink");
	must(symlink("loop", "loop") == 0, "symlink");
	FAILS(open("sym", O_RDONLY | O_NOFOLLOW), ELOOP, "O_NOFOLLOW");
	OK(close(open("sym", O_RDONLY)) == 0, "open follows a link");
	FAILS(open("dangling", O_RDONLY), ENOENT, "open a dangling link");
	FAILS(open("loop", O_RDONLY), ELOOP, "open a loop");
	OK(close(open("dangling", O_RDWR | O_CREAT, 0644)) == 0,
		"create through a dangling link");
	OK(exists("nowhere"), "makes its target");
	FAILS(open("dangling", O_RDWR | O_CREAT | O_EXCL, 0644), EEXIST,
		"exclusive create does not follow");
}

static void truncating(void)
{
	int fd;

	must(put("t", "0123456789"), "put");
	OK(truncate("t", 4) == 0, "truncate down");
	OK(holds("t", "0123"), "what is left");
	OK(truncate("t", 8) == 0, "truncate up");
	SAME(size_of("t"), 8, "size after it");
	fd = open("t", O_RDWR);
	OK(ftruncate(fd, 2) == 0, "ftruncate");
	SAME(lseek(fd, 0, SEEK_END), 2, "end after ftruncate");
	FAILS(ftruncate(fd, -1), EINVAL, "ftruncate to less than nothing");
	close(fd);
	fd = open("t", O_RDONLY);
	FAILS(ftruncate(fd, 0), EINVAL, "ftruncate of a read-only descriptor");
	close(fd);
	OK(holds("t", "01"), "contents before O_TRUNC");
	fd = open("t", O_WRONLY | O_TRUNC);
	SAME(size_of("t"), 0, "O_TRUNC");
	close(fd);
	must(put("t", "again"), "put");
	fd = open("t", O_RDONLY);
	OK(close(creat("t", 0644)) == 0, "creat of a file that exists");
	SAME(read(fd, &(char){0}, 1), 0, "another descriptor sees it empty");
	close(fd);
	FAILS(truncate("dir", 0), EISDIR, "truncate a directory");
	FAILS(truncate("none", 0), ENOENT, "truncate nothing");
}

int main(int argc, char **argv)
{
	start(argc, argv, "open");
	creating();
	directories();
	links();
	truncating();
	return finish();
}
