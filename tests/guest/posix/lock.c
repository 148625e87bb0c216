/* SPDX-License-Identifier: Apache-2.0 */
/* flock, fcntl locks and open file description locks. */
#include "check.h"

#include <sys/file.h>
#include <sys/wait.h>

#ifndef F_OFD_SETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif

static int lock(int fd, int cmd, short type, off_t from, off_t len)
{
	struct flock l = {.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = from,
		.l_len = len};

	return fcntl(fd, cmd, &l);
}

/* What a child gets for this lock: 0 or errno. */
static int child_lock(short type, off_t from, off_t len)
{
	int status;

	fflush(stdout);
	if (fork() == 0) {
		int fd = open("f", O_RDWR);

		_exit(lock(fd, F_SETLK, type, from, len) < 0 ? errno : 0);
	}
	wait(&status);
	return WEXITSTATUS(status);
}

static void posix_locks(void)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open("f", O_RDWR), other;

	OK(lock(fd, F_SETLK, F_WRLCK, 0, 10) == 0, "lock for writing");
	SAME(child_lock(F_RDLCK, 5, 1), EAGAIN, "another process is refused");
	SAME(child_lock(F_WRLCK, 10, 5), 0, "but not behind it");
	OK(lock(fd, F_SETLK, F_RDLCK, 0, 10) == 0, "turn it into a read lock");
	SAME(child_lock(F_RDLCK, 0, 10), 0, "readers share");
	SAME(child_lock(F_WRLCK, 0, 10), EAGAIN, "a writer is refused");
	OK(lock(fd, F_SETLK, F_UNLCK, 3, 2) == 0, "unlock the middle");
	SAME(child_lock(F_WRLCK, 3, 2), 0, "is free");
	SAME(child_lock(F_WRLCK, 2, 2), EAGAIN, "the rest is not");
	OK(fcntl(fd, F_GETLK, &l) == 0 && l.l_type == F_UNLCK,
		"own locks do not stand in the way");
	other = open("f", O_RDWR);
	close(other);
	SAME(child_lock(F_WRLCK, 0, 10), 0,
		"closing any descriptor drops them all");
	close(fd);
	fd = open("f", O_RDONLY);
	FAILS(lock(fd, F_SETLK, F_WRLCK, 0, 1), EBADF,
		"write lock on a read-only descriptor");
	close(fd);
}

static void bsd_locks(void)
{
	int a = open("f", O_RDWR), b = open("f", O_RDWR);

	OK(flock(a, LOCK_EX) == 0, "flock");
	FAILS(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK,
		"another description is refused");
	FAILS(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK, "shared as well");
	OK(flock(a, LOCK_SH) == 0 && flock(b, LOCK_SH | LOCK_NB) == 0,
		"two shared ones");
	OK(flock(b, LOCK_UN) == 0 && flock(a, LOCK_EX | LOCK_NB) == 0,
		"and one again");
	close(a);
	OK(flock(b, LOCK_EX | LOCK_NB) == 0, "close unlocks");
	close(b);
}

static void ofd_locks(void)
{
	int a = open("f", O_RDWR), b = open("f", O_RDWR);

	OK(lock(a, F_OFD_SETLK, F_WRLCK, 0, 4) == 0, "lock of a description");
	FAILS(lock(b, F_OFD_SETLK, F_WRLCK, 0, 4), EAGAIN,
		"another one in the same process is refused");
	SAME(child_lock(F_WRLCK, 0, 1), EAGAIN, "a process lock too");
	close(a);
	OK(lock(b, F_OFD_SETLK, F_WRLCK, 0, 4) == 0, "close unlocks it");
	close(b);
}

static void waiting(void)
{
	int fds[2], status, fd = open("f", O_RDWR);
	char c;

	must(pipe(fds) == 0, "pipe");
	must(lock(fd, F_SETLK, F_WRLCK, 0, 0) == 0, "lock");
	fflush(stdout);
	if (fork() == 0) {
		int own = open("f", O_RDWR);

		must(write(fds[1], "r", 1) == 1, "pipe");
		_exit(lock(own, F_SETLKW, F_WRLCK, 0, 0) != 0);
	}
	must(read(fds[0], &c, 1) == 1, "pipe");
	must(lock(fd, F_SETLK, F_UNLCK, 0, 0) == 0, "unlock");
	wait(&status);
	OK(status == 0, "a waiter gets the lock");
	close(fd);
}

int main(int argc, char **argv)
{
	start(argc, argv, "lock");
	must(put("f", "0123456789012345"), "put");
	posix_locks();
	bsd_locks();
	ofd_locks();
	waiting();
	return finish();
}
