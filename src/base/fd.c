/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

int fd_write_all(int fd, const void *p, size_t len)
{
	const uint8_t *from = p;

	while (len) {
		ssize_t n = write(fd, from, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		from += n;
		len -= (size_t)n;
	}
	return 0;
}

int fd_read_all(int fd, void *p, size_t len)
{
	uint8_t *to = p;

	while (len) {
		ssize_t n = read(fd, to, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EPIPE;
		to += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Sizes in /proc are zero, so the file is read until its end. */
ssize_t fd_slurp_at(int dirfd, const char *path, size_t max, char **ret)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *data = NULL;
	size_t len = 0, cap = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n;

		if (cap - len < 2) {
			cap = MAX(2 * cap, (size_t)4096);
			data = xrealloc(data, cap, 1);
		}
		n = read(fd, data + len, cap - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max)
			return -EFBIG;
	}
	data[len] = '\0';
	*ret = TAKE_PTR(data);
	return (ssize_t)len;
}

/* A rename is durable once the directory that holds the name is. */
static int sync_parent(int dirfd, const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = NULL;
	_cleanup_close_ int fd = -1;

	if (!slash)
		dir = xstrdup(".");
	else if (slash == path)
		dir = xstrdup("/");
	else
		dir = xstrndup(path, (size_t)(slash - path));
	fd = openat(dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

static int write_synced(int fd, const void *p, size_t len, mode_t mode)
{
	int r;

	if (fchmod(fd, mode) < 0)
		return -errno;
	r = fd_write_all(fd, p, len);
	if (r < 0)
		return r;
	return fsync(fd) < 0 ? -errno : 0;
}

int fd_replace_at(
	int dirfd, const char *path, const void *p, size_t len, mode_t mode)
{
	_cleanup_free_ char *tmp = NULL;
	_cleanup_close_ int fd = -1;
	uint64_t salt;
	int r;

	if (getrandom(&salt, sizeof(salt), 0) != sizeof(salt))
		return -EIO;
	tmp = xasprintf("%s.%016" PRIx64 ".tmp", path, salt);
	fd = openat(dirfd, tmp,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_synced(fd, p, len, mode);
	if (r == 0 && renameat(dirfd, tmp, dirfd, path) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(dirfd, tmp, 0);
		return r;
	}
	return sync_parent(dirfd, path);
}

int fd_nonblock(int fd, bool on)
{
	int fl = fcntl(fd, F_GETFL);

	if (fl < 0)
		return -errno;
	fl = on ? fl | O_NONBLOCK : fl & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, fl) < 0 ? -errno : 0;
}

int fd_cloexec(int fd, bool on)
{
	return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
}

/* sun_path holds 107 characters; /proc/self/fd/N/name stays short. */
static int unix_addr(int dirfd, const char *name, struct sockaddr_un *ret)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int n;

	if (dirfd == AT_FDCWD || name[0] == '/')
		n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", name);
	else
		n = snprintf(sa.sun_path, sizeof(sa.sun_path),
			"/proc/self/fd/%d/%s", dirfd, name);
	if (n <= 0 || (size_t)n >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	*ret = sa;
	return 0;
}

int sock_listen_at(int dirfd, const char *name, mode_t mode)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_un sa;
	int r = unix_addr(dirfd, name, &sa);

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* Linux gives the file the socket's mode: no moment with a wider one. */
	if (fchmod(fd, mode) < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	if (listen(fd, SOMAXCONN) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int sock_connect_at(int dirfd, const char *name)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_un sa;
	int r = unix_addr(dirfd, name, &sa);

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	do
		r = connect(fd, (struct sockaddr *)&sa, sizeof(sa));
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return TAKE_FD(fd);
}

int sock_peer_uid(int fd, uid_t *ret_uid)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	*ret_uid = cred.uid;
	return 0;
}

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
};

static ssize_t send_msg(int sock, const struct msghdr *msg)
{
	ssize_t n;

	do
		n = sendmsg(sock, msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int sock_send_fds(
	int sock, const void *p, size_t len, const int *fds, size_t n_fds)
{
	struct iovec iov = {(void *)(uintptr_t)p, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	union control ctl;
	ssize_t n;

	assert(n_fds <= FD_PASS_MAX);
	if (n_fds) {
		memset(&ctl, 0, sizeof(ctl));
		msg.msg_control = ctl.bytes;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	n = send_msg(sock, &msg);
	/* A stream may take less: the descriptors went with the first byte. */
	while (n > 0 && (size_t)n < iov.iov_len) {
		iov.iov_base = (uint8_t *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
		msg.msg_control = NULL;
		msg.msg_controllen = 0;
		n = send_msg(sock, &msg);
	}
	return n < 0 ? (int)n : 0;
}

/* Collects what came along; the caller owns got[0..return value). */
static size_t take_fds(struct msghdr *msg, int got[FD_PASS_MAX])
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
		c = CMSG_NXTHDR(msg, c)) {
		size_t k;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		k = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		assert(k <= FD_PASS_MAX - n);
		memcpy(got + n, CMSG_DATA(c), k * sizeof(int));
		n += k;
	}
	return n;
}

ssize_t sock_recv_fds(int sock, void *p, size_t len, int *fds, size_t max_fds,
	size_t *ret_n_fds)
{
	struct iovec iov = {p, len};
	union control ctl;
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ctl.bytes,
		.msg_controllen = sizeof(ctl.bytes)};
	int got[FD_PASS_MAX];
	size_t n_got;
	ssize_t n;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	n_got = take_fds(&msg, got);
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		n = -EMSGSIZE;
		max_fds = 0;
	}
	for (size_t i = max_fds; i < n_got; i++)
		close(got[i]);
	n_got = MIN(n_got, max_fds);
	if (n_got)
		memcpy(fds, got, n_got * sizeof(int));
	*ret_n_fds = n_got;
	return n;
}

/* /proc/PID/stat: "PID (any bytes) S ppid ... starttime(22) ..." */
static int parse_stat(const char *stat, uint64_t *ret_start)
{
	const char *p = strrchr(stat, ')');
	char *end;
	int field = 2;

	if (!p)
		return -EIO;
	for (; *p && field < 22; p++) {
		if (*p != ' ')
			continue;
		field++;
		if (field == 3 && (p[1] == 'Z' || p[1] == 'X'))
			return -ESRCH;
	}
	if (field < 22 || *p < '0' || *p > '9')
		return -EIO;
	*ret_start = strtoull(p, &end, 10);
	return 0;
}

int proc_id_of(pid_t pid, struct proc_id *ret)
{
	_cleanup_free_ char *stat = NULL;
	char path[64];
	uint64_t start;
	ssize_t n;
	int r;

	if (pid <= 0)
		return -ESRCH;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	n = fd_slurp_at(AT_FDCWD, path, 4096, &stat);
	if (n == -ENOENT)
		return -ESRCH;
	if (n < 0)
		return (int)n;
	assert(stat); /* clang cannot know that errno is positive */
	r = parse_stat(stat, &start);
	if (r < 0)
		return r;
	*ret = (struct proc_id){pid, start};
	return 0;
}

/*
 * The descriptor is opened first: if the pid then still has the wanted start
 * time, the descriptor cannot mean another process.
 */
int proc_open(const struct proc_id *id)
{
	_cleanup_close_ int fd = -1;
	struct proc_id now;
	int r;

	if (id->pid <= 0)
		return -ESRCH;
	fd = (int)syscall(SYS_pidfd_open, id->pid, 0);
	if (fd < 0)
		return -errno;
	r = proc_id_of(id->pid, &now);
	if (r < 0)
		return r;
	if (id->start && id->start != now.start)
		return -ESRCH;
	return TAKE_FD(fd);
}

int proc_signal(int pidfd, int signo)
{
	long r = syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0);

	return r < 0 ? -errno : 0;
}
