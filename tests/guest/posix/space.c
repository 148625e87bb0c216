/* SPDX-License-Identifier: Apache-2.0 */
/* fallocate, holes, SEEK_DATA, statfs. */
#include "check.h"

#include <linux/falloc.h>
#include <sys/statvfs.h>

#define KIB 1024
#define MIB (1024 * 1024)

static long long blocks(const char *name)
{
	struct stat st;

	return stat(name, &st) < 0 ? -1 : (long long)st.st_blocks;
}

static void allocate(void)
{
	int fd = open("a", O_RDWR | O_CREAT, 0644);
	char c = 1;

	OK(posix_fallocate(fd, 0, MIB) == 0, "posix_fallocate");
	SAME(size_of("a"), MIB, "size after it");
	OK(blocks("a") >= 2048, "its blocks are there");
	SAME(pread(fd, &c, 1, MIB - 1), 1, "read of what was allocated");
	SAME(c, 0, "is zero");
	OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, MIB, MIB) == 0, "KEEP_SIZE");
	SAME(size_of("a"), MIB, "keeps the size");
	OK(blocks("a") >= 4096, "has the blocks");
	FAILS(fallocate(fd, 0, 0, 0), EINVAL, "nothing");
	FAILS(fallocate(fd, 0, -1, 10), EINVAL, "before the start");
	close(fd);
	fd = open("a", O_RDONLY);
	FAILS(fallocate(fd, 0, 0, 10), EBADF, "read-only descriptor");
	close(fd);
}

static void punch(void)
{
	static char buf[MIB];
	int fd = open("p", O_RDWR | O_CREAT, 0644);

	memset(buf, 'p', sizeof(buf));
	must(write(fd, buf, MIB) == MIB, "write");
	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 64 * KIB,
		   128 * KIB) == 0,
		"punch a hole");
	SAME(size_of("p"), MIB, "size stays");
	must(pread(fd, buf, MIB, 0) == MIB, "read");
	OK(buf[64 * KIB - 1] == 'p' && buf[64 * KIB] == 0 &&
			buf[192 * KIB - 1] == 0 && buf[192 * KIB] == 'p',
		"zeros exactly there");
	SAME(lseek(fd, 0, SEEK_HOLE), 64 * KIB, "SEEK_HOLE");
	SAME(lseek(fd, 64 * KIB, SEEK_DATA), 192 * KIB, "SEEK_DATA");
	SAME(lseek(fd, 192 * KIB, SEEK_HOLE), MIB, "the hole at the end");
	FAILS(lseek(fd, MIB, SEEK_DATA), ENXIO, "no data behind the end");
	FAILS(lseek(fd, MIB + 1, SEEK_HOLE), ENXIO, "no hole either");
	OK(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 4096) == 0, "ZERO_RANGE");
	must(pread(fd, buf, 8192, 0) == 8192, "read");
	OK(buf[0] == 0 && buf[4095] == 0 && buf[4096] == 'p', "zeros there");
	close(fd);
}

static void sparse(void)
{
	char c;
	int fd = open("s", O_RDWR | O_CREAT, 0644);

	OK(ftruncate(fd, 1ll << 40) == 0, "a terabyte of nothing");
	SAME(size_of("s"), 1ll << 40, "its size");
	SAME(blocks("s"), 0, "no blocks");
	SAME(pwrite(fd, "x", 1, (1ll << 40) - 1), 1, "a byte at its end");
	OK(fsync(fd) == 0 && blocks("s") <= 32, "few blocks");
	SAME(pread(fd, &c, 1, 1ll << 39), 1, "read in the middle");
	SAME(c, 0, "is zero");
	OK(lseek(fd, 0, SEEK_DATA) >= (1ll << 40) - 65536,
		"data only at the end");
	close(fd);
	FAILS(truncate("s", 1ll << 62), EFBIG, "larger than any file");
}

static void space(void)
{
	struct statvfs v;
	int fd = open("a", O_RDONLY);

	OK(statvfs(".", &v) == 0, "statvfs");
	OK(v.f_blocks > 0 && v.f_bfree <= v.f_blocks, "blocks make sense");
	SAME(v.f_namemax, 255, "longest name");
	OK(v.f_bsize >= 512 && v.f_frsize >= 512, "block sizes make sense");
	OK(fstatvfs(fd, &v) == 0, "fstatvfs");
	close(fd);
}

int main(int argc, char **argv)
{
	start(argc, argv, "space");
	allocate();
	punch();
	sparse();
	space();
	return finish();
}
