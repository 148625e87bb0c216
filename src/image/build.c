/* SPDX-License-Identifier: Apache-2.0 */
#include "image/build.h"

#include "image/build_meta.h"
#include "image/job.h"
#include "image/tarball.h"
#include "image/worker.h"
#include "tls/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>

#define SPACE_NEEDED (64 * MIB)
#define SPACE_LEFT (256 * MIB) /* that an image never takes */
#define UNPACKED_MAX (64 * GIB)
/* Images are packed 2 to 20 times; what is packed far more is a bomb. */
#define UNPACKED_RATIO 200u
#define UNPACKED_ANY (1 * GIB) /* that any may unpack to */
#define INDEX_DEPTH 4

_Static_assert(sizeof(struct build_result) <= WORKER_RESULT_MAX, "fits");

struct fill {
	const struct build_source *s;
	struct progress *p;
	struct blobs blobs;
	struct template_image image; /* the worker's */
	struct layer_opts opts;
	struct build_result *res;
	int scratch; /* where a compressed archive is unpacked, or -1 */
	int out;
	uint64_t max;
};

/* Everything that makes an image: config and layers, by digest or member. */
struct plan {
	struct blob_ref config;
	uint32_t n;
	struct blob_ref layers[OCI_LAYERS_MAX];
	struct oci_diffs diffs;
	union {
		struct oci_doc doc; /* owns what the refs point to */
		struct oci_saved saved;
	} u;
	char hexes[OCI_LAYERS_MAX + 1][OCI_HEX];
};

static int read_index(
	struct fill *f, char **ret, size_t *ret_len, struct err *err)
{
	const struct blob_file one = {.hex = "", .fd = f->s->index};
	const struct blobs b = {.tar = -1, .files = &one, .n_files = 1};
	const struct blob_ref ref = {.hex = ""};

	if (f->blobs.tar >= 0)
		return tarball_slurp(f->blobs.tar, "index.json", OCI_JSON_MAX,
			ret, ret_len, err);
	return blob_document(&b, &ref, ret, ret_len, err);
}

/* From index to manifest, through indexes of indexes. */
static int find_manifest(struct fill *f, struct oci_doc *d, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r = 0;

	memset(d, 0, sizeof(*d));
	if (f->s->manifest) {
		memcpy(d->pick.hex, f->s->manifest, OCI_HEX);
	} else {
		r = read_index(f, &text, &len, err);
		if (r == 0)
			r = oci_doc_parse(text, len, f->s->image, d, err);
	}
	for (int k = 0; r == 0 && d->kind == OCI_INDEX; k++) {
		struct blob_ref ref = {.hex = d->pick.hex};

		if (k == INDEX_DEPTH)
			return err_set(err, ELOOP,
				"the image's index names indexes for ever");
		memcpy(f->res->manifest, d->pick.hex, OCI_HEX);
		freep(&text);
		text = NULL;
		r = blob_document(&f->blobs, &ref, &text, &len, err);
		if (r == 0)
			r = oci_doc_parse(text, len, "", d, err);
	}
	return r;
}

static int plan_oci(struct fill *f, struct plan *p, struct err *err)
{
	struct oci_doc *d = &p->u.doc;
	int r = find_manifest(f, d, err);

	if (r < 0)
		return r;
	p->config = (struct blob_ref){.hex = d->config.hex};
	p->n = d->n_layers;
	for (uint32_t k = 0; k < d->n_layers; k++)
		p->layers[k] = (struct blob_ref){.hex = d->layers[k].hex};
	return 0;
}

/* The digest that a member's name promises: HEX.json, blobs/sha256/HEX. */
static void promised(const char *member, char hex[OCI_HEX])
{
	const char *slash = strrchr(member, '/');
	const char *base = slash ? slash + 1 : member;

	hex[0] = '\0';
	if (strncmp(base, "sha256:", 7) == 0)
		base += 7;
	if (strlen(base) < OCI_HEX - 1)
		return;
	memcpy(hex, base, OCI_HEX - 1);
	hex[OCI_HEX - 1] = '\0';
	if (!oci_is_hex(hex) ||
		(base[OCI_HEX - 1] && !streq(base + OCI_HEX - 1, ".json")))
		hex[0] = '\0';
}

static int plan_docker(struct fill *f, struct plan *p, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct oci_saved *s = &p->u.saved;
	size_t len;
	int r = tarball_slurp(
		f->blobs.tar, "manifest.json", OCI_JSON_MAX, &text, &len, err);

	if (r == 0)
		r = oci_saved_parse(text, len, f->s->image, s, err);
	if (r < 0)
		return r;
	memcpy(f->res->tag, s->tag, sizeof(s->tag));
	p->n = s->n_layers;
	promised(s->config, p->hexes[0]);
	p->config = (struct blob_ref){p->hexes[0], s->config};
	for (uint32_t k = 0; k < p->n; k++) {
		char *hex = p->hexes[k + 1];

		/* a layer's own name may be of either form of it: not taken */
		if (strncmp(s->layers[k], "blobs/sha256/", 13) == 0)
			promised(s->layers[k], hex);
		p->layers[k] = (struct blob_ref){hex, s->layers[k]};
	}
	return 0;
}

static int read_config(struct fill *f, struct plan *p, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = blob_document(&f->blobs, &p->config, &text, &len, err);

	if (r == 0)
		r = oci_config_parse(
			text, len, &f->res->config, &p->diffs, err);
	if (r == 0 && p->diffs.n != p->n)
		r = err_set(err, EBADMSG,
			"the image has %u layers, its configuration says %u",
			p->n, p->diffs.n);
	return r;
}

/* As container engines do: a working directory that is missing is made. */
static int make_workdir(struct fill *f, struct err *err)
{
	const char *dir = f->res->config.workdir;
	struct inode *i, *there;
	int r;

	dir += strspn(dir, "/");
	if (!*dir || tree_find(&f->image.tree, dir))
		return 0;
	i = tree_inode(&f->image.tree, S_IFDIR | 0755, err);
	r = i ? tree_add(&f->image.tree, dir, i, &there, err) : -EFBIG;
	return r < 0 ? err_wrap(err, "the image's working directory") : 0;
}

static int put_layers(struct fill *f, struct plan *p, struct err *err)
{
	int r = 0;

	f->opts.whiteouts = true;
	for (uint32_t k = 0; k < p->n && r == 0; k++) {
		progress_count(f->p, "layer", k + 1, p->n, "layer %u of %u",
			k + 1, p->n);
		if (k > 0)
			tree_next_layer(&f->image.tree);
		r = blob_layer(&f->blobs, &p->layers[k], p->diffs.hex[k],
			&f->image.tree, &f->image.erofs, &f->opts,
			&f->image.stats, err);
		if (r < 0)
			err_wrap(err, "layer %u of %u", k + 1, p->n);
	}
	f->res->n_layers = p->n;
	return r < 0 ? r : make_workdir(f, err);
}

static int fill_image(struct fill *f, enum tarball_kind kind, struct err *err)
{
	_cleanup_free_ struct plan *p = xnew(struct plan);
	int r = kind == TARBALL_OCI ? plan_oci(f, p, err)
				    : plan_docker(f, p, err);

	f->res->is_image = true;
	if (r == 0)
		r = read_config(f, p, err);
	return r < 0 ? r : put_layers(f, p, err);
}

static int fill_root(struct fill *f, struct err *err)
{
	progress_say(f->p, "layer", "a root file system");
	return blob_archive(&f->blobs, f->s->file, &f->image.tree,
		&f->image.erofs, &f->opts, &f->image.stats, err);
}

/* An image that is packed as a whole is unpacked first: it is read twice. */
static int fill_file(struct fill *f, struct err *err)
{
	enum tarball_kind kind = TARBALL_ROOT;
	int packed, r = 0;

	if (!f->s->root)
		r = tarball_kind(f->s->file, &kind, err);
	if (r < 0 || kind == TARBALL_ROOT)
		return r < 0 ? r : fill_root(f, err);
	f->blobs.tar = f->s->file;
	packed = tarball_is_packed(f->s->file, err);
	if (packed > 0) {
		progress_say(f->p, "unpack", "the archive is compressed");
		packed = tarball_unpack(
			f->s->file, f->scratch, MIN(f->max, f->blobs.max), err);
		f->blobs.tar = f->scratch;
	}
	return packed < 0 ? packed : fill_image(f, kind, err);
}

/* The image's own configuration is in its digest: env alone makes another. */
static void make_label(const struct build_result *res, char label[16])
{
	char hex[SHA256_HEX];

	digest_of(&res->config, sizeof(res->config), hex);
	memcpy(label, hex, 15);
	label[15] = '\0';
}

static int work(void *arg, void *ret, struct err *err)
{
	struct fill *f = arg;
	char label[16];
	int r;

	f->res = ret;
	template_image_init(&f->image, f->out, 0);
	f->image.erofs.max_bytes = MIN(f->image.erofs.max_bytes, f->max);
	r = f->s->file >= 0 ? fill_file(f, err)
			    : fill_image(f, TARBALL_OCI, err);
	if (r < 0)
		return r;
	progress_say(f->p, "image", "writing %llu entries",
		(unsigned long long)f->image.tree.entries);
	f->res->dropped = f->image.stats.dropped;
	make_label(f->res, label);
	return template_image_finish(&f->image, label, &f->res->image, err);
}

static uint64_t source_bytes(const struct build_source *s)
{
	uint64_t sum = 0;
	struct stat st;

	if (s->file >= 0 && fstat(s->file, &st) == 0)
		sum = (uint64_t)st.st_size;
	for (size_t k = 0; k < s->n_files; k++)
		if (fstat(s->files[k].fd, &st) == 0)
			sum += (uint64_t)st.st_size;
	return sum;
}

static uint64_t unpacked_max(const struct build_source *s)
{
	uint64_t max;

	if (!mul_ok(source_bytes(s), (uint64_t)UNPACKED_RATIO, &max) ||
		!add_ok(max, (uint64_t)UNPACKED_ANY, &max))
		return UNPACKED_MAX;
	return MIN(max, UNPACKED_MAX);
}

/* A bomb ends before the disk is full. */
static int set_limits(struct fill *f, const char *path, struct err *err)
{
	struct statvfs v;
	uint64_t left;
	int r = cache_space(path, SPACE_NEEDED + SPACE_LEFT, err);

	if (r < 0)
		return r;
	if (statvfs(path, &v) < 0)
		return err_sys(err, errno, "%s", path);
	left = (uint64_t)v.f_bavail * v.f_frsize;
	f->max = left > SPACE_LEFT ? left - SPACE_LEFT : 0;
	f->blobs.max = unpacked_max(f->s);
	return 0;
}

static int run_worker_on(
	struct fill *f, struct build_result *res, struct err *err)
{
	_cleanup_free_ struct worker *w = xnew(struct worker);
	char hex[SHA256_HEX];

	*w = (struct worker){.fn = work, .arg = f};
	worker_keep(w, f->s->file);
	worker_keep(w, f->s->index);
	worker_keep(w, f->scratch);
	worker_keep(w, f->out);
	for (size_t k = 0; k < f->s->n_files; k++)
		worker_keep(w, f->s->files[k].fd);
	digest_of("", 0, hex); /* libcrypto reads its files before the jail */
	return worker_run(w, res, sizeof(*res), err);
}

/* What a sandbox's template said holds for what was saved of it. */
static void take_over(
	const struct cache *c, const struct build_source *s, json_t *meta)
{
	static const char *const keys[] = {
		"env", "user", "workdir", "config", "history"};
	_cleanup_free_ char *digest =
		s->like && *s->like ? template_resolve(c, s->like) : NULL;
	_cleanup_free_ char *path =
		xasprintf("%s/meta.json", digest ? digest : "");
	_cleanup_(json_decrefp) json_t *old =
		digest ? cache_read_json(c->fd, path) : NULL;

	for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
		json_t *v = json_object_get(old, keys[k]);

		if (v && !json_object_get(meta, keys[k]))
			json_object_set(meta, keys[k], v);
	}
}

int build_template(struct cache *c, const struct build_source *s,
	const char *name, struct progress *p, char **ret_digest,
	struct err *err)
{
	_cleanup_(json_decrefp) json_t *meta = NULL;
	_cleanup_(template_abort) struct template_build b = {
		.cache = c, .tmp_fd = -1, .image = -1};
	_cleanup_free_ struct build_result *res = xnew(struct build_result);
	_cleanup_close_ int scratch = -1;
	struct fill f = {.s = s,
		.p = p,
		.opts = {.skip_devices = s->skip_devices},
		.blobs = {.tar = -1, .files = s->files, .n_files = s->n_files}};
	int r = template_begin(&b, c, p, err);

	b.keep = true;
	if (r == 0)
		r = set_limits(&f, c->path, err);
	if (r < 0)
		return r;
	scratch = openat(b.tmp_fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	f.scratch = scratch;
	f.out = b.image;
	r = run_worker_on(&f, res, err);
	if (r < 0)
		return r;
	meta = build_meta(s, name, res);
	take_over(c, s, meta);
	return template_commit(&b, name, &res->image, meta, ret_digest, err);
}

int build_check_name(const char *name, struct err *err)
{
	static const char ok[] = "abcdefghijklmnopqrstuvwxyz0123456789.-:";
	size_t n = name ? strlen(name) : 0;

	if (n < 2 || n > 63 || strchr(".-:", name[0]) || strspn(name, ok) != n)
		return err_set(err, EINVAL,
			"'%.80s' cannot name a template: 2 to 63 of a-z 0-9 . "
			"- and maybe :TAG",
			name ? name : "");
	if (streq(name, "shell"))
		return err_set(err, EINVAL,
			"'shell' is Cove's own template; choose another name");
	return 0;
}
