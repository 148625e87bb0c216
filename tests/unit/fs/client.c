/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include "wire/agent.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const char *at(const struct world *w, const char *name)
{
	static char buf[4][512];
	static unsigned turn;
	char *p = buf[turn++ % 4];

	snprintf(p, sizeof(buf[0]), "%s/%s", w->dir, name);
	return p;
}

void file_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static uint64_t stamp(const char *path)
{
	struct stat st;

	file_put(path, "");
	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_ctim.tv_sec * 1000000000u +
		(uint64_t)st.st_ctim.tv_nsec;
}

uint64_t coarse_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void clock_moves(const struct world *w)
{
	uint64_t from = stamp(at(w, "stamp"));

	/* Not by sleeping: clocks may be late, too. */
	do
		usleep(1000);
	while (coarse_now() <= from || stamp(at(w, "stamp")) <= from);
}

static void export(
	struct world *w, const char *name, const char *file, uint32_t flags)
{
	struct err err = {0};
	int fd = open(at(w, file), O_PATH | O_CLOEXEC);

	assert_true(fd >= 0);
	if (fs_export(w->fs, name, fd, flags, &err) < 0)
		fail_msg("%s", err.text);
}

void world_open(struct world *w, const struct fs_config *config)
{
	struct err err = {0};

	snprintf(w->dir, sizeof(w->dir), "/tmp/cove-fs-test.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	assert_int_equal(mkdir(at(w, "rw"), 0755), 0);
	assert_int_equal(mkdir(at(w, "ro"), 0755), 0);
	assert_int_equal(mkdir(at(w, "secret"), 0755), 0);
	file_put(at(w, "secret/key"), "SECRET");
	file_put(at(w, "ro/f"), "read only");
	file_put(at(w, "file"), "single");
	if (fs_new(config, &w->fs, &err) < 0)
		fail_msg("%s", err.text);
	export(w, "0", "rw", 0);
	export(w, "1", "ro", AMF_RO);
	export(w, "2", "file", AMF_RO | AMF_FILE);
	client_init(&w->c, w->fs, 0);
	assert_int_equal(call_init(&w->c), 0);
}

void world_close(struct world *w)
{
	char cmd[128];

	client_done(&w->c);
	fs_free(w->fs);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", w->dir);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(system(cmd), 0);
}

void client_init(struct client *c, struct fs *fs, unsigned worker)
{
	*c = (struct client){.fs = fs, .worker = worker, .pid = 4321};
	c->in_iov = xcalloc(FS_IOV_MAX, sizeof(struct iovec));
	c->out_iov = xcalloc(FS_IOV_MAX, sizeof(struct iovec));
	c->in = xcalloc(1, CLIENT_BUF);
	c->out = xcalloc(1, CLIENT_BUF);
}

void client_done(struct client *c)
{
	free(c->in);
	free(c->out);
	free(c->in_iov);
	free(c->out_iov);
}

static size_t cut(uint8_t *p, size_t len, size_t piece, struct iovec *iov)
{
	size_t n = 0;

	if (!piece)
		piece = len;
	if (len / piece >= FS_IOV_MAX)
		piece = len / (FS_IOV_MAX - 2);
	for (size_t off = 0; off < len; off += piece)
		iov[n++] = (struct iovec){p + off, MIN(piece, len - off)};
	return n;
}

int call(struct client *c, uint32_t op, uint64_t node, const void *arg,
	size_t len, const void *more, size_t more_len)
{
	struct fuse_in_header head = {.opcode = op,
		.unique = ++c->unique,
		.nodeid = node,
		.pid = c->pid};
	struct fuse_out_header reply;
	size_t n, n_in, n_out;

	head.len = (uint32_t)(sizeof(head) + len + more_len);
	assert_true(head.len <= CLIENT_BUF);
	memcpy(c->in, &head, sizeof(head));
	if (len)
		memcpy(c->in + sizeof(head), arg, len);
	if (more_len)
		memcpy(c->in + sizeof(head) + len, more, more_len);
	n_in = cut(c->in, head.len, c->piece, c->in_iov);
	n_out = cut(c->out, CLIENT_BUF, c->piece, c->out_iov);
	n = fs_request(c->fs, c->worker, c->in_iov, n_in, c->out_iov, n_out);
	c->out_len = 0;
	if (!n)
		return -ENOMSG;
	memcpy(&reply, c->out, sizeof(reply));
	assert_int_equal(reply.len, n);
	assert_true(reply.unique == head.unique);
	assert_true(reply.error <= 0 && reply.error > -512);
	c->out_len = n - sizeof(reply);
	return reply.error;
}

const void *payload(const struct client *c)
{
	return c->out + sizeof(struct fuse_out_header);
}

int call_init(struct client *c)
{
	struct fuse_init_in in = {.major = FUSE_KERNEL_VERSION,
		.minor = 37,
		.max_readahead = 131072,
		.flags = ~0u};

	return call(c, FUSE_INIT, 0, &in, sizeof(in), NULL, 0);
}

int call_name(struct client *c, uint32_t op, uint64_t node, const void *arg,
	size_t len, const char *name)
{
	return call(c, op, node, arg, len, name, strlen(name) + 1);
}

int lookup(struct client *c, uint64_t dir, const char *name,
	struct fuse_entry_out *ret)
{
	int e = call_name(c, FUSE_LOOKUP, dir, NULL, 0, name);

	if (e == 0) {
		assert_int_equal(c->out_len, sizeof(*ret));
		memcpy(ret, payload(c), sizeof(*ret));
	}
	return e;
}

uint64_t walk(struct client *c, const char *path)
{
	uint64_t node = FUSE_ROOT_ID;
	char part[256];

	while (*path) {
		struct fuse_entry_out e;
		size_t len = strcspn(path, "/");

		snprintf(part, sizeof(part), "%.*s", (int)len, path);
		if (lookup(c, node, part, &e) < 0)
			return 0;
		node = e.nodeid;
		path += len + (path[len] == '/');
	}
	return node;
}

int getattr(struct client *c, uint64_t node, struct fuse_attr *ret)
{
	struct fuse_getattr_in in = {0};
	struct fuse_attr_out out;
	int e = call(c, FUSE_GETATTR, node, &in, sizeof(in), NULL, 0);

	if (e == 0) {
		memcpy(&out, payload(c), sizeof(out));
		*ret = out.attr;
	}
	return e;
}

int create(struct client *c, uint64_t dir, const char *name, uint32_t flags,
	uint32_t mode, uint64_t *ret_node, uint64_t *ret_fh)
{
	struct fuse_create_in in = {.flags = flags | O_CREAT, .mode = mode};
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out;
	int e = call_name(c, FUSE_CREATE, dir, &in, sizeof(in), name);

	if (e == 0) {
		assert_int_equal(c->out_len, sizeof(out));
		memcpy(&out, payload(c), sizeof(out));
		*ret_node = out.entry.nodeid;
		*ret_fh = out.open.fh;
	}
	return e;
}

int open_node(struct client *c, uint32_t op, uint64_t node, uint32_t flags,
	struct fuse_open_out *ret)
{
	struct fuse_open_in in = {.flags = flags};
	int e = call(c, op, node, &in, sizeof(in), NULL, 0);

	if (e == 0)
		memcpy(ret, payload(c), sizeof(*ret));
	return e;
}

int release(struct client *c, uint32_t op, uint64_t node, uint64_t fh)
{
	struct fuse_release_in in = {.fh = fh};

	return call(c, op, node, &in, sizeof(in), NULL, 0);
}

int write_at(struct client *c, uint64_t node, uint64_t fh, uint64_t off,
	const char *text, uint32_t flags)
{
	struct fuse_write_in in = {.fh = fh,
		.offset = off,
		.size = (uint32_t)strlen(text),
		.flags = flags};
	int e = call(c, FUSE_WRITE, node, &in, sizeof(in), text, in.size);

	if (e == 0) {
		const struct fuse_write_out *out = payload(c);

		assert_int_equal(out->size, in.size);
	}
	return e;
}

int read_at(struct client *c, uint64_t node, uint64_t fh, uint64_t off,
	uint32_t size)
{
	struct fuse_read_in in = {.fh = fh, .offset = off, .size = size};
	int e = call(c, FUSE_READ, node, &in, sizeof(in), NULL, 0);

	return e < 0 ? e : (int)c->out_len;
}

void forget(struct client *c, uint64_t node, uint64_t n)
{
	struct fuse_forget_in in = {.nlookup = n};

	assert_int_equal(
		call(c, FUSE_FORGET, node, &in, sizeof(in), NULL, 0), -ENOMSG);
}

int rename_to(struct client *c, uint64_t dir, const char *name, uint64_t newdir,
	const char *newname, uint32_t flags)
{
	struct fuse_rename2_in in = {.newdir = newdir, .flags = flags};
	char names[600];
	size_t a = strlen(name) + 1, b = strlen(newname) + 1;

	memcpy(names, name, a);
	memcpy(names + a, newname, b);
	return call(c, FUSE_RENAME2, dir, &in, sizeof(in), names, a + b);
}

int link_to(struct client *c, uint64_t node, uint64_t dir, const char *name)
{
	struct fuse_link_in in = {.oldnodeid = node};

	return call_name(c, FUSE_LINK, dir, &in, sizeof(in), name);
}

int setattr(struct client *c, uint64_t node, const struct fuse_setattr_in *in)
{
	return call(c, FUSE_SETATTR, node, in, sizeof(*in), NULL, 0);
}
