/* SPDX-License-Identifier: Apache-2.0 */
#include "image/tarball.h"

#include "base/fd.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>

#define MEMBERS_MAX 100000u
#define CHUNK (256 * KIB)

struct tarball {
	struct archive *a;
	int fd;
	uint64_t next; /* offset that the next data must have */
	uint8_t chunk[CHUNK];
};

static la_ssize_t feed(struct archive *a, void *arg, const void **ret_p)
{
	struct tarball *t = arg;
	ssize_t n;

	do
		n = read(t->fd, t->chunk, sizeof(t->chunk));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		archive_set_error(a, errno, "read failed");
	*ret_p = t->chunk;
	return n;
}

/* libarchive skips what this does not. */
static la_int64_t skip(struct archive *a, void *arg, la_int64_t want)
{
	struct tarball *t = arg;
	off_t here = lseek(t->fd, 0, SEEK_CUR);
	off_t end = lseek(t->fd, 0, SEEK_END);

	if (here < 0 || end < 0)
		return 0;
	want = MIN(want, (la_int64_t)(end - here));
	if (lseek(t->fd, here + want, SEEK_SET) < 0)
		return 0;
	return want;
}

static int damaged(struct tarball *t, struct err *err)
{
	const char *why = archive_error_string(t->a);

	return err_set(err, EBADMSG, "the archive is damaged or no tar: %.200s",
		why ? why : "unknown reason");
}

void tarball_close(struct tarball *t)
{
	archive_read_free(t->a);
	free(t);
}

/* raw: the decompressed bytes as one member, whatever they are. */
static int start(int fd, bool raw, struct tarball **ret, struct err *err)
{
	_cleanup_(tarball_closep) struct tarball *t = xnew(struct tarball);
	int r;

	t->fd = fd;
	t->a = archive_read_new();
	if (!t->a)
		abort();
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, errno, "cannot seek in the archive");
	r = raw ? archive_read_support_format_raw(t->a)
		: archive_read_support_format_tar(t->a);
	if (r != ARCHIVE_OK ||
		archive_read_support_filter_gzip(t->a) != ARCHIVE_OK ||
		archive_read_support_filter_xz(t->a) != ARCHIVE_OK ||
		archive_read_support_filter_zstd(t->a) != ARCHIVE_OK)
		return err_set(err, ENOSYS,
			"libarchive lacks gzip, xz or zstd support");
	if (archive_read_open2(t->a, t, NULL, feed, skip, NULL) != ARCHIVE_OK)
		return damaged(t, err);
	*ret = TAKE_PTR(t);
	return 0;
}

/* 1 a member, 0 the end. */
static int step(struct tarball *t, const char **ret_name,
	struct archive_entry **ret_e, struct err *err)
{
	int r = archive_read_next_header(t->a, ret_e);
	const char *name;

	if (r == ARCHIVE_EOF)
		return 0;
	if (r != ARCHIVE_OK)
		return damaged(t, err);
	name = archive_entry_pathname(*ret_e);
	if (!name)
		return err_set(err, EILSEQ,
			"the archive has a name that is not valid UTF-8");
	while (strncmp(name, "./", 2) == 0)
		name += 2;
	*ret_name = name;
	return 1;
}

/* No image archive has these, nearly every root file system has one. */
static bool root_only(const char *name)
{
	static const char *const dirs[] = {"bin", "boot", "dev", "etc", "home",
		"lib", "lib64", "opt", "proc", "root", "run", "sbin", "srv",
		"sys", "tmp", "usr", "var"};
	size_t len = strcspn(name, "/");

	for (size_t k = 0; k < ARRAY_SIZE(dirs); k++)
		if (strlen(dirs[k]) == len && strncmp(name, dirs[k], len) == 0)
			return true;
	return false;
}

int tarball_kind(int fd, enum tarball_kind *ret, struct err *err)
{
	_cleanup_(tarball_closep) struct tarball *t = NULL;
	bool layout = false, index = false, manifest = false;
	struct archive_entry *e;
	const char *name;
	int r = start(fd, false, &t, err);

	for (uint32_t n = 0; r == 0; n++) {
		if (n == MEMBERS_MAX)
			break;
		r = step(t, &name, &e, err);
		if (r <= 0)
			break;
		if (root_only(name)) {
			*ret = TARBALL_ROOT;
			return 0;
		}
		layout |= streq(name, "oci-layout");
		index |= streq(name, "index.json");
		manifest |= streq(name, "manifest.json");
		r = 0;
	}
	if (r < 0)
		return r;
	*ret = layout && index ? TARBALL_OCI
		: manifest     ? TARBALL_DOCKER
			       : TARBALL_ROOT;
	return 0;
}

int tarball_is_packed(int fd, struct err *err)
{
	_cleanup_(tarball_closep) struct tarball *t = NULL;
	struct archive_entry *e;
	int r = start(fd, true, &t, err);

	if (r < 0)
		return r;
	if (archive_read_next_header(t->a, &e) != ARCHIVE_OK)
		return damaged(t, err);
	return archive_filter_code(t->a, 0) != ARCHIVE_FILTER_NONE;
}

int tarball_unpack(int fd, int out, uint64_t max, struct err *err)
{
	_cleanup_(tarball_closep) struct tarball *t = NULL;
	struct archive_entry *e;
	uint64_t sum = 0;
	const void *p;
	ssize_t n;
	int r = start(fd, true, &t, err);

	if (r < 0)
		return r;
	if (archive_read_next_header(t->a, &e) != ARCHIVE_OK)
		return damaged(t, err);
	while ((n = tarball_read(t, &p)) > 0) {
		sum += (uint64_t)n;
		if (sum > max)
			return err_set(err, EFBIG,
				"the archive unpacks to more than %llu bytes",
				(unsigned long long)max);
		r = fd_write_all(out, p, (size_t)n);
		if (r < 0)
			return err_sys(err, -r, "cannot unpack the archive");
	}
	return n < 0 ? damaged(t, err) : 0;
}

/*
 * Old archives of docker save have a layer once and links to it: "ID/layer.tar"
 * to "../OTHER/layer.tar". A name in the archive, never one of the host.
 */
static char *link_target(struct archive_entry *e)
{
	const char *to = archive_entry_symlink(e);

	if (archive_entry_filetype(e) != AE_IFLNK || !to ||
		strncmp(to, "../", 3) != 0)
		return NULL;
	return xstrdup(to + 3);
}

static int open_member(int fd, const char *want, bool follow,
	struct tarball **ret, struct err *err)
{
	_cleanup_(tarball_closep) struct tarball *t = NULL;
	_cleanup_free_ char *target = NULL;
	struct archive_entry *e;
	const char *name;
	int r = start(fd, false, &t, err);

	if (r < 0)
		return r;
	for (uint32_t n = 0; n < MEMBERS_MAX; n++) {
		r = step(t, &name, &e, err);
		if (r <= 0)
			break;
		if (!streq(name, want))
			continue;
		target = follow ? link_target(e) : NULL;
		if (target)
			return open_member(fd, target, false, ret, err);
		if (archive_entry_filetype(e) != AE_IFREG ||
			archive_entry_hardlink(e))
			return err_set(err, EBADMSG,
				"'%.100s' in the archive is no plain file",
				want);
		*ret = TAKE_PTR(t);
		return 0;
	}
	return r < 0
		? r
		: err_set(err, ENOENT,
			  "the archive names '%.100s' but does not hold it",
			  want);
}

int tarball_open(
	int fd, const char *name, struct tarball **ret, struct err *err)
{
	return open_member(fd, name, true, ret, err);
}

ssize_t tarball_read(struct tarball *t, const void **ret_p)
{
	la_int64_t offset = 0;
	const void *p = NULL;
	size_t len = 0;
	int r;

	do
		r = archive_read_data_block(t->a, &p, &len, &offset);
	while (r == ARCHIVE_OK && len == 0);
	if (r == ARCHIVE_EOF)
		return 0;
	/* with holes it would be another file than the one digested */
	if (r != ARCHIVE_OK || offset != (la_int64_t)t->next)
		return -EBADMSG;
	t->next += len;
	*ret_p = p;
	return (ssize_t)len;
}

int tarball_slurp(int fd, const char *name, size_t max, char **ret,
	size_t *ret_len, struct err *err)
{
	_cleanup_(tarball_closep) struct tarball *t = NULL;
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	const void *p;
	ssize_t n;
	int r = tarball_open(fd, name, &t, err);

	if (r < 0)
		return r;
	while ((n = tarball_read(t, &p)) > 0) {
		if (len + (size_t)n > max)
			return err_set(err, EFBIG,
				"'%.100s' in the archive is too large", name);
		text = xrealloc(text, len + (size_t)n + 1, 1);
		memcpy(text + len, p, (size_t)n);
		len += (size_t)n;
	}
	if (n < 0)
		return damaged(t, err);
	*ret = text ? TAKE_PTR(text) : xstrdup("");
	(*ret)[len] = '\0';
	*ret_len = len;
	return 0;
}
