/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"
#include "copy/place.h"
#include "copy/reply.h"
#include "copy/tree.h"
#include "wire/agent.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct entry {
	char name[256];
	mode_t mode;
	uint64_t size;
	uint64_t mtime_ns;
	char *target;
};

/* An open directory; mode and time are set when it is left, if it is ours. */
struct level {
	int fd;
	bool made;
	mode_t mode;
	uint64_t mtime_ns;
};

struct recv {
	int fd;
	struct buf *in;
	const char *dst;
	const struct tree_opts *opts;
	struct tree_count count;
	struct level level[TREE_DEPTH_MAX];
	unsigned int depth;
	bool root_seen;
	bool ended;
	/* The file whose DATA is due; -1 for none. */
	int file;
	uint64_t left;
	struct entry cur;
	struct err *err;
};

static int bad(struct recv *r, const char *what)
{
	return err_set(r->err, EBADMSG, "the stream is damaged: %s", what);
}

static int fail(struct recv *r, int code)
{
	if (!r->depth)
		return err_sys(r->err, code, "write %s", r->dst);
	return err_sys(
		r->err, code, "write %s (below %s)", r->cur.name, r->dst);
}

static struct timespec stamp(uint64_t ns)
{
	return (struct timespec){
		.tv_sec = (time_t)(ns / 1000000000u),
		.tv_nsec = (long)(ns % 1000000000u),
	};
}

static mode_t perm(const struct recv *r, mode_t mode)
{
	return mode & 07777 & (r->opts->mode_mask ? r->opts->mode_mask : 07777);
}

/* 1 a frame, 0 the stream ended, -errno. */
static int next_frame(struct recv *r, struct frame *ret)
{
	for (;;) {
		int n = frame_peek(r->in, ret);
		ssize_t got;

		if (n == 1)
			return 1;
		if (n < 0)
			return bad(r, "no frame");
		got = r->fd < 0 ? 0 : buf_read_fd(r->in, r->fd, 2 * FRAME_MAX);
		if (got == 0)
			return 0;
		if (got < 0)
			return err_sys(r->err, (int)-got, "receive");
	}
}

static int take_field(const struct tlv *t, struct entry *e, unsigned int *have)
{
	_cleanup_free_ char *name = NULL;
	uint32_t mode;
	int r = 0;

	if (t->tag == AT_NAME) {
		r = tlv_str(t, AGENT_NAME_MAX, &name);
		if (r == 0)
			snprintf(e->name, sizeof(e->name), "%s", name);
		*have |= 1;
	} else if (t->tag == AT_MODE) {
		r = tlv_u32(t, &mode);
		if (r == 0)
			e->mode = mode;
		*have |= 2;
	} else if (t->tag == AT_SIZE) {
		r = tlv_u64(t, &e->size);
	} else if (t->tag == AT_MTIME_NS) {
		r = tlv_u64(t, &e->mtime_ns);
	} else if (t->tag == AT_TARGET && !e->target) {
		r = tlv_str(t, AGENT_PATH_MAX, &e->target);
	}
	return r;
}

static bool entry_ok(const struct entry *e, bool root)
{
	if (!tree_name_ok(e->name) && !(root && streq(e->name, ".")))
		return false;
	if (e->size > INT64_MAX || (e->size && !S_ISREG(e->mode)))
		return false;
	if (S_ISLNK(e->mode))
		return e->target && e->target[0];
	return !e->target && (S_ISREG(e->mode) || S_ISDIR(e->mode));
}

static int parse_entry(struct recv *r, const struct frame *f)
{
	struct tlv_iter it = tlv_iter(f->p, f->len);
	struct entry e = {0};
	unsigned int have = 0;
	struct tlv t;
	int n;

	while ((n = tlv_next(&it, &t)) == 1 && n > 0)
		if (take_field(&t, &e, &have) < 0)
			break;
	free(r->cur.target);
	r->cur = e;
	if (n != 0 || have != 3 || !entry_ok(&e, r->depth == 0)) {
		r->cur.name[0] = '\0';
		return bad(r, "an impossible entry");
	}
	return 0;
}

/*
 * Whatever is in the way goes, except a directory. What cannot be removed
 * because something is mounted on it (a shared file) is written in place.
 */
static int open_file(int dirfd, const char *name)
{
	int flags = O_WRONLY | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC;
	struct stat st;
	int fd;

	if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT) {
		if (errno != EBUSY)
			return -1;
		fd = openat(dirfd, name, flags | O_NONBLOCK);
		if (fd < 0)
			return -1;
		if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
			ftruncate(fd, 0) == 0)
			return fd;
		close(fd);
		errno = EBUSY;
		return -1;
	}
	return openat(dirfd, name, flags | O_CREAT | O_EXCL, 0600);
}

static int finish_file(struct recv *r)
{
	struct timespec ts[2] = {
		{.tv_nsec = UTIME_NOW}, stamp(r->cur.mtime_ns)};
	int fd = TAKE_FD(r->file);
	/* The tail may be a hole that was skipped, not written. */
	bool ok = ftruncate(fd, (off_t)r->cur.size) == 0;
	int code;

	ok = ok && fchmod(fd, perm(r, r->cur.mode)) == 0;
	ok = ok && futimens(fd, ts) == 0;
	code = ok ? 0 : errno;
	if (close(fd) < 0 && !code)
		code = errno;
	return code ? fail(r, code) : 0;
}

static int make_file(struct recv *r, int dirfd, const char *name)
{
	r->file = open_file(dirfd, name);
	if (r->file < 0)
		return fail(r, errno);
	r->left = r->cur.size;
	return r->left ? 0 : finish_file(r);
}

static int make_link(struct recv *r, int dirfd, const char *name)
{
	struct timespec ts[2] = {
		{.tv_nsec = UTIME_NOW}, stamp(r->cur.mtime_ns)};

	if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
		return fail(r, errno);
	if (symlinkat(r->cur.target, dirfd, name) < 0)
		return fail(r, errno);
	(void)utimensat(dirfd, name, ts, AT_SYMLINK_NOFOLLOW);
	return 0;
}

static int make_dir(struct recv *r, int dirfd, const char *name)
{
	bool merge = !name[0];
	bool made = false;
	int fd;

	if (r->depth == TREE_DEPTH_MAX)
		return bad(r, "too many levels");
	if (!merge) {
		made = mkdirat(dirfd, name, 0700) == 0;
		if (!made && errno != EEXIST)
			return fail(r, errno);
	}
	fd = openat(dirfd, merge ? "." : name,
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail(r, errno);
	r->level[r->depth++] =
		(struct level){fd, made, perm(r, r->cur.mode), r->cur.mtime_ns};
	return 0;
}

static int make_entry(struct recv *r, int dirfd, const char *name)
{
	if (S_ISDIR(r->cur.mode))
		return make_dir(r, dirfd, name);
	if (S_ISLNK(r->cur.mode))
		return make_link(r, dirfd, name);
	return make_file(r, dirfd, name);
}

static int make_root(struct recv *r)
{
	const char *name = r->opts->name ? r->opts->name : r->cur.name;
	struct place p = {.dirfd = -1};
	int n;

	r->root_seen = true;
	n = tree_place(r->dst, name, S_ISDIR(r->cur.mode), &p, r->err);
	if (n == 0)
		n = make_entry(r, p.dirfd, p.name);
	place_done(&p);
	return n;
}

static int on_entry(struct recv *r, const struct frame *f)
{
	uint64_t max = r->opts->max_entries;
	int n;

	if (r->file >= 0 || (r->root_seen && !r->depth))
		return bad(r, "an entry out of turn");
	n = parse_entry(r, f);
	if (n < 0)
		return n;
	if (++r->count.entries > (max ? max : TREE_ENTRIES_MAX))
		return err_set(r->err, E2BIG, "more than %llu entries",
			(unsigned long long)r->count.entries - 1);
	if (r->opts->progress)
		r->opts->progress(r->opts->arg, &r->count);
	if (!r->depth)
		return make_root(r);
	return make_entry(r, r->level[r->depth - 1].fd, r->cur.name);
}

static bool is_zero(const uint8_t *p, size_t len)
{
	return !p[0] && memcmp(p, p + 1, len - 1) == 0;
}

static int on_data(struct recv *r, const struct frame *f)
{
	int n;

	if (r->file < 0 || !f->len || f->len > r->left)
		return bad(r, "data out of turn");
	/* Holes stay holes. */
	if (f->len == FRAME_MAX && is_zero(f->p, f->len))
		n = lseek(r->file, f->len, SEEK_CUR) < 0 ? -errno : 0;
	else
		n = fd_write_all(r->file, f->p, f->len);
	if (n < 0)
		return fail(r, -n);
	r->left -= f->len;
	r->count.bytes += f->len;
	if (r->opts->progress)
		r->opts->progress(r->opts->arg, &r->count);
	return r->left ? 0 : finish_file(r);
}

static int on_up(struct recv *r)
{
	struct level *l;
	struct timespec ts[2];

	if (r->file >= 0 || !r->depth)
		return bad(r, "an end out of turn");
	l = &r->level[--r->depth];
	ts[0] = (struct timespec){.tv_nsec = UTIME_NOW};
	ts[1] = stamp(l->mtime_ns);
	if (l->made &&
		(fchmod(l->fd, l->mode) < 0 || futimens(l->fd, ts) < 0)) {
		int code = errno;

		closep(&l->fd);
		return fail(r, code);
	}
	closep(&l->fd);
	return 0;
}

static int on_end(struct recv *r, const struct frame *f)
{
	struct tlv_iter it = tlv_iter(f->p, f->len);
	struct tlv t;

	if (r->file >= 0 || r->depth || !r->root_seen)
		return bad(r, "it ends too early");
	while (tlv_next(&it, &t) == 1)
		if (t.tag == AT_SIZE)
			(void)tlv_u64(&t, &r->count.skipped);
	r->ended = true;
	return 0;
}

static int on_frame(struct recv *r, const struct frame *f)
{
	switch (f->type) {
	case AF_ENTRY:
		return on_entry(r, f);
	case AF_DATA:
		return on_data(r, f);
	case AF_UP:
		return on_up(r);
	case AF_TREE_END:
		return on_end(r, f);
	case AF_FAILED:
		return reply_take_failed(f, r->err);
	default:
		return bad(r, "an unknown frame");
	}
}

static int recv_all(struct recv *r)
{
	while (!r->ended) {
		struct frame f;
		int n = next_frame(r, &f);

		if (n == 0)
			return err_set(r->err, EPIPE,
				"the stream ended in the middle");
		if (n == 1)
			n = on_frame(r, &f);
		if (n < 0)
			return n;
		buf_consume(r->in, FRAME_HEAD + f.len);
	}
	return 0;
}

int tree_recv(int fd, struct buf *in, const char *dst,
	const struct tree_opts *opts, struct tree_count *ret, struct err *err)
{
	struct recv r = {
		.fd = fd,
		.in = in,
		.dst = dst,
		.opts = opts,
		.file = -1,
		.err = err,
	};
	int n = recv_all(&r);

	closep(&r.file);
	while (r.depth)
		closep(&r.level[--r.depth].fd);
	free(r.cur.target);
	if (n == 0)
		*ret = r.count;
	return n;
}
