/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static bool in_use;

int logfile_open(const char *state_dir, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/coved.log", state_dir);
	_cleanup_close_ int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	_cleanup_close_ int fd = -1;

	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, errno, "%s", path);
	if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(fd, 1) < 0 ||
		dup2(fd, 2) < 0)
		return err_sys(err, errno, "%s", path);
	in_use = true;
	logfile_check(state_dir);
	return 0;
}

void logfile_check(const char *state_dir)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ char *old = NULL;
	struct stat st;

	if (!in_use || fstat(2, &st) < 0 || st.st_size < LOGFILE_MAX)
		return;
	path = xasprintf("%s/coved.log", state_dir);
	old = xasprintf("%s/coved.log.1", state_dir);
	if (rename(path, old) == 0)
		(void)logfile_open(state_dir, NULL);
}
