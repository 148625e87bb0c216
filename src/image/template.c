/* SPDX-License-Identifier: Apache-2.0 */
#include "image/template.h"

#include "base/opt.h"
#include "tls/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* What any template may have; a Debian with compilers has a tenth of it. */
#define ENTRIES_MAX (2u * 1000u * 1000u)
#define MEMORY_MAX (768 * MIB)
#define IMAGE_MAX (64 * GIB)

int template_begin(struct template_build *b, struct cache *c,
	struct progress *p, struct err *err)
{
	int r;

	*b = (struct template_build){
		.cache = c, .p = p, .tmp_fd = -1, .image = -1};
	r = cache_tmp(c, &b->tmp, &b->tmp_fd, err);
	if (r < 0)
		return r;
	b->image = openat(b->tmp_fd, "root.erofs",
		O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (b->image < 0)
		return err_sys(err, errno, "cannot create %s/%s/root.erofs",
			c->path, b->tmp);
	return 0;
}

void template_abort(struct template_build *b)
{
	closep(&b->image);
	closep(&b->tmp_fd);
	if (b->tmp)
		cache_remove(b->cache->fd, b->tmp);
	free(b->tmp);
	b->tmp = NULL;
}

void template_image_init(struct template_image *i, int fd, int64_t time)
{
	const struct tree_limits limits = {ENTRIES_MAX, MEMORY_MAX};

	*i = (struct template_image){0};
	tree_init(&i->tree, &limits, time);
	erofs_init(&i->erofs, fd, IMAGE_MAX);
}

void template_image_done(struct template_image *i)
{
	erofs_done(&i->erofs);
	tree_done(&i->tree);
}

int template_image_finish(struct template_image *i, const char *label,
	struct template_result *ret, struct err *err)
{
	int r = erofs_finish(&i->erofs, &i->tree, label, &ret->bytes, err);

	ret->inodes = i->erofs.n_inodes;
	ret->file_bytes = i->stats.bytes;
	return r;
}

/* "size" and "mtime_ns" are what the quick check compares. */
static int describe(struct template_build *b, const struct template_result *res,
	json_t *meta, char **ret_digest, struct err *err)
{
	char hex[SHA256_HEX];
	struct stat st;
	int r;

	progress_say(b->p, "digest", "sha256 of the image");
	r = digest_of_fd(b->image, hex);
	if (r < 0 || fstat(b->image, &st) < 0)
		return err_sys(
			err, r < 0 ? -r : errno, "cannot read the image");
	json_object_set_new(meta, "digest", json_string(hex));
	json_object_set_new(meta, "size", json_integer(st.st_size));
	json_object_set_new(meta, "mtime_ns",
		json_integer((json_int_t)st.st_mtim.tv_sec * 1000000000 +
			st.st_mtim.tv_nsec));
	json_object_set_new(
		meta, "entries", json_integer((json_int_t)res->inodes));
	json_object_set_new(
		meta, "file_bytes", json_integer((json_int_t)res->file_bytes));
	*ret_digest = xstrdup(hex);
	return 0;
}

static int give_name(
	struct cache *c, const char *name, const char *digest, struct err *err)
{
	_cleanup_free_ char *target = xasprintf("../%s", digest);
	_cleanup_close_ int fd = -1;

	if (mkdirat(c->fd, "names", 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot create %s/names", c->path);
	fd = openat(c->fd, "names", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "%s/names", c->path);
	return cache_symlink(fd, name, target, err);
}

int template_commit(struct template_build *b, const char *name,
	const struct template_result *res, json_t *meta, char **ret_digest,
	struct err *err)
{
	_cleanup_free_ char *digest = NULL;
	int r;

	if (fchmod(b->image, 0400) < 0)
		return err_sys(err, errno, "cannot write the image");
	r = describe(b, res, meta, &digest, err);
	if (r == 0 && b->keep &&
		template_check_quick(b->cache, digest, NULL) == 0) {
		r = give_name(b->cache, name, digest, err);
		if (r == 0)
			*ret_digest = TAKE_PTR(digest);
		return r; /* the rest goes with template_abort() */
	}
	if (r == 0)
		r = cache_write_json(b->tmp_fd, "meta.json", meta, err);
	if (r == 0)
		r = cache_commit(b->cache, b->tmp, b->tmp_fd, digest, err);
	if (r < 0)
		return r;
	free(TAKE_PTR(b->tmp));
	r = give_name(b->cache, name, digest, err);
	if (r == 0)
		*ret_digest = TAKE_PTR(digest);
	return r;
}

static bool is_digest(const char *s)
{
	return strlen(s) == SHA256_HEX - 1 &&
		strspn(s, "0123456789abcdef") == SHA256_HEX - 1;
}

static bool is_name(const char *s)
{
	static const char ok[] = "abcdefghijklmnopqrstuvwxyz0123456789._-:";
	size_t n = strlen(s);

	return n > 0 && n <= 63 && s[0] != '.' && strspn(s, ok) == n;
}

char *template_resolve(const struct cache *c, const char *what)
{
	_cleanup_free_ char *path = NULL;
	char target[SHA256_HEX + 8];
	ssize_t n;

	if (strncmp(what, "sha256:", 7) == 0)
		what += 7;
	if (is_digest(what))
		return xstrdup(what);
	if (!is_name(what))
		return NULL;
	path = xasprintf("names/%s", what);
	n = readlinkat(c->fd, path, target, sizeof(target) - 1);
	if (n < 3)
		return NULL;
	target[n] = '\0';
	if (strncmp(target, "../", 3) != 0 || !is_digest(target + 3))
		return NULL;
	return xstrdup(target + 3);
}

static bool same_time(const json_t *meta, const struct stat *st)
{
	return json_integer_value(json_object_get(meta, "mtime_ns")) ==
		(json_int_t)st->st_mtim.tv_sec * 1000000000 +
		st->st_mtim.tv_nsec;
}

/* The image's descriptor; with quick, its time must be the one recorded. */
static int open_checked(
	const struct cache *c, const char *digest, bool quick, struct err *err)
{
	_cleanup_free_ char *image = xasprintf("%s/root.erofs", digest);
	_cleanup_free_ char *path = xasprintf("%s/meta.json", digest);
	_cleanup_(json_decrefp) json_t *meta = cache_read_json(c->fd, path);
	_cleanup_close_ int fd = -1;
	struct stat st;

	fd = openat(c->fd, image, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "template %.12s is damaged: %s",
			digest, image);
	if (!meta)
		return err_set(err, EBADMSG,
			"template %.12s is damaged: %s/%s is missing or no "
			"JSON; build it again",
			digest, c->path, path);
	if (json_integer_value(json_object_get(meta, "size")) != st.st_size ||
		(quick && !same_time(meta, &st)))
		return err_set(err, EBADMSG,
			"template %.12s is damaged: %s/%s was changed after it "
			"was made; build it again",
			digest, c->path, image);
	return TAKE_FD(fd);
}

int template_check_quick(
	const struct cache *c, const char *digest, struct err *err)
{
	int fd = open_checked(c, digest, true, err);

	if (fd < 0)
		return fd;
	closep(&fd);
	return 0;
}

int template_check(const struct cache *c, const char *digest, struct err *err)
{
	_cleanup_close_ int fd = open_checked(c, digest, false, err);
	char hex[SHA256_HEX];
	int r;

	if (fd < 0)
		return fd;
	r = digest_of_fd(fd, hex);
	if (r < 0)
		return err_sys(err, -r, "cannot read template %.12s", digest);
	if (!streq(hex, digest))
		return err_set(err, EBADMSG,
			"template %.12s is damaged: the SHA-256 of its image "
			"is %.12s; build it again",
			digest, hex);
	return 0;
}
