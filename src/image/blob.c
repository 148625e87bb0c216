/* SPDX-License-Identifier: Apache-2.0 */
#include "image/blob.h"

#include "image/tarball.h"
#include "tls/digest.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>

#define CHUNK (256 * KIB)
/* Archives end with some blocks of zeros; more than that is no padding. */
#define TRAILER_MAX (16 * MIB)

_Static_assert(OCI_HEX == SHA256_HEX, "the same digests");

/*
 * The way of a layer: bytes as they came (hashed) -> libarchive's filters ->
 * bytes unpacked (hashed) -> the tar reader.
 */
struct flow {
	struct blobs *b;
	int fd;
	struct tarball *member; /* instead of fd */
	struct archive *a;
	struct digest *in;
	struct digest *out;
	uint8_t *chunk;
	int error; /* of reading the source */
};

static void flow_done(struct flow *f)
{
	if (f->a)
		archive_read_free(f->a);
	if (f->member)
		tarball_close(f->member);
	digest_free(f->in);
	digest_free(f->out);
	free(f->chunk);
}

static ssize_t read_source(struct flow *f, const void **ret_p)
{
	ssize_t n;

	if (f->member)
		return tarball_read(f->member, ret_p);
	do
		n = read(f->fd, f->chunk, CHUNK);
	while (n < 0 && errno == EINTR);
	*ret_p = f->chunk;
	return n < 0 ? -errno : n;
}

static la_ssize_t feed(struct archive *a, void *arg, const void **ret_p)
{
	struct flow *f = arg;
	ssize_t n = read_source(f, ret_p);

	if (n < 0) {
		f->error = (int)n;
		archive_set_error(a, (int)-n, "cannot read it");
		return -1;
	}
	digest_add(f->in, *ret_p, (size_t)n);
	return n;
}

static ssize_t unpacked(void *arg, const void **ret_p)
{
	struct flow *f = arg;
	la_int64_t offset;
	size_t len = 0;
	int r;

	do
		r = archive_read_data_block(f->a, ret_p, &len, &offset);
	while (r == ARCHIVE_OK && len == 0);
	if (r == ARCHIVE_EOF)
		return 0;
	if (r != ARCHIVE_OK)
		return -EBADMSG;
	f->b->unpacked += len;
	if (f->b->unpacked > f->b->max)
		return -EFBIG;
	digest_add(f->out, *ret_p, len);
	return (ssize_t)len;
}

static int damaged(struct flow *f, struct err *err)
{
	const char *why = archive_error_string(f->a);

	return err_set(err, EBADMSG, "a layer is damaged: %.200s",
		why ? why : "unknown reason");
}

static int open_ref(struct flow *f, const struct blob_ref *ref, struct err *err)
{
	_cleanup_free_ char *path = NULL;

	if (f->b->tar >= 0) {
		path = ref->member ? xstrdup(ref->member)
				   : xasprintf("blobs/sha256/%s", ref->hex);
		return tarball_open(f->b->tar, path, &f->member, err);
	}
	for (size_t k = 0; k < f->b->n_files; k++) {
		if (!streq(f->b->files[k].hex, ref->hex))
			continue;
		f->fd = f->b->files[k].fd;
		if (lseek(f->fd, 0, SEEK_SET) < 0)
			return err_sys(err, errno, "cannot read a layer");
		return 0;
	}
	return err_set(err, ENOENT,
		"the image names sha256:%s, which is not there", ref->hex);
}

static int open_filters(struct flow *f, struct err *err)
{
	struct archive_entry *e;

	f->a = archive_read_new();
	if (!f->a)
		abort();
	f->in = digest_new();
	f->out = digest_new();
	f->chunk = xcalloc(1, CHUNK);
	if (archive_read_support_format_raw(f->a) != ARCHIVE_OK ||
		archive_read_support_filter_gzip(f->a) != ARCHIVE_OK ||
		archive_read_support_filter_xz(f->a) != ARCHIVE_OK ||
		archive_read_support_filter_zstd(f->a) != ARCHIVE_OK)
		return err_set(err, ENOSYS,
			"libarchive lacks gzip, xz or zstd support");
	if (archive_read_open(f->a, f, NULL, feed, NULL) != ARCHIVE_OK ||
		archive_read_next_header(f->a, &e) != ARCHIVE_OK)
		return damaged(f, err);
	return 0;
}

/* Behind the tar's end, so that the digests cover everything. */
static int read_rest(struct flow *f, struct err *err)
{
	uint64_t rest = 0;
	const void *p;
	ssize_t n;

	while ((n = unpacked(f, &p)) > 0) {
		rest += (uint64_t)n;
		if (rest > TRAILER_MAX)
			return err_set(err, EBADMSG,
				"a layer goes on for more than %llu MiB after "
				"its end",
				TRAILER_MAX / MIB);
	}
	if (n < 0)
		return damaged(f, err);
	/* what a filter left over behind its own end */
	while ((n = read_source(f, &p)) > 0) {
		rest += (uint64_t)n;
		if (rest > TRAILER_MAX)
			return err_set(err, EBADMSG,
				"a layer has too much behind its end");
		digest_add(f->in, p, (size_t)n);
	}
	return n < 0 ? err_sys(err, (int)-n, "cannot read a layer") : 0;
}

static int compare(
	struct digest *d, const char *want, const char *what, struct err *err)
{
	char hex[SHA256_HEX];

	if (!*want)
		return 0;
	digest_hex(d, hex);
	if (streq(hex, want))
		return 0;
	return err_set(err, EBADMSG,
		"%s is damaged: its SHA-256 is %.16s..., the image says "
		"%.16s...",
		what, hex, want);
}

static int apply(struct flow *f, struct tree *t, struct erofs *e,
	const struct layer_opts *opts, struct layer_stats *stats,
	struct err *err)
{
	int r = open_filters(f, err);

	if (r == 0)
		r = layer_apply(t, e, opts, unpacked, f, stats, err);
	if (r == -EFBIG && f->b->unpacked > f->b->max)
		return err_set(err, EFBIG,
			"the archive unpacks to more than %llu bytes, far "
			"beyond its size",
			(unsigned long long)f->b->max);
	return r;
}

int blob_layer(struct blobs *b, const struct blob_ref *ref, const char *diff,
	struct tree *t, struct erofs *e, const struct layer_opts *opts,
	struct layer_stats *stats, struct err *err)
{
	_cleanup_(flow_done) struct flow f = {.b = b, .fd = -1};
	int r = open_ref(&f, ref, err);

	if (r == 0)
		r = apply(&f, t, e, opts, stats, err);
	if (r == 0)
		r = read_rest(&f, err);
	if (r == 0)
		r = compare(f.in, ref->hex, "a layer", err);
	if (r == 0)
		r = compare(f.out, diff, "a layer's content", err);
	return r;
}

int blob_archive(struct blobs *b, int fd, struct tree *t, struct erofs *e,
	const struct layer_opts *opts, struct layer_stats *stats,
	struct err *err)
{
	_cleanup_(flow_done) struct flow f = {.b = b, .fd = fd};

	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, errno, "cannot read the archive");
	return apply(&f, t, e, opts, stats, err);
}

static int slurp(struct flow *f, char **ret, size_t *ret_len, struct err *err)
{
	_cleanup_free_ char *text = xcalloc(1, OCI_JSON_MAX + 1);
	size_t len = 0;
	const void *p;
	ssize_t n;

	f->chunk = xcalloc(1, CHUNK);
	while ((n = read_source(f, &p)) > 0) {
		if (len + (size_t)n > OCI_JSON_MAX)
			return err_set(err, EFBIG,
				"a document of the image is larger than %llu "
				"MiB",
				OCI_JSON_MAX / MIB);
		memcpy(text + len, p, (size_t)n);
		len += (size_t)n;
	}
	if (n < 0)
		return err_sys(err, (int)-n, "cannot read the image");
	*ret = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

int blob_document(const struct blobs *b, const struct blob_ref *ref, char **ret,
	size_t *ret_len, struct err *err)
{
	_cleanup_(digest_freep) struct digest *d = digest_new();
	struct blobs copy = *b;
	_cleanup_(flow_done) struct flow f = {.b = &copy, .fd = -1};
	_cleanup_free_ char *text = NULL;
	int r = open_ref(&f, ref, err);

	if (r == 0)
		r = slurp(&f, &text, ret_len, err);
	if (r == 0) {
		digest_add(d, text, *ret_len);
		r = compare(d, ref->hex, "a document of the image", err);
	}
	if (r == 0)
		*ret = TAKE_PTR(text);
	return r;
}
