/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cove-image save and load: a template as one file for another host, a tar of
 * meta.json and root.erofs in zstd. What is loaded is hostile: the archive is
 * read in the jailed worker, the image's SHA-256 must be the one that the
 * description claims, and its inside is read by guests' kernels only.
 */
#include "image/build_meta.h"
#include "image/job.h"
#include "image/tarball.h"
#include "image/worker.h"
#include "tls/digest.h"

#include "base/fd.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>

#define CHUNK (256 * KIB)
#define META_MAX (256 * KIB)
#define SPACE_LEFT (256 * MIB)

/* Saving. */

struct save {
	struct progress *p;
	struct archive *a;
	int fd;
	uint8_t chunk[CHUNK];
};

static void archive_freep(struct archive **a)
{
	if (*a)
		archive_write_free(*a);
}

static int archive_err(struct archive *a, struct err *err)
{
	const char *why = archive_error_string(a);

	return err_set(err, EIO, "cannot write the file: %.200s",
		why ? why : "unknown reason");
}

static int put_file(
	struct save *s, int dirfd, const char *name, struct err *err)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	struct archive_entry *e = archive_entry_new();
	struct stat st;
	uint64_t done = 0;
	ssize_t n = 0;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0) {
		archive_entry_free(e);
		return err_sys(err, errno, "template's %s", name);
	}
	archive_entry_set_pathname(e, name);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0600);
	archive_entry_set_size(e, st.st_size);
	r = archive_write_header(s->a, e);
	archive_entry_free(e);
	while (r == ARCHIVE_OK && (n = read(fd, s->chunk, CHUNK)) > 0) {
		done += (uint64_t)n;
		if (archive_write_data(s->a, s->chunk, (size_t)n) != n)
			r = ARCHIVE_FATAL;
		progress_count(s->p, "save", done, (uint64_t)st.st_size,
			"%s, %llu MiB", name, (unsigned long long)done >> 20);
	}
	if (r != ARCHIVE_OK)
		return archive_err(s->a, err);
	return n < 0 ? err_sys(err, errno, "template's %s", name) : 0;
}

static int write_archive(struct save *s, int dirfd, struct err *err)
{
	_cleanup_(archive_freep) struct archive *a = archive_write_new();
	int r;

	if (!a)
		abort();
	s->a = a;
	if (archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
		archive_write_add_filter_zstd(a) != ARCHIVE_OK ||
		archive_write_open_fd(a, s->fd) != ARCHIVE_OK)
		return archive_err(a, err);
	r = put_file(s, dirfd, "meta.json", err);
	if (r == 0)
		r = put_file(s, dirfd, "root.erofs", err);
	if (r == 0 && archive_write_close(a) != ARCHIVE_OK)
		r = archive_err(a, err);
	return r;
}

/* Written beside and renamed: a file that is there is whole. */
static int write_file(
	struct save *s, int dirfd, const char *path, struct err *err)
{
	_cleanup_free_ char *tmp = xasprintf("%s.XXXXXX", path);
	int r;

	s->fd = mkostemp(tmp, O_CLOEXEC);
	if (s->fd < 0)
		return err_sys(err, errno, "cannot create %s", path);
	r = write_archive(s, dirfd, err);
	if (r == 0 && (fsync(s->fd) < 0 || rename(tmp, path) < 0))
		r = err_sys(err, errno, "cannot write %s", path);
	if (r < 0)
		(void)unlink(tmp);
	closep(&s->fd);
	return r;
}

static int save(const struct job_opts *o, struct cache *c, struct progress *p,
	struct err *err)
{
	_cleanup_free_ struct save *s = xnew(struct save);
	_cleanup_free_ char *digest = NULL, *text = NULL;
	_cleanup_close_ int dir = -1;
	int r = cache_open(c, "templates", err);

	if (r < 0)
		return r;
	digest = template_resolve(c, o->operand);
	if (!digest)
		return err_set(err, ENOENT,
			"no template named '%.100s'; see: cove template ls",
			o->operand);
	r = template_check_quick(c, digest, err);
	if (r < 0)
		return r;
	dir = openat(c->fd, digest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(err, errno, "template %.12s", digest);
	s->p = p;
	r = write_file(s, dir, o->output, err);
	if (r < 0)
		return r;
	text = xasprintf("%s holds template %.12s", o->output, digest);
	progress_result(p, json_pack("{s:s}", "digest", digest), text);
	return 0;
}

int job_save(const struct job_opts *o, struct progress *p, struct err *err)
{
	struct cache c = CACHE_NONE;
	int r = o->output ? save(o, &c, p, err)
			  : err_set(err, EINVAL, "save needs --output FILE");

	cache_done(&c);
	return r;
}

/* Loading. */

struct load {
	struct progress *p;
	int file;
	int out;
	uint64_t max;
};

static int copy_image(struct load *l, struct tarball *t, struct err *err)
{
	uint64_t done = 0;
	const void *p;
	ssize_t n;

	while ((n = tarball_read(t, &p)) > 0) {
		int r;

		done += (uint64_t)n;
		if (done > l->max)
			return err_set(err, EFBIG,
				"the template is larger than the %llu MiB that "
				"are free",
				(unsigned long long)l->max >> 20);
		r = fd_write_all(l->out, p, (size_t)n);
		if (r < 0)
			return err_sys(err, -r, "cannot write the template");
		progress_count(l->p, "load", done, 0, "%llu MiB",
			(unsigned long long)done >> 20);
	}
	return n < 0 ? err_set(err, EBADMSG, "the file is damaged") : 0;
}

static int read_saved(void *arg, void *ret, struct err *err)
{
	_cleanup_(tarball_closep) struct tarball *t = NULL;
	_cleanup_free_ char *text = NULL;
	struct load *l = arg;
	struct build_result *res = ret;
	size_t len;
	int r = tarball_slurp(l->file, "meta.json", META_MAX, &text, &len, err);

	if (r == -ENOENT)
		return err_set(err, EBADMSG,
			"the file holds no template that cove saved; images "
			"and root file systems are for: cove template import");
	if (r == 0)
		r = build_unmeta(text, len, res, err);
	if (r == 0)
		r = tarball_open(l->file, "root.erofs", &t, err);
	return r < 0 ? r : copy_image(l, t, err);
}

static int check_digest(int fd, const struct build_result *res, struct err *err)
{
	char hex[SHA256_HEX];
	int r = digest_of_fd(fd, hex);

	if (r < 0)
		return err_sys(err, -r, "cannot read the template");
	if (strncmp(hex, res->digest, sizeof(hex)) == 0)
		return 0;
	return err_set(err, EBADMSG,
		"the template is damaged: its SHA-256 is %.16s..., the file "
		"says %.16s...",
		hex, res->digest);
}

static int set_max(struct load *l, const char *path, struct err *err)
{
	struct statvfs v;
	uint64_t left;

	if (statvfs(path, &v) < 0)
		return err_sys(err, errno, "%s", path);
	left = (uint64_t)v.f_bavail * v.f_frsize;
	l->max = left > SPACE_LEFT ? left - SPACE_LEFT : 0;
	return 0;
}

static int load(const struct job_opts *o, struct cache *c,
	struct template_build *b, struct progress *p, struct err *err)
{
	const char *slash = strrchr(o->operand, '/');
	const struct build_source s = {
		.builder = "load", .origin = slash ? slash + 1 : o->operand};
	_cleanup_free_ struct build_result *res = xnew(struct build_result);
	_cleanup_(json_decrefp) json_t *meta = NULL;
	_cleanup_free_ char *digest = NULL;
	_cleanup_close_ int file =
		open(o->operand, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct load l = {.p = p, .file = file};
	struct worker w = {.fn = read_saved, .arg = &l};
	int r;

	if (file < 0)
		return err_sys(err, errno, "%s", o->operand);
	r = template_begin(b, c, p, err);
	if (r == 0)
		r = set_max(&l, c->path, err);
	if (r < 0)
		return r;
	b->keep = true;
	l.out = b->image;
	worker_keep(&w, file);
	worker_keep(&w, b->image);
	r = worker_run(&w, res, sizeof(*res), err);
	if (r == 0)
		r = check_digest(b->image, res, err);
	if (r < 0)
		return r;
	meta = build_meta(&s, o->name, res);
	r = template_commit(b, o->name, &res->image, meta, &digest, err);
	if (r == 0)
		progress_result(p,
			json_pack("{s:s, s:s}", "name", o->name, "digest",
				digest),
			digest);
	return r;
}

int job_load(const struct job_opts *o, struct progress *p, struct err *err)
{
	struct template_build b = {.tmp_fd = -1, .image = -1};
	struct cache c = CACHE_NONE;
	int r = build_check_name(o->name, err);

	if (r == 0)
		r = cache_open(&c, "templates", err);
	if (r == 0)
		r = cache_lock(&c, job_on_wait, p, err);
	if (r == 0)
		r = load(o, &c, &b, p, err);
	template_abort(&b);
	cache_done(&c);
	return r;
}
