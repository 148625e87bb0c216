/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"
#include "copy/place.h"
#include "copy/tree.h"
#include "wire/agent.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_TEXT 1024 /* of a path in an error message */
#define OUT_FULL (FRAME_HEAD + FRAME_MAX)
#define OUT_MAX (3u * OUT_FULL)

struct send {
	int fd;
	struct buf out;  /* whole frames, written when OUT_FULL is reached */
	struct buf body; /* of the entry in hand */
	const struct tree_opts *opts;
	struct tree_count count;
	char path[PATH_TEXT]; /* what is being read, for messages; may be cut */
	unsigned int depth;
	struct err *err;
};

static int fail(const struct send *s, int code)
{
	return err_sys(s->err, code, "read %s", s->path);
}

static int flush(struct send *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLIN};
	int r;

	/* The other end has its say only when it refuses to go on. */
	if (poll(&p, 1, 0) > 0)
		return -ECONNABORTED;
	r = fd_write_all(s->fd, buf_head(&s->out), buf_len(&s->out));
	if (r == -EPIPE || r == -ECONNRESET)
		return -ECONNABORTED;
	if (r < 0)
		return err_sys(s->err, -r, "send");
	buf_clear(&s->out);
	if (s->opts->progress)
		s->opts->progress(s->opts->arg, &s->count);
	return 0;
}

static int put_frame(struct send *s, uint8_t type)
{
	int r = frame_put(&s->out, type, buf_head(&s->body), buf_len(&s->body));

	buf_clear(&s->body);
	if (r < 0)
		return err_sys(s->err, -r, "send");
	return buf_len(&s->out) >= OUT_FULL ? flush(s) : 0;
}

static uint64_t mtime_ns(const struct stat *st)
{
	if (st->st_mtim.tv_sec < 0)
		return 0;
	return (uint64_t)st->st_mtim.tv_sec * 1000000000u +
		(uint64_t)st->st_mtim.tv_nsec;
}

static int put_entry(struct send *s, const char *name, const struct stat *st,
	const char *target)
{
	struct buf *b = &s->body;
	uint64_t size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
	int r = tlv_put_str(b, AT_NAME, name);

	r = r ? r : tlv_put_u32(b, AT_MODE, st->st_mode & (S_IFMT | 07777));
	r = r ? r : tlv_put_u64(b, AT_SIZE, size);
	r = r ? r : tlv_put_u64(b, AT_MTIME_NS, mtime_ns(st));
	if (r == 0 && target)
		r = tlv_put_str(b, AT_TARGET, target);
	if (r < 0)
		return fail(s, -r);
	s->count.entries++;
	return put_frame(s, AF_ENTRY);
}

/* One DATA frame of exactly len bytes: the size was promised in the entry. */
static int put_data(struct send *s, int fd, size_t len)
{
	uint8_t *p = buf_reserve(&s->out, FRAME_HEAD + len);
	int r;

	if (!p)
		return fail(s, ENOBUFS);
	r = fd_read_all(fd, p + FRAME_HEAD, len);
	if (r == -EPIPE)
		return err_set(s->err, EAGAIN,
			"%s became shorter while it was read", s->path);
	if (r < 0)
		return fail(s, -r);
	frame_head(p, AF_DATA, (uint32_t)len);
	buf_add(&s->out, FRAME_HEAD + len);
	s->count.bytes += len;
	return buf_len(&s->out) >= OUT_FULL ? flush(s) : 0;
}

static int send_file(
	struct send *s, int dirfd, const char *at, const char *name)
{
	/* Non-blocking: a fifo may have taken the file's place meanwhile. */
	_cleanup_close_ int fd = openat(dirfd, at,
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	uint64_t left;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(s, errno);
	if (!S_ISREG(st.st_mode))
		return err_set(s->err, EAGAIN, "%s changed while it was read",
			s->path);
	r = put_entry(s, name, &st, NULL);
	for (left = (uint64_t)st.st_size; r == 0 && left;) {
		size_t n = (size_t)MIN(left, (uint64_t)FRAME_MAX);

		r = put_data(s, fd, n);
		left -= n;
	}
	return r;
}

static int send_link(struct send *s, int dirfd, const char *at,
	const char *name, const struct stat *st)
{
	char target[AGENT_PATH_MAX + 1];
	ssize_t n = readlinkat(dirfd, at, target, sizeof(target));

	if (n < 0)
		return fail(s, errno);
	if (n == (ssize_t)sizeof(target))
		return fail(s, ENAMETOOLONG);
	target[n] = '\0';
	return put_entry(s, name, st, target);
}

static int send_any(struct send *s, int dirfd, const char *at, const char *name,
	int follow);

static int send_children(struct send *s, DIR *dir)
{
	size_t len = strlen(s->path);
	int r = 0;

	while (r == 0) {
		const struct dirent *e;

		errno = 0;
		e = readdir(dir);
		if (!e)
			return errno ? fail(s, errno) : 0;
		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		snprintf(
			s->path + len, sizeof(s->path) - len, "/%s", e->d_name);
		r = send_any(s, dirfd(dir), e->d_name, e->d_name, 0);
		if (r == 0)
			s->path[len] = '\0';
	}
	return r;
}

static int send_dir(
	struct send *s, int dirfd, const char *at, const char *name, int follow)
{
	int fd = openat(dirfd, at,
		O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
	struct stat st;
	DIR *dir;
	int r;

	if (fd < 0)
		return fail(s, errno);
	dir = fdopendir(fd);
	if (!dir || fstat(fd, &st) < 0) {
		r = errno;
		if (dir)
			closedir(dir);
		else
			close(fd);
		return fail(s, r);
	}
	if (++s->depth > TREE_DEPTH_MAX)
		r = err_set(s->err, ELOOP, "%s: more than %u levels deep",
			s->path, TREE_DEPTH_MAX);
	else
		r = put_entry(s, name, &st, NULL);
	r = r ? r : send_children(s, dir);
	s->depth--;
	closedir(dir);
	return r ? r : put_frame(s, AF_UP);
}

static int send_any(
	struct send *s, int dirfd, const char *at, const char *name, int follow)
{
	struct stat st;

	if (fstatat(dirfd, at, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0) {
		/* Removed since it was listed: as if it had never been there. */
		if (errno == ENOENT && s->depth)
			return 0;
		return fail(s, errno);
	}
	if (S_ISDIR(st.st_mode))
		return send_dir(s, dirfd, at, name, follow);
	if (S_ISREG(st.st_mode))
		return send_file(s, dirfd, at, name);
	if (S_ISLNK(st.st_mode))
		return send_link(s, dirfd, at, name, &st);
	if (!s->depth)
		return err_set(s->err, EINVAL,
			"%s is neither a file nor a directory nor a link",
			s->path);
	s->count.skipped++;
	return 0;
}

static int send_root(struct send *s, const char *path)
{
	size_t len = strlen(path);
	char name[256];
	int r = tree_name(path, name);

	snprintf(s->path, sizeof(s->path), "%s", path);
	if (r < 0)
		return fail(s, -r);
	/* As everywhere: a trailing slash asks for what a link points to. */
	r = send_any(s, AT_FDCWD, path, name, len && path[len - 1] == '/');
	if (r < 0)
		return r;
	r = tlv_put_u64(&s->body, AT_SIZE, s->count.skipped);
	r = r ? r : put_frame(s, AF_TREE_END);
	return r ? r : flush(s);
}

int tree_send(int fd, const char *path, const struct tree_opts *opts,
	struct tree_count *ret, struct err *err)
{
	struct send s = {.fd = fd, .opts = opts, .err = err};
	int r;

	buf_init(&s.out, OUT_MAX);
	buf_init(&s.body, 2 * AGENT_PATH_MAX);
	r = send_root(&s, path);
	buf_done(&s.out);
	buf_done(&s.body);
	if (r == 0)
		*ret = s.count;
	return r;
}
