/* SPDX-License-Identifier: Apache-2.0 */
/* Many processes on the same names. */
#include "check.h"

#include <sys/wait.h>

#define PROCS 8
#define ROUNDS 60

static bool run_all(void (*fn)(int who))
{
	bool good = true;
	int status;

	fflush(stdout);
	for (int i = 0; i < PROCS; i++) {
		if (fork() == 0) {
			fn(i);
			_exit(0);
		}
	}
	for (int i = 0; i < PROCS; i++)
		good &= wait(&status) > 0 && status == 0;
	return good;
}

/* Exactly one process may make each name. */
static void one_winner(int who)
{
	char mark[32];
	int won = 0;

	for (int i = 0; i < ROUNDS; i++) {
		char name[32];
		int fd;

		snprintf(name, sizeof(name), "win/%d", i);
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
		if (fd >= 0)
			won++;
		else if (errno != EEXIST)
			_exit(1);
		close(fd);
	}
	snprintf(mark, sizeof(mark), "won.%d", who);
	if (!put(mark, "") || truncate(mark, won) < 0)
		_exit(1);
}

static int winners(void)
{
	int sum = 0;

	for (int i = 0; i < PROCS; i++) {
		char mark[32];

		snprintf(mark, sizeof(mark), "won.%d", i);
		sum += (int)size_of(mark);
	}
	return sum;
}

/* A name that is replaced is never missing and never half. */
static void replace(int who)
{
	char tmp[32];

	snprintf(tmp, sizeof(tmp), "tmp.%d", who);
	for (int i = 0; i < ROUNDS; i++) {
		char buf[64];
		int fd;
		ssize_t n;

		if (who < PROCS / 2) {
			if (!put(tmp, "whole contents") ||
				rename(tmp, "target") < 0)
				_exit(1);
			continue;
		}
		fd = open("target", O_RDONLY);
		if (fd < 0)
			_exit(2);
		n = read(fd, buf, sizeof(buf));
		close(fd);
		if (n != 14 || memcmp(buf, "whole contents", 14) != 0)
			_exit(3);
	}
}

static void make_and_remove(int who)
{
	for (int i = 0; i < ROUNDS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "mr/%d", i % 4);
		if (mkdir(name, 0755) < 0 && errno != EEXIST)
			_exit(1);
		if (rmdir(name) < 0 && errno != ENOENT)
			_exit(2);
	}
}

static void private_trees(int who)
{
	char dir[32], file[64];

	snprintf(dir, sizeof(dir), "tree.%d", who);
	for (int i = 0; i < ROUNDS / 4; i++) {
		if (mkdir(dir, 0755) < 0)
			_exit(1);
		snprintf(file, sizeof(file), "%s/f", dir);
		if (!put(file, dir) || !holds(file, dir))
			_exit(2);
		if (unlink(file) < 0 || rmdir(dir) < 0)
			_exit(3);
	}
}

int main(int argc, char **argv)
{
	start(argc, argv, "race");
	must(mkdir("win", 0755) == 0 && mkdir("mr", 0755) == 0, "setup");
	OK(run_all(one_winner), "exclusive creates by 8 processes");
	SAME(winners(), ROUNDS, "one winner for each name");
	must(put("target", "whole contents"), "put");
	OK(run_all(replace), "replace by rename while others read");
	OK(run_all(make_and_remove), "mkdir and rmdir of the same names");
	OK(run_all(private_trees), "trees of their own");
	return finish();
}
