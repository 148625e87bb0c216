/* SPDX-License-Identifier: Apache-2.0 */
/* chmod, utimens and the times that calls move. */
#include "check.h"

#include <time.h>

static struct stat st_of(const char *name)
{
	struct stat st = {0};

	(void)lstat(name, &st);
	return st;
}

static bool later(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec
				    : a.tv_nsec > b.tv_nsec;
}

/* Kernel stamps move with its tick. */
static void tick(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 25000000}, NULL);
}

static void modes(void)
{
	int fd;

	must(put("f", "x") && mkdir("d", 0755) == 0, "setup");
	OK(chmod("f", 0123) == 0, "chmod");
	SAME(mode_of("f"), 0123, "mode");
	OK(chmod("f", 04755) == 0, "set-uid");
	SAME(mode_of("f"), 04755, "is kept");
	OK(chmod("d", 01777) == 0, "sticky");
	SAME(mode_of("d"), 01777, "is kept");
	fd = open("f", O_RDWR);
	OK(fchmod(fd, 0600) == 0, "fchmod");
	SAME(mode_of("f"), 0600, "mode after fchmod");
	close(fd);
	OK(fchmodat(AT_FDCWD, "f", 0644, 0) == 0, "fchmodat");
	FAILS(chmod("none", 0644), ENOENT, "chmod nothing");
	must(symlink("f", "s") == 0, "symlink");
	OK(chmod("s", 0640) == 0, "chmod through a link");
	SAME(mode_of("f"), 0640, "changes the target");
	SAME(mode_of("s"), 0777, "not the link");
}

static void killed_bits(void)
{
	int fd;

	must(put("suid", "x") && chmod("suid", 06755) == 0, "setup");
	fd = open("suid", O_WRONLY);
	SAME(write(fd, "y", 1), 1, "write to a set-uid file");
	SAME(mode_of("suid"), 0755, "takes the bits away");
	OK(fchmod(fd, 06755) == 0 && ftruncate(fd, 0) == 0, "truncate one");
	SAME(mode_of("suid"), 0755, "takes them away too");
	close(fd);
	OK(chmod("suid", 06755) == 0 &&
			close(open("suid", O_WRONLY | O_TRUNC)) == 0,
		"O_TRUNC of one");
	SAME(mode_of("suid"), 0755, "as well");
	OK(chmod("suid", 02644) == 0, "set-gid without execution");
	SAME(mode_of("suid"), 02644, "is kept");
}

static void set_times(void)
{
	struct timespec ts[2] = {{1000000000, 123456789}, {1500000000, 42}};
	struct stat st, before;

	OK(utimensat(AT_FDCWD, "f", ts, 0) == 0, "utimensat");
	st = st_of("f");
	SAME(st.st_atim.tv_sec, 1000000000, "atime");
	SAME(st.st_atim.tv_nsec, 123456789, "atime's nanoseconds");
	SAME(st.st_mtim.tv_sec, 1500000000, "mtime");
	SAME(st.st_mtim.tv_nsec, 42, "mtime's nanoseconds");
	OK(st.st_ctim.tv_sec > 1600000000, "ctime is now");
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1].tv_nsec = UTIME_NOW;
	OK(utimensat(AT_FDCWD, "f", ts, 0) == 0, "UTIME_OMIT and UTIME_NOW");
	st = st_of("f");
	SAME(st.st_atim.tv_sec, 1000000000, "omitted");
	OK(st.st_mtim.tv_sec > 1600000000, "now");
	before = st_of("s");
	ts[0] = ts[1] = (struct timespec){1234567890, 0};
	OK(utimensat(AT_FDCWD, "s", ts, AT_SYMLINK_NOFOLLOW) == 0,
		"times of a symlink");
	SAME(st_of("s").st_mtim.tv_sec, 1234567890, "are set");
	OK(st_of("f").st_mtim.tv_sec == st.st_mtim.tv_sec,
		"the target's are not");
	(void)before;
	ts[0].tv_nsec = 1000000000;
	FAILS(utimensat(AT_FDCWD, "f", ts, 0), EINVAL, "bad nanoseconds");
	ts[0] = ts[1] = (struct timespec){-100, 5};
	OK(utimensat(AT_FDCWD, "f", ts, 0) == 0, "before 1970");
	SAME(st_of("f").st_mtim.tv_sec, -100, "is kept");
	ts[0] = ts[1] = (struct timespec){5000000000, 5};
	OK(utimensat(AT_FDCWD, "f", ts, 0) == 0, "after 2106");
	SAME(st_of("f").st_mtim.tv_sec, 5000000000, "is kept too");
}

/* Does call move the times of name it should, and no others? */
#define MOVES(name, call, m, c, text)                                     \
	do {                                                              \
		struct stat a_ = st_of(name), b_;                         \
		tick();                                                   \
		must(call, text);                                         \
		b_ = st_of(name);                                         \
		OK(later(b_.st_mtim, a_.st_mtim) == (m), text ": mtime"); \
		OK(later(b_.st_ctim, a_.st_ctim) == (c), text ": ctime"); \
	} while (0)

static bool write_to(int fd)
{
	return write(fd, "x", 1) == 1;
}

static void moved_times(void)
{
	int fd = open("f", O_RDWR);

	must(futimens(fd, NULL) == 0, "touch");
	MOVES("f", write_to(fd), true, true, "write");
	MOVES("f", fchmod(fd, 0644) == 0, false, true, "chmod");
	MOVES("f", ftruncate(fd, 0) == 0, true, true, "truncate");
	MOVES("f", ftruncate(fd, 0) == 0, true, true, "truncate to the same");
	MOVES("f", link("f", "l") == 0, false, true, "link");
	MOVES("f", unlink("l") == 0, false, true, "unlink of a link");
	MOVES("f", rename("f", "f2") == 0 && rename("f2", "f") == 0, false,
		true, "rename");
	MOVES("d", put("d/x", "x"), true, true, "create in a directory");
	MOVES("d", put("d/x", "y"), false, false, "write to a file in it");
	MOVES("d", chmod("d/x", 0600) == 0, false, false, "chmod in it");
	MOVES("d", rename("d/x", "d/y") == 0, true, true, "rename in it");
	MOVES("d", unlink("d/y") == 0, true, true, "unlink in it");
	MOVES("d", mkdir("d/z", 0755) == 0, true, true, "mkdir in it");
	MOVES("d", rmdir("d/z") == 0, true, true, "rmdir in it");
	MOVES("d", symlink("x", "d/s") == 0, true, true, "symlink in it");
	MOVES("f", pread(fd, &(char){0}, 1, 0) >= 0, false, false, "read");
	close(fd);
}

static void blocks(void)
{
	struct stat st;
	char buf[8192];

	memset(buf, 'b', sizeof(buf));
	must(close(creat("b", 0644)) == 0, "creat");
	SAME(st_of("b").st_blocks, 0, "an empty file has no blocks");
	{
		int fd = open("b", O_WRONLY);

		must(write(fd, buf, sizeof(buf)) == sizeof(buf), "write");
		must(fsync(fd) == 0, "fsync");
		close(fd);
	}
	st = st_of("b");
	SAME(st.st_blocks, 16, "8 KiB are 16 blocks");
	SAME(st.st_blksize, 4096, "block size");
}

int main(int argc, char **argv)
{
	start(argc, argv, "attr");
	modes();
	killed_bits();
	set_times();
	moved_times();
	blocks();
	return finish();
}
