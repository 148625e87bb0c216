/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings, and how they agree with read and write. */
#include "check.h"

#include <sys/mman.h>
#include <sys/wait.h>

#define PAGE 4096

static void shared(int fd)
{
	char buf[16];
	char *p =
		mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	OK(p != MAP_FAILED, "map shared");
	if (p == MAP_FAILED)
		return;
	OK(p[0] == 'a' && p[PAGE] == 'a', "shows the file");
	memcpy(p + 100, "mapped", 6);
	SAME(pread(fd, buf, 6, 100), 6, "read after a store");
	OK(memcmp(buf, "mapped", 6) == 0, "sees it");
	SAME(pwrite(fd, "written", 7, PAGE + 10), 7, "write");
	OK(memcmp(p + PAGE + 10, "written", 7) == 0, "is seen in the mapping");
	OK(msync(p, 4 * PAGE, MS_SYNC) == 0, "msync");
	p[3 * PAGE] = 'z';
	OK(munmap(p, 4 * PAGE) == 0, "munmap");
	SAME(pread(fd, buf, 1, 3 * PAGE), 1, "read after munmap");
	OK(buf[0] == 'z', "the last store is there");
}

static void private_map(int fd)
{
	char c;
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	OK(p != MAP_FAILED, "map private");
	if (p == MAP_FAILED)
		return;
	p[0] = 'P';
	SAME(pread(fd, &c, 1, 0), 1, "read");
	OK(c == 'a', "a private store stays private");
	munmap(p, PAGE);
}

static void processes(int fd)
{
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int status;

	if (fork() == 0) {
		int own = open("f", O_RDWR);
		char *q = mmap(
			NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, own, 0);

		q[200] = 'C';
		_exit(q == MAP_FAILED);
	}
	wait(&status);
	OK(status == 0 && p[200] == 'C', "another process's store is seen");
	munmap(p, PAGE);
}

static void rights(void)
{
	int ro = open("f", O_RDONLY), wo = open("f", O_WRONLY);

	FAILS((long)mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0),
		EACCES, "map a read-only descriptor for writing");
	OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, 0) !=
			MAP_FAILED,
		"privately it works");
	FAILS((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, wo, 0), EACCES,
		"map a write-only descriptor");
	close(ro);
	close(wo);
}

static void unlinked(void)
{
	int fd = open("u", O_RDWR | O_CREAT, 0644);
	char c, *p;

	must(ftruncate(fd, PAGE) == 0, "ftruncate");
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	OK(unlink("u") == 0, "unlink a mapped file");
	p[5] = 'U';
	OK(msync(p, PAGE, MS_SYNC) == 0, "msync it");
	SAME(pread(fd, &c, 1, 5), 1, "read it");
	OK(c == 'U', "the store is there");
	munmap(p, PAGE);
	close(fd);
}

static void beyond(int fd)
{
	char *p;
	int status;

	must(ftruncate(fd, 10) == 0, "ftruncate");
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	OK(p[10] == 0 && p[PAGE - 1] == 0, "zeros behind the end");
	fflush(stdout);
	if (fork() == 0) {
		volatile char c = p[PAGE];

		_exit(c);
	}
	wait(&status);
	OK(WIFSIGNALED(status), "a page behind the end is a bus error");
	p[20] = 'x';
	munmap(p, 2 * PAGE);
	SAME(size_of("f"), 10, "a store behind the end makes nothing longer");
}

int main(int argc, char **argv)
{
	char page[PAGE];
	int fd;

	start(argc, argv, "mmap");
	fd = open("f", O_RDWR | O_CREAT, 0644);
	memset(page, 'a', PAGE);
	for (int i = 0; i < 4; i++)
		must(write(fd, page, PAGE) == PAGE, "write");
	shared(fd);
	private_map(fd);
	processes(fd);
	rights();
	unlinked();
	beyond(fd);
	close(fd);
	return finish();
}
