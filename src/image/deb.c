/* SPDX-License-Identifier: Apache-2.0 */
#include "image/deb.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>

#define IMAGE_MAX (256 * MIB)
#define BUILTIN_MAX (1 * MIB)
#define READ_SIZE (64 * KIB)

struct deb {
	struct archive *outer; /* the package */
	struct archive *inner; /* its tree, read from the member in hand */
	uint8_t chunk[READ_SIZE];
};

static void deb_done(struct deb **dp)
{
	struct deb *d = *dp;

	if (d->inner)
		archive_read_free(d->inner);
	if (d->outer)
		archive_read_free(d->outer);
	free(d);
}

static int damaged(struct archive *a, struct err *err)
{
	const char *why = archive_error_string(a);

	return err_set(err, EBADMSG, "the package is damaged: %.200s",
		why ? why : "unknown reason");
}

static la_ssize_t inner_read(struct archive *a, void *arg, const void **ret_p)
{
	struct deb *d = arg;
	la_ssize_t n = archive_read_data(d->outer, d->chunk, READ_SIZE);

	if (n < 0) {
		archive_set_error(a, EBADMSG, "its member is cut short");
		return -1;
	}
	*ret_p = d->chunk;
	return n;
}

static int open_outer(struct deb *d, int fd, struct err *err)
{
	d->outer = archive_read_new();
	if (!d->outer || archive_read_support_format_ar(d->outer) != ARCHIVE_OK)
		abort();
	if (archive_read_open_fd(d->outer, fd, READ_SIZE) != ARCHIVE_OK)
		return damaged(d->outer, err);
	return 0;
}

static int open_inner(struct deb *d, struct err *err)
{
	d->inner = archive_read_new();
	if (!d->inner ||
		archive_read_support_format_tar(d->inner) != ARCHIVE_OK ||
		archive_read_support_filter_gzip(d->inner) != ARCHIVE_OK ||
		archive_read_support_filter_xz(d->inner) != ARCHIVE_OK ||
		archive_read_support_filter_zstd(d->inner) != ARCHIVE_OK)
		return err_set(err, ENOSYS,
			"libarchive lacks gzip, xz or zstd support");
	if (archive_read_open(d->inner, d, NULL, inner_read, NULL) !=
		ARCHIVE_OK)
		return damaged(d->inner, err);
	return 0;
}

/* Up to the member that holds the tree. */
static int find_tree(struct deb *d, struct err *err)
{
	struct archive_entry *e;
	int r;

	while ((r = archive_read_next_header(d->outer, &e)) == ARCHIVE_OK) {
		const char *name = archive_entry_pathname(e);

		if (name && strncmp(name, "data.tar", 8) == 0)
			return 0;
	}
	if (r != ARCHIVE_EOF)
		return damaged(d->outer, err);
	return err_set(err, EBADMSG, "the file is no Debian package");
}

/* NUL-terminated beyond its length. */
static int slurp(struct deb *d, struct archive_entry *e, size_t max,
	struct blob *ret, struct err *err)
{
	la_int64_t size = archive_entry_size(e);
	_cleanup_free_ uint8_t *p = NULL;

	if (size <= 0 || (uint64_t)size > max)
		return err_set(err, EFBIG,
			"%.100s in the package is empty or too large",
			archive_entry_pathname(e));
	p = xcalloc(1, (size_t)size + 1);
	if (archive_read_data(d->inner, p, (size_t)size) != size)
		return damaged(d->inner, err);
	ret->p = TAKE_PTR(p);
	ret->len = (size_t)size;
	return 0;
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && streq(s + n - m, end);
}

static int take_entry(struct deb *d, struct archive_entry *e,
	struct blob *image, struct modules *mods, struct err *err)
{
	const char *path = archive_entry_pathname(e);
	struct blob b = {0};
	int r;

	if (!path || archive_entry_filetype(e) != AE_IFREG)
		return 0;
	if (strstr(path, "boot/vmlinuz-") && !image->p)
		return slurp(d, e, IMAGE_MAX, image, err);
	if (!strstr(path, "lib/modules/"))
		return 0;
	if (ends_with(path, "/modules.builtin") && !mods->builtin) {
		r = slurp(d, e, BUILTIN_MAX, &b, err);
		mods->builtin = (char *)b.p;
		return r;
	}
	if (!modules_is_file(path))
		return 0;
	r = slurp(d, e, MODULE_MAX, &b, err);
	return r < 0 ? r : modules_add(mods, path, b.p, b.len, err);
}

int deb_kernel(
	int fd, struct blob *ret_image, struct modules *mods, struct err *err)
{
	_cleanup_(deb_done) struct deb *d = xnew(struct deb);
	struct archive_entry *e;
	int r = open_outer(d, fd, err);

	if (r == 0)
		r = find_tree(d, err);
	if (r == 0)
		r = open_inner(d, err);
	if (r < 0)
		return r;
	while ((r = archive_read_next_header(d->inner, &e)) == ARCHIVE_OK) {
		r = take_entry(d, e, ret_image, mods, err);
		if (r < 0)
			return r;
	}
	if (r != ARCHIVE_EOF)
		return damaged(d->inner, err);
	if (!ret_image->p)
		return err_set(err, EINVAL, "the package contains no kernel");
	return 0;
}
