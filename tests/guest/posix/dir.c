/* SPDX-License-Identifier: Apache-2.0 */
/* mkdir, rmdir, and reading directories while they change. */
#include "check.h"

#include <dirent.h>

#define MANY 600

static void making(void)
{
	OK(mkdir("d", 0751) == 0, "mkdir");
	SAME(mode_of("d"), 0751, "its mode");
	SAME(links_of("d"), 2, "its links");
	FAILS(mkdir("d", 0755), EEXIST, "mkdir twice");
	must(put("f", "f"), "put");
	FAILS(mkdir("f", 0755), EEXIST, "mkdir over a file");
	FAILS(mkdir("f/d", 0755), ENOTDIR, "mkdir below a file");
	FAILS(mkdir("none/d", 0755), ENOENT, "mkdir without a parent");
	OK(mkdir("d/sub/", 0755) == 0, "mkdir with a slash behind");
	SAME(links_of("d"), 3, "links with a child");
	FAILS(rmdir("d"), ENOTEMPTY, "rmdir with a child");
	FAILS(rmdir("f"), ENOTDIR, "rmdir a file");
	FAILS(rmdir("none"), ENOENT, "rmdir nothing");
	FAILS(rmdir("d/sub/."), EINVAL, "rmdir dot");
	FAILS(rmdir("d/sub/.."), ENOTEMPTY, "rmdir dot dot");
	OK(rmdir("d/sub") == 0, "rmdir");
	SAME(links_of("d"), 2, "links without the child");
	OK(mkdir("g", 02775) == 0, "mkdir with set-gid");
	OK(chmod("g", 02775) == 0 && mkdir("g/h", 0755) == 0,
		"mkdir in a set-gid directory");
	SAME(mode_of("g/h") & 02000, 02000, "set-gid is handed down");
	OK(rmdir("g/h") == 0 && rmdir("g") == 0 && rmdir("d") == 0, "rmdir");
}

/* Counts names that begin with prefix; twice is a hole in the count. */
static int count(DIR *d, const char *prefix, bool *ret_twice)
{
	static char seen[MANY];
	struct dirent *e;
	int n = 0;

	memset(seen, 0, sizeof(seen));
	while ((e = readdir(d))) {
		size_t len = strlen(prefix);
		int i;

		if (strncmp(e->d_name, prefix, len) != 0)
			continue;
		i = (int)strtol(e->d_name + len, NULL, 10);
		if (i < 0 || i >= MANY || seen[i]++)
			*ret_twice = true;
		n++;
	}
	return n;
}

static void fill(void)
{
	must(mkdir("many", 0755) == 0, "mkdir");
	for (int i = 0; i < MANY; i++) {
		char name[64];

		snprintf(name, sizeof(name), "many/entry-%d", i);
		must(put(name, ""), "put");
	}
}

static void reading(void)
{
	bool twice = false;
	DIR *d = opendir("many");

	SAME(count(d, "entry-", &twice), MANY, "all entries are there");
	OK(!twice, "once each");
	rewinddir(d);
	SAME(count(d, "entry-", &twice), MANY, "and again after rewinddir");
	SAME(count(d, "entry-", &twice), 0, "nothing after the end");
	OK(put("many/late", ""), "a new file");
	rewinddir(d);
	SAME(count(d, "late", &twice), 1, "is there after rewinddir");
	closedir(d);
	OK(unlink("many/late") == 0, "unlink it");
	d = opendir("many");
	SAME(count(d, "late", &twice), 0, "is not there any more");
	closedir(d);
}

static void dots(void)
{
	DIR *d = opendir("many");
	struct dirent *e;
	bool one = false, two = false, types = true;

	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0)
			one = e->d_ino == ino_of("many");
		else if (strcmp(e->d_name, "..") == 0)
			two = true;
		else
			types &= e->d_type == DT_REG;
	}
	OK(one, "dot has the directory's inode number");
	OK(two, "dot dot is there");
	OK(types, "types are known");
	closedir(d);
}

static void inodes(void)
{
	DIR *d = opendir("many");
	struct dirent *e;
	bool good = true;

	while ((e = readdir(d))) {
		char name[300];

		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "many/%s", e->d_name);
		good &= ino_of(name) == e->d_ino;
	}
	OK(good, "inode numbers agree with stat");
	closedir(d);
}

static void seeking(void)
{
	static long pos[MANY + 2];
	static char names[MANY + 2][256];
	DIR *d = opendir("many");
	struct dirent *e;
	bool good = true;
	int n = 0;

	while (n < MANY + 2) {
		pos[n] = telldir(d);
		e = readdir(d);
		if (!e)
			break;
		snprintf(names[n++], 256, "%s", e->d_name);
	}
	SAME(n, MANY + 2, "entries with positions");
	for (int i = n - 1; i >= 0; i -= 7) {
		seekdir(d, pos[i]);
		e = readdir(d);
		good &= e && strcmp(e->d_name, names[i]) == 0;
	}
	OK(good, "seekdir finds what telldir marked");
	closedir(d);
}

/* POSIX: what is neither added nor removed meanwhile comes exactly once. */
static void changing(void)
{
	DIR *d = opendir("many");
	struct dirent *e;
	int kept = 0, n = 0;

	while ((e = readdir(d))) {
		char name[300];

		if (strncmp(e->d_name, "entry-", 6) != 0)
			continue;
		n++;
		snprintf(name, sizeof(name), "many/%s", e->d_name);
		if (strtol(e->d_name + 6, NULL, 10) % 3)
			unlink(name);
		else
			kept++;
	}
	closedir(d);
	SAME(n, MANY, "every entry is seen while others go");
	SAME(kept, MANY / 3, "the kept ones");
	d = opendir("many");
	SAME(count(d, "entry-", &(bool){false}), MANY / 3, "are what is left");
	closedir(d);
	FAILS(rmdir("many"), ENOTEMPTY, "not empty yet");
}

static void emptying(void)
{
	DIR *d = opendir("many");
	struct dirent *e;

	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			(void)unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	OK(rmdir("many") == 0, "one pass of unlink empties it");
}

int main(int argc, char **argv)
{
	start(argc, argv, "dir");
	making();
	fill();
	reading();
	dots();
	inodes();
	seeking();
	changing();
	emptying();
	return finish();
}
