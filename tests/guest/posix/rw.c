/* SPDX-License-Identifier: Apache-2.0 */
/* read, write, append, positions, vectors. */
#include "check.h"

#include <sys/uio.h>
#include <sys/wait.h>

static void positions(void)
{
	char buf[64];
	int fd = open("f", O_RDWR | O_CREAT, 0644);

	SAME(write(fd, "hello world", 11), 11, "write");
	SAME(lseek(fd, 0, SEEK_CUR), 11, "position after write");
	SAME(pwrite(fd, "J", 1, 0), 1, "pwrite");
	SAME(lseek(fd, 0, SEEK_CUR), 11, "pwrite moves nothing");
	SAME(pread(fd, buf, 5, 0), 5, "pread");
	OK(memcmp(buf, "Jello", 5) == 0, "what pread saw");
	SAME(read(fd, buf, 10), 0, "read at the end");
	SAME(lseek(fd, -5, SEEK_END), 6, "seek from the end");
	SAME(read(fd, buf, 64), 5, "short read before the end");
	FAILS(lseek(fd, -1, SEEK_SET), EINVAL, "seek before the start");
	SAME(lseek(fd, 100, SEEK_SET), 100, "seek beyond the end");
	SAME(write(fd, "x", 1), 1, "write there");
	SAME(size_of("f"), 101, "size with a hole");
	SAME(pread(fd, buf, 20, 50), 20, "read of the hole");
	OK(buf[0] == 0 && buf[19] == 0, "a hole is zeros");
	SAME(pread(fd, buf, 5, 200), 0, "pread beyond the end");
	FAILS(pread(fd, buf, 5, -1), EINVAL, "pread at -1");
	SAME(write(fd, "", 0), 0, "write of nothing");
	close(fd);
}

static void access_modes(void)
{
	char c;
	int fd = open("f", O_RDONLY);

	FAILS(write(fd, "x", 1), EBADF, "write on a read-only descriptor");
	close(fd);
	fd = open("f", O_WRONLY);
	FAILS(read(fd, &c, 1), EBADF, "read on a write-only descriptor");
	close(fd);
}

static void vectors(void)
{
	struct iovec out[3] = {{"one", 3}, {"", 0}, {"two!", 4}};
	char a[3], b[4];
	struct iovec in[2] = {{a, 3}, {b, 4}};
	int fd = open("v", O_RDWR | O_CREAT, 0644);

	SAME(writev(fd, out, 3), 7, "writev");
	SAME(preadv(fd, in, 2, 0), 7, "preadv");
	OK(memcmp(a, "one", 3) == 0 && memcmp(b, "two!", 4) == 0,
		"what preadv saw");
	SAME(pwritev(fd, out, 1, 3), 3, "pwritev");
	close(fd);
	OK(holds("v", "oneone!"), "after pwritev");
}

static void appending(void)
{
	int a = open("app", O_WRONLY | O_CREAT | O_APPEND, 0644);
	int b = open("app", O_RDWR | O_APPEND);
	int flags;

	SAME(write(a, "aaa", 3), 3, "append");
	SAME(write(b, "bb", 2), 2, "append by another descriptor");
	SAME(write(a, "c", 1), 1, "append again");
	OK(holds("app", "aaabbc"), "appends do not overwrite");
	SAME(lseek(b, 0, SEEK_SET), 0, "seek on an append descriptor");
	SAME(write(b, "d", 1), 1, "write after the seek");
	OK(holds("app", "aaabbcd"), "still goes to the end");
	SAME(pwrite(b, "e", 1, 0), 1, "pwrite on an append descriptor");
	OK(holds("app", "aaabbcde"), "appends, as Linux does");
	flags = fcntl(b, F_GETFL);
	OK(fcntl(b, F_SETFL, flags & ~O_APPEND) == 0, "take O_APPEND away");
	SAME(pwrite(b, "Z", 1, 0), 1, "pwrite then");
	OK(holds("app", "Zaabbcde"), "goes where it says");
	OK(fcntl(b, F_SETFL, flags) == 0, "give O_APPEND back");
	OK(truncate("app", 2) == 0, "truncate under an append descriptor");
	SAME(write(a, "!", 1), 1, "append after it");
	OK(holds("app", "Za!"), "at the new end");
	close(a);
	close(b);
}

#define WRITERS 16
#define LINES 64
#define LINE 40

static void one_writer(int n)
{
	char line[LINE + 1];
	int fd = open("lines", O_WRONLY | O_APPEND);

	for (int i = 0; i < LINES; i++) {
		snprintf(line, sizeof(line), "%02d %04d %031d\n", n, i, n);
		if (write(fd, line, LINE) != LINE)
			_exit(1);
	}
	_exit(0);
}

/* Every line whole, and those of one writer in order. */
static bool lines_whole(void)
{
	static char all[WRITERS * LINES * LINE + 1];
	int next[WRITERS] = {0};
	int fd = open("lines", O_RDONLY);
	size_t n = 0;
	ssize_t r;

	while ((r = read(fd, all + n, sizeof(all) - n)) > 0)
		n += (size_t)r;
	close(fd);
	if (n != sizeof(all) - 1)
		return false;
	for (char *p = all; p < all + n; p += LINE) {
		int who, i;

		if (p[LINE - 1] != '\n' || sscanf(p, "%d %d", &who, &i) != 2 ||
			who < 0 || who >= WRITERS || next[who]++ != i)
			return false;
	}
	return true;
}

static void parallel(void)
{
	bool good = true;
	int status;

	must(put("lines", ""), "put");
	fflush(stdout);
	for (int i = 0; i < WRITERS; i++)
		if (fork() == 0)
			one_writer(i);
	for (int i = 0; i < WRITERS; i++)
		good &= wait(&status) > 0 && status == 0;
	OK(good, "16 appending writers");
	SAME(size_of("lines"), WRITERS * LINES * LINE, "nothing was lost");
	OK(lines_whole(), "every line is whole and in order");
}

static void big(void)
{
	size_t n = 3 * 1024 * 1024 + 17;
	unsigned char *p = malloc(n), *q = malloc(n);
	int fd = open("big", O_RDWR | O_CREAT, 0644);

	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)(i * 31 + i / 4096);
	SAME(write(fd, p, n), n, "write 3 MiB");
	SAME(pread(fd, q, n, 0), n, "read 3 MiB");
	OK(memcmp(p, q, n) == 0, "the same 3 MiB");
	SAME(pread(fd, q, 8192, 4095), 8192, "read across pages");
	OK(memcmp(p + 4095, q, 8192) == 0, "what it saw");
	SAME(pwrite(fd, "middle", 6, 8190), 6, "write across a page");
	SAME(pread(fd, q, 10, 8188), 10, "read it back");
	OK(memcmp(q + 2, "middle", 6) == 0 && memcmp(q, p + 8188, 2) == 0,
		"neighbours untouched");
	close(fd);
	free(p);
	free(q);
}

int main(int argc, char **argv)
{
	start(argc, argv, "rw");
	positions();
	access_modes();
	vectors();
	appending();
	parallel();
	big();
	return finish();
}
