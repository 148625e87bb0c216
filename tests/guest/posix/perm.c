/* SPDX-License-Identifier: Apache-2.0 */
/* What an ordinary user may not do; root passes these checks by nature. */
#include "check.h"

#include <sys/wait.h>

static void files(void)
{
	int fd;

	must(put("none", "x") && chmod("none", 0) == 0, "setup");
	FAILS(open("none", O_RDONLY), EACCES, "read without the right");
	FAILS(open("none", O_WRONLY), EACCES, "write without the right");
	FAILS(access("none", R_OK), EACCES, "access says so");
	OK(access("none", F_OK) == 0, "it exists");
	must(chmod("none", 0400) == 0, "chmod");
	OK(close(open("none", O_RDONLY)) == 0, "read with it");
	FAILS(open("none", O_RDWR), EACCES, "but not both");
	FAILS(open("none", O_RDONLY | O_TRUNC), EACCES, "nor truncate");
	FAILS(truncate("none", 0), EACCES, "truncate");
	must(chmod("none", 0600) == 0, "chmod");
	fd = open("none", O_RDWR);
	must(chmod("none", 0) == 0, "chmod");
	OK(write(fd, "y", 1) == 1 && pread(fd, &(char){0}, 1, 0) == 1,
		"an open descriptor keeps its rights");
	OK(ftruncate(fd, 0) == 0, "also to truncate");
	close(fd);
	OK(unlink("none") == 0, "unlink needs only the directory");
}

static void directories(void)
{
	must(mkdir("d", 0755) == 0 && put("d/f", "x") &&
			mkdir("d/sub", 0755) == 0,
		"setup");
	must(chmod("d", 0555) == 0, "chmod");
	FAILS(open("d/new", O_RDWR | O_CREAT, 0644), EACCES, "create");
	FAILS(mkdir("d/new", 0755), EACCES, "mkdir");
	FAILS(unlink("d/f"), EACCES, "unlink");
	FAILS(rmdir("d/sub"), EACCES, "rmdir");
	FAILS(rename("d/f", "f"), EACCES, "rename out");
	FAILS(symlink("x", "d/s"), EACCES, "symlink");
	FAILS(link("d/f", "d/l"), EACCES, "link");
	OK(put("d/f", "y"), "write to a file in it");
	must(chmod("d", 0644) == 0, "chmod");
	FAILS(open("d/f", O_RDONLY), EACCES, "search");
	FAILS(chdir("d"), EACCES, "chdir");
	must(chmod("d", 0311) == 0, "chmod");
	FAILS(open("d", O_RDONLY), EACCES, "read the directory");
	OK(holds("d/f", "y"), "known names still work");
	must(chmod("d", 0755) == 0, "chmod");
}

static void executing(void)
{
	int status;

	must(put("run", "#!/bin/sh\nexit 5\n"), "put");
	FAILS(access("run", X_OK), EACCES, "not executable");
	fflush(stdout);
	if (fork() == 0) {
		execl("./run", "run", NULL);
		_exit(errno == EACCES ? 9 : 1);
	}
	wait(&status);
	SAME(WEXITSTATUS(status), 9, "execution is refused");
	must(chmod("run", 0755) == 0, "chmod");
	if (fork() == 0) {
		execl("./run", "run", NULL);
		_exit(1);
	}
	wait(&status);
	SAME(WEXITSTATUS(status), 5, "a script runs");
}

static void busy(const char *self)
{
	char cmd[8300];
	int fd;

	snprintf(cmd, sizeof(cmd), "cp '%s' ./prog", self);
	must(system(cmd) == 0, "cp");
	fd = open("prog", O_WRONLY);
	must(fd >= 0, "open");
	fflush(stdout);
	if (fork() == 0) {
		execl("./prog", "prog", NULL);
		_exit(errno == ETXTBSY ? 7 : 1);
	}
	{
		int status;

		wait(&status);
		SAME(WEXITSTATUS(status), 7, "a program open for writing");
	}
	close(fd);
}

int main(int argc, char **argv)
{
	char self[4096] = {0};

	must(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0, "self");
	start(argc, argv, "perm");
	if (geteuid() != 0) {
		files();
		directories();
	}
	executing();
	busy(self);
	return finish();
}
