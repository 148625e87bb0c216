/* SPDX-License-Identifier: Apache-2.0 */
/* Names: long, odd, deep. */
#include "check.h"

static void lengths(void)
{
	char name[300];

	memset(name, 'n', sizeof(name));
	name[255] = 0;
	OK(put(name, "long"), "a name of 255 bytes");
	OK(holds(name, "long"), "is found");
	OK(unlink(name) == 0 && mkdir(name, 0755) == 0 && rmdir(name) == 0,
		"also for a directory");
	name[255] = 'n';
	name[256] = 0;
	FAILS(open(name, O_RDWR | O_CREAT, 0644), ENAMETOOLONG,
		"256 bytes are too many");
	FAILS(mkdir(name, 0755), ENAMETOOLONG, "for mkdir");
	must(put("short", ""), "put");
	FAILS(rename("short", name), ENAMETOOLONG, "for rename");
	FAILS(symlink("x", name), ENAMETOOLONG, "for symlink");
}

static void odd(void)
{
	static const char *const names[] = {" ", "a b", "-rf", "\\",
		"new\nline", "\x01", "\xff\xfe", "\xc3\xa4", "\xe2\x82\xac",
		"...", "..a", ".hidden", "*?[", "\"'`$", "CASE", "case", "a~1",
		"con", "trail.", "tr ",
		"\xcc\x88"
		"a"};
	char label[64];

	must(mkdir("odd", 0755) == 0 && chdir("odd") == 0, "setup");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(label, sizeof(label), "odd name %zu", i);
		OK(put(names[i], label), label);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(label, sizeof(label), "odd name %zu", i);
		OK(holds(names[i], label), label);
		must(unlink(names[i]) == 0, "unlink");
	}
	must(chdir("..") == 0, "chdir");
	OK(rmdir("odd") == 0, "nothing is left of them");
}

/* Deeper than PATH_MAX, reached step by step. */
static void deep(void)
{
	char part[101], path[4200];
	bool good = true;
	int i;

	memset(part, 'd', 100);
	part[100] = 0;
	for (i = 0; i < 60 && good; i++)
		good = mkdir(part, 0755) == 0 && chdir(part) == 0;
	SAME(i, 60, "60 directories of 100 bytes deep");
	OK(put("bottom", "deep down"), "a file at the bottom");
	OK(holds("bottom", "deep down"), "is found");
	OK(unlink("bottom") == 0, "unlink it");
	for (i = 0; i < 60 && good; i++)
		good = chdir("..") == 0 && rmdir(part) == 0;
	SAME(i, 60, "and back up");
	memset(path, 'p', sizeof(path));
	for (size_t at = 50; at < sizeof(path); at += 51)
		path[at] = '/';
	path[4096] = 0;
	FAILS(open(path, O_RDONLY), ENAMETOOLONG, "a path of 4096 bytes");
	path[4095] = 0;
	FAILS(open(path, O_RDONLY), ENOENT, "a path of 4095 bytes");
}

static void dots(void)
{
	must(mkdir("d", 0755) == 0 && put("d/f", "f"), "setup");
	OK(holds("d/../d/./f", "f"), "dots in a path");
	OK(holds("d//f", "f"), "two slashes");
	FAILS(open("d/f/..", O_RDONLY), ENOTDIR, "dot dot of a file");
	FAILS(mkdir(".", 0755), EEXIST, "mkdir dot");
	FAILS(mkdir("..", 0755), EEXIST, "mkdir dot dot");
	FAILS(rename("d", "."), EBUSY, "rename to dot");
	FAILS(rename(".", "x"), EBUSY, "rename dot");
	FAILS(link("d/f", "d/."), EEXIST, "link to dot");
}

int main(int argc, char **argv)
{
	start(argc, argv, "name");
	lengths();
	odd();
	deep();
	dots();
	return finish();
}
