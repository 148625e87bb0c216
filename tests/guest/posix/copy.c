/* SPDX-License-Identifier: Apache-2.0 */
/* copy_file_range, sendfile, splice. */
#include "check.h"

#include <sys/sendfile.h>
#include <sys/syscall.h>

#define SIZE (1024 * 1024)

static char data[SIZE], back[SIZE];

static ssize_t copy(int in, loff_t *off_in, int out, loff_t *off_out, size_t n)
{
	return syscall(SYS_copy_file_range, in, off_in, out, off_out, n, 0);
}

static void ranges(int in)
{
	int out = open("out", O_RDWR | O_CREAT, 0644);
	loff_t from = 1000, to = 5;

	SAME(copy(in, NULL, out, NULL, SIZE), SIZE, "copy_file_range");
	SAME(lseek(out, 0, SEEK_CUR), SIZE, "moves the position");
	SAME(pread(out, back, SIZE, 0), SIZE, "read the copy");
	OK(memcmp(data, back, SIZE) == 0, "the same");
	SAME(copy(in, &from, out, &to, 100), 100, "with offsets");
	SAME(from, 1100, "offset of the source");
	SAME(to, 105, "offset of the copy");
	SAME(pread(out, back, 100, 5), 100, "read that part");
	OK(memcmp(data + 1000, back, 100) == 0, "the same");
	from = SIZE - 10;
	to = 0;
	SAME(copy(in, &from, out, &to, 100), 10, "at the end it is short");
	SAME(copy(in, &from, out, &to, 100), 0, "behind the end nothing");
	FAILS(copy(out, &(loff_t){0}, out, &(loff_t){10}, 100), EINVAL,
		"onto itself");
	FAILS(copy(in, &(loff_t){0}, in, &(loff_t){SIZE}, 1), EBADF,
		"to a read-only descriptor");
	close(out);
}

static void sending(int in)
{
	int out = open("sent", O_RDWR | O_CREAT, 0644);
	off_t from = 17;

	SAME(sendfile(out, in, &from, 50000), 50000, "sendfile");
	SAME(pread(out, back, 50000, 0), 50000, "read it");
	OK(memcmp(data + 17, back, 50000) == 0, "the same");
	close(out);
}

static void splicing(int in)
{
	int out = open("spliced", O_RDWR | O_CREAT, 0644), p[2];
	loff_t from = 4096;
	ssize_t n;

	must(pipe(p) == 0, "pipe");
	n = splice(in, &from, p[1], NULL, 4096, 0);
	SAME(n, 4096, "splice into a pipe");
	SAME(splice(p[0], NULL, out, NULL, 4096, 0), 4096, "splice out of it");
	SAME(pread(out, back, 4096, 0), 4096, "read it");
	OK(memcmp(data + 4096, back, 4096) == 0, "the same");
	close(out);
}

int main(int argc, char **argv)
{
	int in;

	start(argc, argv, "copy");
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (char)(i * 7 + i / 1000);
	in = open("in", O_RDWR | O_CREAT, 0644);
	must(write(in, data, SIZE) == SIZE, "write");
	close(in);
	in = open("in", O_RDONLY);
	ranges(in);
	sending(in);
	splicing(in);
	close(in);
	return finish();
}
