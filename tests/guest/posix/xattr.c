/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes. */
#include "check.h"

#include <sys/xattr.h>

static bool listed(const char *file, const char *name)
{
	char list[4096];
	ssize_t n = listxattr(file, list, sizeof(list));

	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(list + at) + 1)
		if (strcmp(list + at, name) == 0)
			return true;
	return false;
}

static void basics(void)
{
	char buf[64];

	FAILS(getxattr("f", "user.none", buf, 64), ENODATA, "get none");
	OK(setxattr("f", "user.one", "value", 5, 0) == 0, "set");
	SAME(getxattr("f", "user.one", buf, 64), 5, "get");
	OK(memcmp(buf, "value", 5) == 0, "the value");
	SAME(getxattr("f", "user.one", NULL, 0), 5, "ask for the size");
	FAILS(getxattr("f", "user.one", buf, 3), ERANGE, "a short buffer");
	FAILS(setxattr("f", "user.one", "x", 1, XATTR_CREATE), EEXIST,
		"XATTR_CREATE of one that exists");
	FAILS(setxattr("f", "user.two", "x", 1, XATTR_REPLACE), ENODATA,
		"XATTR_REPLACE of one that does not");
	OK(setxattr("f", "user.one", "", 0, XATTR_REPLACE) == 0,
		"an empty value");
	SAME(getxattr("f", "user.one", buf, 64), 0, "is empty");
	OK(setxattr("f", "user.two", "2", 1, XATTR_CREATE) == 0, "a second");
	OK(listed("f", "user.one") && listed("f", "user.two"), "both listed");
	OK(removexattr("f", "user.one") == 0, "remove");
	OK(!listed("f", "user.one"), "not listed any more");
	FAILS(removexattr("f", "user.one"), ENODATA, "remove twice");
	FAILS(getxattr("none", "user.x", buf, 64), ENOENT, "no file");
}

static void others(void)
{
	char big[2048], buf[2048];
	int fd = open("f", O_RDWR);

	memset(big, 'v', sizeof(big));
	OK(fsetxattr(fd, "user.big", big, sizeof(big), 0) == 0, "2 KiB");
	SAME(fgetxattr(fd, "user.big", buf, sizeof(buf)), 2048, "read back");
	OK(memcmp(big, buf, sizeof(big)) == 0, "the same");
	close(fd);
	OK(setxattr("d", "user.dir", "d", 1, 0) == 0, "on a directory");
	OK(listed("d", "user.dir"), "listed");
	FAILS(lsetxattr("s", "user.x", "x", 1, 0), EPERM, "on a symlink");
	OK(setxattr("s", "user.via", "x", 1, 0) == 0, "through a symlink");
	OK(listed("f", "user.via"), "on its target");
	FAILS(setxattr("f", "nonsense", "x", 1, 0), EOPNOTSUPP, "no namespace");
	FAILS(setxattr("f", "user.", "x", 1, 0), EINVAL, "no name");
	OK(rename("f", "g") == 0 && listed("g", "user.big"), "stay on rename");
	if (geteuid() != 0)
		FAILS(setxattr("g", "trusted.x", "x", 1, 0), EPERM,
			"trusted.* is root's");
	FAILS(getxattr("g", "security.capability", buf, 64), ENODATA,
		"no file capability");
}

static void read_only(void)
{
	must(put("ro", "x") && chmod("ro", 0444) == 0, "setup");
	if (geteuid() != 0)
		FAILS(setxattr("ro", "user.x", "x", 1, 0), EACCES,
			"set on a file that cannot be written");
}

int main(int argc, char **argv)
{
	start(argc, argv, "xattr");
	must(put("f", "x") && mkdir("d", 0755) == 0 && symlink("f", "s") == 0,
		"setup");
	basics();
	others();
	read_only();
	return finish();
}
