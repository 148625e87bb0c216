/* SPDX-License-Identifier: Apache-2.0 */
/* Fifos, sockets and the devices nobody may make. */
#include "check.h"

#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

static void fifos(void)
{
	char buf[8];
	struct stat st;
	int status, fd;

	OK(mkfifo("fifo", 0644) == 0, "mkfifo");
	OK(lstat("fifo", &st) == 0 && S_ISFIFO(st.st_mode), "is a fifo");
	SAME(st.st_mode & 07777, 0644, "its mode");
	FAILS(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO, "no reader");
	fflush(stdout);
	if (fork() == 0) {
		int w = open("fifo", O_WRONLY);

		_exit(write(w, "through", 7) != 7);
	}
	fd = open("fifo", O_RDONLY);
	SAME(read(fd, buf, 8), 7, "read from it");
	wait(&status);
	OK(status == 0, "the writer is happy");
	close(fd);
	OK(rename("fifo", "fifo2") == 0 && link("fifo2", "fifo3") == 0,
		"rename and link it");
	OK(chmod("fifo2", 0600) == 0 && mode_of("fifo3") == 0600, "chmod it");
	OK(unlink("fifo2") == 0 && unlink("fifo3") == 0, "unlink it");
	FAILS(mkfifo("none/x", 0644), ENOENT, "no directory");
}

static void sockets(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "sock"};
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	int c = socket(AF_UNIX, SOCK_STREAM, 0);
	struct stat st;

	OK(bind(s, (struct sockaddr *)&a, sizeof(a)) == 0, "bind a socket");
	OK(lstat("sock", &st) == 0 && S_ISSOCK(st.st_mode), "is a socket");
	FAILS(open("sock", O_RDWR), ENXIO, "open it");
	OK(listen(s, 1) == 0, "listen");
	OK(connect(c, (struct sockaddr *)&a, sizeof(a)) == 0, "connect");
	OK(rename("sock", "sock2") == 0, "rename it");
	close(c);
	close(s);
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "sock2");
	FAILS(connect(c, (struct sockaddr *)&a, sizeof(a)), ECONNREFUSED,
		"connect when nobody listens");
	FAILS(bind(c, (struct sockaddr *)&a, sizeof(a)), EADDRINUSE,
		"bind to a name that exists");
	close(c);
	OK(unlink("sock2") == 0, "unlink it");
}

static void devices(void)
{
	OK(mknod("reg", S_IFREG | 0640, 0) == 0, "mknod of a file");
	SAME(mode_of("reg"), 0640, "its mode");
	FAILS(mknod("reg", S_IFREG | 0640, 0), EEXIST, "mknod twice");
	if (geteuid() != 0) {
		FAILS(mknod("chr", S_IFCHR | 0600, makedev(1, 3)), EPERM,
			"character device");
		FAILS(mknod("blk", S_IFBLK | 0600, makedev(7, 0)), EPERM,
			"block device");
	}
	FAILS(mknod("dir", S_IFDIR | 0755, 0), EPERM, "directory by mknod");
}

int main(int argc, char **argv)
{
	start(argc, argv, "special");
	fifos();
	sockets();
	devices();
	return finish();
}
