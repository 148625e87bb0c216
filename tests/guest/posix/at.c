/* SPDX-License-Identifier: Apache-2.0 */
/* Calls relative to a directory, and directories that move or go away. */
#include "check.h"

static void relative(int dir)
{
	struct stat st;
	int fd;

	fd = openat(dir, "f", O_RDWR | O_CREAT, 0644);
	OK(fd >= 0, "openat");
	close(fd);
	OK(exists("d/f"), "made it there");
	OK(fstatat(dir, "f", &st, 0) == 0, "fstatat");
	OK(fstatat(dir, "", &st, AT_EMPTY_PATH) == 0 && S_ISDIR(st.st_mode),
		"fstatat of the descriptor itself");
	OK(faccessat(dir, "f", R_OK, 0) == 0, "faccessat");
	OK(mkdirat(dir, "sub", 0755) == 0, "mkdirat");
	OK(symlinkat("f", dir, "s") == 0, "symlinkat");
	OK(linkat(dir, "f", dir, "l", 0) == 0, "linkat");
	OK(renameat(dir, "l", dir, "m") == 0, "renameat");
	OK(unlinkat(dir, "m", 0) == 0, "unlinkat");
	OK(fchmodat(dir, "f", 0600, 0) == 0, "fchmodat");
	OK(unlinkat(dir, "sub", AT_REMOVEDIR) == 0, "unlinkat of a directory");
}

static void moved(int dir)
{
	char cwd[4200];
	struct stat a, b;
	int fd;

	must(chdir("d") == 0, "chdir");
	OK(rename("../d", "../e") == 0, "rename the working directory");
	fd = openat(dir, "f", O_RDONLY);
	OK(fd >= 0, "openat after it");
	close(fd);
	OK(exists("f"), "relative names work");
	OK(getcwd(cwd, sizeof(cwd)) && strcmp(strrchr(cwd, '/'), "/e") == 0,
		"getcwd knows the new name");
	OK(fstat(dir, &a) == 0 && stat("../e", &b) == 0 && a.st_ino == b.st_ino,
		"the same directory");
	OK(put("g", "g") && holds("../e/g", "g"), "create in it");
	must(chdir("..") == 0, "chdir");
}

static void removed(void)
{
	char cwd[4200];
	struct stat st;

	must(mkdir("gone", 0755) == 0 && chdir("gone") == 0, "setup");
	OK(rmdir("../gone") == 0, "remove the working directory");
	FAILS(open("x", O_RDWR | O_CREAT, 0644), ENOENT, "create in it");
	FAILS(mkdir("x", 0755), ENOENT, "mkdir in it");
	FAILS(open("none", O_RDONLY), ENOENT, "open in it");
	OK(stat(".", &st) == 0 && S_ISDIR(st.st_mode), "stat of dot");
	OK(getcwd(cwd, sizeof(cwd)) == NULL && errno == ENOENT, "getcwd");
	must(chdir(work_dir) == 0, "chdir");
	OK(mkdir("gone", 0755) == 0 && put("gone/x", "x"),
		"a new one of the name");
}

int main(int argc, char **argv)
{
	int dir;

	start(argc, argv, "at");
	must(mkdir("d", 0755) == 0, "mkdir");
	dir = open("d", O_RDONLY | O_DIRECTORY);
	relative(dir);
	moved(dir);
	removed();
	close(dir);
	return finish();
}
