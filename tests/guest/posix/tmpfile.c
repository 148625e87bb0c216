/* SPDX-License-Identifier: Apache-2.0 */
/* O_TMPFILE and giving it a name. */
#include "check.h"

int main(int argc, char **argv)
{
	char path[64], buf[16];
	struct stat st;
	int fd;

	start(argc, argv, "tmpfile");
	fd = open(".", O_TMPFILE | O_RDWR, 0640);
	OK(fd >= 0, "O_TMPFILE");
	if (fd < 0)
		return finish();
	OK(fstat(fd, &st) == 0 && st.st_nlink == 0, "has no link");
	SAME(st.st_mode & 07777, 0640, "mode");
	SAME(write(fd, "hidden", 6), 6, "write");
	SAME(pread(fd, buf, 16, 0), 6, "read");
	OK(fchmod(fd, 0600) == 0, "chmod");
	OK(ftruncate(fd, 3) == 0, "truncate");
	OK(fstat(fd, &st) == 0 && st.st_size == 3, "size");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	OK(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0,
		"give it a name");
	OK(holds("named", "hid"), "it is there");
	SAME(mode_of("named"), 0600, "with its mode");
	SAME(links_of("named"), 1, "and one link");
	FAILS(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW),
		EEXIST, "not twice the same name");
	SAME(pwrite(fd, "H", 1, 0), 1, "write after it");
	OK(holds("named", "Hid"), "one file");
	close(fd);
	fd = open(".", O_TMPFILE | O_WRONLY | O_EXCL, 0600);
	OK(fd >= 0, "O_TMPFILE with O_EXCL");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	FAILS(linkat(AT_FDCWD, path, AT_FDCWD, "never", AT_SYMLINK_FOLLOW),
		ENOENT, "cannot get a name");
	close(fd);
	FAILS(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL, "read-only");
	FAILS(open("none", O_TMPFILE | O_RDWR, 0600), ENOENT, "no directory");
	FAILS(open("named", O_TMPFILE | O_RDWR, 0600), ENOTDIR, "in a file");
	return finish();
}
