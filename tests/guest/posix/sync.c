/* SPDX-License-Identifier: Apache-2.0 */
/* fsync and its relatives. */
#include "check.h"

int main(int argc, char **argv)
{
	int fd, dir;

	start(argc, argv, "sync");
	fd = open("f", O_RDWR | O_CREAT, 0644);
	dir = open(".", O_RDONLY | O_DIRECTORY);
	SAME(write(fd, "data", 4), 4, "write");
	OK(fsync(fd) == 0, "fsync");
	OK(fdatasync(fd) == 0, "fdatasync");
	OK(fsync(dir) == 0, "fsync of the directory");
	OK(sync_file_range(fd, 0, 4, SYNC_FILE_RANGE_WRITE) == 0,
		"sync_file_range");
	OK(syncfs(fd) == 0, "syncfs");
	close(fd);
	fd = open("f", O_RDONLY);
	OK(fsync(fd) == 0, "fsync of a read-only descriptor");
	close(fd);
	fd = open("f", O_WRONLY | O_SYNC);
	SAME(write(fd, "sync", 4), 4, "O_SYNC");
	close(fd);
	fd = open("f", O_WRONLY | O_DSYNC);
	SAME(write(fd, "dsync", 5), 5, "O_DSYNC");
	close(fd);
	OK(holds("f", "dsync"), "what was written");
	FAILS(fsync(-1), EBADF, "no descriptor");
	close(dir);
	return finish();
}
