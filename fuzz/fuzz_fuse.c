/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's FUSE requests against a real directory. The input is a sequence of
 * records: opcode, node, flags, length (one byte each), then that many bytes of
 * argument. node and the flags choose among the node ids and handles that the
 * server gave out, so that the fuzzer reaches behind them. Afterwards a file
 * next to the export must be as it was.
 */
#include "fs/fs.h"
#include "wire/agent.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define KEEP 16u
#define RECORDS 64u
#define REPLY_MAX 70000u

enum record_flags {
	RF_HANDLE = 1,   /* the argument begins with a handle of ours */
	RF_RAW = 2,      /* it is the whole request, header and all */
	RF_PIECES = 4,   /* in small pieces */
	RF_NODE2 = 8,    /* ... begins with a node id of ours */
	RF_NO_ROOM = 16, /* little space for the reply */
};

static struct fs *fs;
static char top[64];
static uint64_t nodes[KEEP], handles[KEEP];
static unsigned n_nodes, n_handles;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void path(char *buf, size_t len, const char *name)
{
	snprintf(buf, len, "%s/%s", top, name);
}

static void put(const char *name, const char *text)
{
	char p[128];
	int fd;

	path(p, sizeof(p), name);
	fd = open(p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		abort();
	close(fd);
}

static int remove_one(
	const char *p, const struct stat *st, int type, struct FTW *ftw)
{
	return ftw->level ? remove(p) : 0;
}

static void clean(const char *name)
{
	char p[128];

	path(p, sizeof(p), name);
	chmod(p, 0755);
	nftw(p, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void remove_all(void)
{
	clean(".");
	rmdir(top);
}

static void export(const char *name, const char *dir, uint32_t flags)
{
	char p[128];
	struct err err;
	int fd;

	path(p, sizeof(p), dir);
	mkdir(p, 0755);
	fd = open(p, O_PATH | O_CLOEXEC);
	if (fs_export(fs, name, fd, flags, &err) < 0)
		abort();
}

static void setup(void)
{
	struct fs_config config = fs_config_default;
	struct rlimit small = {1 << 20, 1 << 20};
	struct err err;

	/* Sizes come from the input; the disk does not. */
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	snprintf(top, sizeof(top), "/dev/shm/cove-fuzz.XXXXXX");
	if (!mkdtemp(top))
		abort();
	atexit(remove_all);
	config.max_fds = 200;
	if (fs_new(&config, &fs, &err) < 0)
		abort();
	put("secret", "untouched");
	put("file", "single");
	export("0", "rw", 0);
	export("1", "ro", AMF_RO);
	export("2", "file", AMF_FILE);
}

/* Remembers ids from the replies that carry them. */
static void learn(uint32_t op, const uint8_t *p, size_t len)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;
	size_t at = 0;

	if (op == FUSE_LOOKUP || op == FUSE_CREATE || op == FUSE_MKDIR ||
		op == FUSE_MKNOD || op == FUSE_SYMLINK || op == FUSE_LINK ||
		op == FUSE_TMPFILE) {
		if (len < sizeof(e))
			return;
		memcpy(&e, p, sizeof(e));
		nodes[n_nodes++ % KEEP] = e.nodeid;
		at = sizeof(e);
	}
	if (op == FUSE_OPEN || op == FUSE_OPENDIR || op == FUSE_CREATE ||
		op == FUSE_TMPFILE) {
		if (len < at + sizeof(o))
			return;
		memcpy(&o, p + at, sizeof(o));
		handles[n_handles++ % KEEP] = o.fh;
	}
}

static size_t cut(void *p, size_t len, size_t piece, struct iovec *iov)
{
	size_t n = 0;

	for (size_t off = 0; off < len && n < FS_IOV_MAX; off += piece)
		iov[n++] = (struct iovec){
			(uint8_t *)p + off, MIN(piece, len - off)};
	return n;
}

/* A terabyte of KEEP_SIZE is not held back by RLIMIT_FSIZE. */
static void tame(uint32_t op, uint8_t *arg, size_t len)
{
	struct fuse_fallocate_in f;

	if (op != FUSE_FALLOCATE || len < sizeof(f))
		return;
	memcpy(&f, arg, sizeof(f));
	f.offset &= 0xfffff;
	f.length &= 0xfffff;
	memcpy(arg, &f, sizeof(f));
}

static void request(uint32_t op, unsigned node, unsigned flags,
	const uint8_t *arg, size_t len)
{
	static uint8_t out[REPLY_MAX];
	static struct iovec vi[FS_IOV_MAX], vo[FS_IOV_MAX];
	uint8_t in[sizeof(struct fuse_in_header) + 256] = {0};
	struct fuse_in_header h = {.len = (uint32_t)(sizeof(h) + len),
		.opcode = op,
		.unique = 1,
		.nodeid = nodes[node % KEEP]};
	size_t total = sizeof(h) + len, n;
	size_t room = flags & RF_NO_ROOM ? node : sizeof(out);
	size_t piece = flags & RF_PIECES ? 1 + node % 13 : REPLY_MAX;

	if (flags & RF_RAW) {
		memcpy(in, arg, len);
		total = len;
		memcpy(&op, in + 4, sizeof(op));
	} else {
		memcpy(in, &h, sizeof(h));
		memcpy(in + sizeof(h), arg, len);
		if ((flags & RF_HANDLE) && len >= 8)
			memcpy(in + sizeof(h), &handles[flags >> 5], 8);
		if ((flags & RF_NODE2) && len >= 8)
			memcpy(in + sizeof(h), &nodes[flags >> 5], 8);
	}
	if (total > sizeof(h))
		tame(op, in + sizeof(h), total - sizeof(h));
	n = fs_request(fs, 0, vi, cut(in, total, piece, vi), vo,
		cut(out, room, piece, vo));
	if (n > room)
		abort();
	if (n >= sizeof(struct fuse_out_header)) {
		const struct fuse_out_header *r = (const void *)out;

		if (r->len != n || r->error > 0)
			abort();
		learn(op, out + sizeof(*r), n - sizeof(*r));
	}
}

static void begin(void)
{
	struct fuse_init_in in = {.major = 7, .minor = 37, .flags = ~0u};

	fs_reset(fs);
	clean("rw");
	put("rw/f", "some text to begin with");
	put("ro/f", "read only");
	n_nodes = n_handles = 0;
	memset(handles, 0, sizeof(handles));
	for (unsigned i = 0; i < KEEP; i++)
		nodes[i] = FUSE_ROOT_ID;
	request(FUSE_INIT, 0, 0, (const uint8_t *)&in, sizeof(in));
	request(FUSE_LOOKUP, 15, 0, (const uint8_t *)"0", 2);
	request(FUSE_LOOKUP, 15, 0, (const uint8_t *)"1", 2);
	request(FUSE_LOOKUP, 15, 0, (const uint8_t *)"2", 2);
	request(FUSE_LOOKUP, 0, 0, (const uint8_t *)"f", 2);
	request(FUSE_LOOKUP, 1, 0, (const uint8_t *)"f", 2);
}

static void check(const char *name, const char *text)
{
	char p[128], buf[32];
	ssize_t n;
	int fd;

	path(p, sizeof(p), name);
	fd = open(p, O_RDONLY | O_CLOEXEC);
	n = read(fd, buf, sizeof(buf));
	close(fd);
	if (n != (ssize_t)strlen(text) || memcmp(buf, text, (size_t)n) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!fs)
		setup();
	begin();
	for (unsigned i = 0; i < RECORDS && size >= 4; i++) {
		size_t len = MIN((size_t)data[3], size - 4);

		request(data[0], data[1], data[2], data + 4, len);
		data += 4 + len;
		size -= 4 + len;
	}
	check("secret", "untouched");
	check("ro/f", "read only");
	return 0;
}
