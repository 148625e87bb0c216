/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cove-image pull IMAGE --name NAME: a template from a registry. Blobs are
 * kept in $cache/blobs by their digests, so that images share layers and what
 * broke off goes on; a file there has that SHA-256. The documents are parsed
 * in the jailed worker.
 */
#include "image/build.h"
#include "image/job.h"
#include "image/session.h"
#include "image/worker.h"
#include "tls/digest.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define BLOB_MAX (32 * GIB)
#define INDEX_DEPTH 4

static const char accept_documents[] =
	"application/vnd.oci.image.index.v1+json, "
	"application/vnd.oci.image.manifest.v1+json, "
	"application/vnd.docker.distribution.manifest.list.v2+json, "
	"application/vnd.docker.distribution.manifest.v2+json";

struct pull {
	struct progress *p;
	struct session s;
	struct cache blobs;
	struct cache templates;
	struct build_source source;
	struct blob_file files[OCI_LAYERS_MAX + INDEX_DEPTH + 2];
	struct oci_doc doc;
};

static void pull_done(struct pull *u)
{
	for (size_t k = 0; k < u->source.n_files; k++)
		closep(&u->files[k].fd);
	session_done(&u->s);
	cache_done(&u->blobs);
	cache_done(&u->templates);
}

static void add_file(struct pull *u, const char *hex, int fd)
{
	struct blob_file *f = &u->files[u->source.n_files++];

	memcpy(f->hex, hex, OCI_HEX);
	f->fd = fd;
}

/* Under its digest, whole and synced; the file is part-<name> until then. */
static int keep(struct pull *u, int fd, const char *part, const char *hex,
	struct err *err)
{
	if (fsync(fd) < 0 || renameat(u->blobs.fd, part, u->blobs.fd, hex) < 0)
		return err_sys(err, errno, "cannot keep %.12s", hex);
	return 0;
}

static int open_part(struct pull *u, const char *part, struct err *err)
{
	int fd = openat(u->blobs.fd, part,
		O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? err_sys(err, errno, "%s/%s", u->blobs.path, part) : fd;
}

static int download(
	struct pull *u, int fd, const struct oci_blob *b, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("blobs/sha256:%s", b->hex);
	struct session_get get = {.path = path, .accept = "", .fd = fd};
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "cannot read a download");
	if ((uint64_t)st.st_size > b->size && ftruncate(fd, 0) < 0)
		return err_sys(err, errno, "cannot write a download");
	if ((uint64_t)st.st_size == b->size)
		return 0;
	get.max = b->size;
	return session_get(&u->s, &get, err);
}

static int check(
	int fd, const struct oci_blob *b, char hex[SHA256_HEX], struct err *err)
{
	int r = digest_of_fd(fd, hex);

	if (r < 0)
		return err_sys(err, -r, "cannot read a download");
	if (!b->hex[0] || streq(hex, b->hex))
		return 0;
	return err_set(err, EBADMSG,
		"what the registry sent has the SHA-256 %.16s..., not %.16s...",
		hex, b->hex);
}

/* From the cache, or the registry. */
static int need_blob(struct pull *u, const struct oci_blob *b, struct err *err)
{
	_cleanup_free_ char *part = xasprintf("part-%s", b->hex);
	_cleanup_close_ int fd =
		openat(u->blobs.fd, b->hex, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char hex[SHA256_HEX];
	struct stat st;
	int r = 0;

	if (fd >= 0 && fstat(fd, &st) == 0 && (uint64_t)st.st_size == b->size) {
		add_file(u, b->hex, TAKE_FD(fd));
		u->s.base += b->size;
		return 0;
	}
	closep(&fd);
	fd = open_part(u, part, err);
	r = fd < 0 ? fd : download(u, fd, b, err);
	if (r == 0)
		r = check(fd, b, hex, err);
	if (r == -EBADMSG || r == -EFBIG)
		(void)unlinkat(u->blobs.fd, part, 0);
	if (r == 0)
		r = keep(u, fd, part, b->hex, err);
	if (r < 0)
		return r;
	u->s.base += b->size;
	add_file(u, b->hex, TAKE_FD(fd));
	return 0;
}

/* Documents: an index, a manifest. */

struct parse_job {
	int fd;
};

static int parse_document(void *arg, void *ret, struct err *err)
{
	const struct parse_job *j = arg;
	_cleanup_free_ char *text = xcalloc(1, OCI_JSON_MAX + 1);
	size_t len = 0;
	ssize_t n;

	while ((n = pread(j->fd, text + len, OCI_JSON_MAX - len, (off_t)len)) >
		0)
		len += (size_t)n;
	if (n < 0)
		return err_sys(err, errno, "cannot read a manifest");
	return oci_doc_parse(text, len, "", ret, err);
}

/* The worker's words again: nothing else may become a path or an address. */
static int tame(struct oci_doc *d, struct err *err)
{
	bool ok = d->n_layers <= OCI_LAYERS_MAX &&
		strnlen(d->pick.hex, OCI_HEX) < OCI_HEX &&
		strnlen(d->config.hex, OCI_HEX) < OCI_HEX;

	if (ok && d->kind == OCI_INDEX)
		ok = oci_is_hex(d->pick.hex);
	else
		ok = ok && oci_is_hex(d->config.hex);
	for (uint32_t k = 0; ok && k < d->n_layers; k++)
		ok = strnlen(d->layers[k].hex, OCI_HEX) < OCI_HEX &&
			oci_is_hex(d->layers[k].hex);
	return ok ? 0 : err_set(err, EBADMSG, "the manifest is malformed");
}

/* ref: a tag, or sha256:HEX; want.hex "" takes what comes. */
static int get_document(struct pull *u, const char *ref,
	const struct oci_blob *want, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("manifests/%s", ref);
	struct parse_job job;
	struct worker w = {.fn = parse_document, .arg = &job};
	_cleanup_close_ int fd = -1;
	char hex[SHA256_HEX];
	int r;

	(void)unlinkat(u->blobs.fd, "part-manifest", 0);
	fd = open_part(u, "part-manifest", err);
	if (fd < 0)
		return fd;
	u->s.what = ref;
	r = session_get(&u->s,
		&(struct session_get){path, accept_documents, fd, OCI_JSON_MAX},
		err);
	if (r == 0)
		r = check(fd, want, hex, err);
	if (r < 0)
		return r;
	job.fd = fd;
	worker_keep(&w, fd);
	r = worker_run(&w, &u->doc, sizeof(u->doc), err);
	if (r == 0)
		r = tame(&u->doc, err);
	if (r == 0)
		r = keep(u, fd, "part-manifest", hex, err);
	if (r < 0)
		return r;
	add_file(u, hex, TAKE_FD(fd));
	return 0;
}

static int get_manifest(struct pull *u, struct err *err)
{
	const struct image_ref *ref = &u->s.ref;
	struct oci_blob want = {0};
	_cleanup_free_ char *first = ref->hex[0]
		? xasprintf("sha256:%s", ref->hex)
		: xstrdup(ref->tag);
	int r;

	memcpy(want.hex, ref->hex, OCI_HEX);
	r = get_document(u, first, &want, err);
	for (int k = 1; r == 0 && u->doc.kind == OCI_INDEX; k++) {
		_cleanup_free_ char *next =
			xasprintf("sha256:%s", u->doc.pick.hex);

		if (k == INDEX_DEPTH)
			return err_set(err, ELOOP,
				"the image's index names indexes for ever");
		want = u->doc.pick;
		r = get_document(u, next, &want, err);
	}
	/* the one that names config and layers */
	u->source.manifest = u->files[u->source.n_files - 1].hex;
	return r;
}

static int add_sizes(struct pull *u, struct err *err)
{
	const struct oci_doc *d = &u->doc;
	uint64_t sum = d->config.size;

	for (uint32_t k = 0; k < d->n_layers && sum <= BLOB_MAX; k++)
		if (!add_ok(sum, d->layers[k].size, &sum))
			sum = UINT64_MAX;
	if (sum > BLOB_MAX || d->config.size > OCI_JSON_MAX)
		return err_set(err, EFBIG, "the image is larger than %llu GiB",
			BLOB_MAX / GIB);
	u->s.total = sum;
	u->s.base = 0;
	return cache_space(u->blobs.path, sum, err);
}

static int get_blobs(struct pull *u, struct err *err)
{
	int r = add_sizes(u, err);

	u->s.what = "configuration";
	if (r == 0)
		r = need_blob(u, &u->doc.config, err);
	for (uint32_t k = 0; k < u->doc.n_layers && r == 0; k++) {
		_cleanup_free_ char *what =
			xasprintf("layer %u of %u", k + 1, u->doc.n_layers);

		u->s.what = what;
		progress_count(u->p, "pull", u->s.base, u->s.total, "%s", what);
		r = need_blob(u, &u->doc.layers[k], err);
		u->s.what = "";
	}
	return r;
}

/* What is damaged on our own disk is fetched again next time. */
static void forget(struct pull *u)
{
	for (size_t k = 0; k < u->source.n_files; k++)
		(void)unlinkat(u->blobs.fd, u->files[k].hex, 0);
}

static int run(struct pull *u, const struct job_opts *o, char **ret_digest,
	struct err *err)
{
	int r = get_manifest(u, err);

	if (r == 0)
		r = get_blobs(u, err);
	if (r == 0)
		r = cache_lock(&u->templates, job_on_wait, u->p, err);
	if (r == 0)
		r = build_template(&u->templates, &u->source, o->name, u->p,
			ret_digest, err);
	if (r == -EBADMSG)
		forget(u);
	return r;
}

static int open_all(struct pull *u, const struct job_opts *o, struct err *err)
{
	struct image_ref ref;
	int r = build_check_name(o->name, err);

	if (r == 0)
		r = image_ref_parse(o->operand, &ref, err);
	if (r == 0)
		r = cache_open(&u->blobs, "blobs", err);
	if (r == 0)
		r = cache_lock(&u->blobs, job_on_wait, u->p, err);
	if (r == 0)
		r = cache_open(&u->templates, "templates", err);
	if (r < 0)
		return r;
	session_init(&u->s, &ref, u->blobs.fd, u->p);
	return o->credential ? session_credential(&u->s, err) : 0;
}

int job_pull(const struct job_opts *o, struct progress *p, struct err *err)
{
	_cleanup_free_ struct pull *u = xnew(struct pull);
	_cleanup_free_ char *digest = NULL, *text = NULL;
	int r;

	u->p = p;
	u->blobs = u->templates = (struct cache)CACHE_NONE;
	u->source = (struct build_source){.file = -1,
		.index = -1,
		.files = u->files,
		.image = "",
		.skip_devices = o->skip_devices,
		.builder = "pull",
		.origin = o->operand};
	r = open_all(u, o, err);
	if (r == 0)
		r = run(u, o, &digest, err);
	pull_done(u);
	if (r < 0)
		return r;
	text = xasprintf("template %s is %.12s", o->name, digest);
	progress_result(p,
		json_pack("{s:s, s:s}", "name", o->name, "digest", digest),
		text);
	return 0;
}
