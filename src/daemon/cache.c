/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/cache.h"

#include "daemon/names.h"

#include "base/fd.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define META_MAX (1024u * 1024u)
#define EROFS_MAGIC 0xe0f5e1e2u
#define EROFS_SUPER 1024

void template_done(struct template *t)
{
	free(t->digest);
	free(t->root);
	free(t->user);
	free(t->workdir);
	json_decref(t->env);
	json_decref(t->config);
	*t = (struct template){0};
}

void kernel_done(struct kernel *k)
{
	free(k->vmlinux);
	free(k->initrd);
	*k = (struct kernel){0};
}

/* A digest becomes a path component. */
static bool digest_ok(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || len > 128 || s[0] == '.')
		return false;
	for (const char *c = s; *c; c++)
		if (*c == '/' || (uint8_t)*c < 0x21 || *c == 0x7f)
			return false;
	return true;
}

int cache_template_digest(const struct paths *p, const char *name,
	char **ret_digest, struct err *err)
{
	_cleanup_free_ char *path =
		xasprintf("%s/templates/names/%s", p->cache, name);
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	const char *slash, *digest;

	if (n < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		return err_sys(err, errno, "template '%s'", name);
	}
	target[n] = '\0';
	slash = strrchr(target, '/');
	digest = slash ? slash + 1 : target;
	if (!digest_ok(digest))
		return err_set(err, EBADMSG,
			"template '%s' is damaged; "
			"remove it: cove template rm %s",
			name, name);
	*ret_digest = xstrdup(digest);
	return 1;
}

static int check_root(const char *path, const char *digest, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint32_t magic = 0;
	struct stat st;

	if (fd < 0)
		return err_sys(err, errno, "template %s", digest);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		pread(fd, &magic, sizeof(magic), EROFS_SUPER) ==
			sizeof(magic) &&
		le32toh(magic) == EROFS_MAGIC)
		return 0;
	return err_set(err, EBADMSG,
		"template %s is damaged: %s is no EROFS image; remove it and "
		"it is built again: cove template rm",
		digest, path);
}

static json_t *read_meta(const char *path)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n = fd_slurp_at(AT_FDCWD, path, META_MAX, &text);
	json_t *j = NULL;

	if (n <= 0 || json_read(text, (size_t)n, &j, NULL) < 0)
		return NULL;
	return j;
}

static void take_str(json_t *meta, const char *key, char **ret)
{
	const char *s = json_string_value(json_object_get(meta, key));

	if (s && *s)
		*ret = xstrdup(s);
}

int cache_template_open(const struct paths *p, const char *digest,
	struct template *ret, struct err *err)
{
	_cleanup_(template_done) struct template t = {0};
	_cleanup_free_ char *meta_path = NULL;
	_cleanup_json_ json_t *meta = NULL;
	json_t *env, *config;
	struct stat st;
	int r;

	t.root = xasprintf("%s/templates/%s/root.erofs", p->cache, digest);
	meta_path = xasprintf("%s/templates/%s/meta.json", p->cache, digest);
	r = check_root(t.root, digest, err);
	if (r < 0)
		return r;
	meta = read_meta(meta_path);
	if (!json_is_object(meta) || stat(t.root, &st) < 0)
		return err_set(err, EBADMSG,
			"template %s is damaged: %s is "
			"missing or no JSON",
			digest, meta_path);
	/* A copy that was cut short has the right first bytes. */
	if (json_is_integer(json_object_get(meta, "size")) &&
		json_integer_value(json_object_get(meta, "size")) !=
			(json_int_t)st.st_size)
		return err_set(err, EBADMSG,
			"template %s is damaged: %s has "
			"the wrong size",
			digest, t.root);
	t.digest = xstrdup(digest);
	take_str(meta, "user", &t.user);
	take_str(meta, "workdir", &t.workdir);
	env = json_object_get(meta, "env");
	if (json_is_object(env))
		t.env = json_incref(env);
	config = json_object_get(meta, "config");
	if (json_is_object(config))
		t.config = json_incref(config);
	*ret = t;
	t = (struct template){0};
	return 0;
}

int cache_kernel(const struct paths *p, struct kernel *ret, struct err *err)
{
	_cleanup_(kernel_done) struct kernel k = {0};
	_cleanup_free_ char *link = xasprintf("%s/kernels/current", p->cache);
	_cleanup_free_ char *dir = realpath(link, NULL);

	if (!dir) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		return err_sys(err, errno, "%s", link);
	}
	k.vmlinux = xasprintf("%s/vmlinux", dir);
	k.initrd = xasprintf("%s/initrd.cpio", dir);
	if (access(k.vmlinux, R_OK) < 0 || access(k.initrd, R_OK) < 0)
		return 0;
	*ret = k;
	k = (struct kernel){0};
	return 1;
}

json_t *cache_template_json(const struct paths *p, const char *name)
{
	_cleanup_free_ char *digest = NULL;
	_cleanup_free_ char *path = NULL;
	struct stat st;

	if (cache_template_digest(p, name, &digest, NULL) <= 0)
		return NULL;
	path = xasprintf("%s/templates/%s/root.erofs", p->cache, digest);
	if (stat(path, &st) < 0)
		return NULL;
	return json_pack("{s:o, s:o, s:I, s:o}", "name", json_text(name),
		"digest", json_text(digest), "size", (json_int_t)st.st_size,
		"created",
		json_time((uint64_t)st.st_mtim.tv_sec * 1000000000u));
}

json_t *cache_template_detail(const struct paths *p, const char *name)
{
	_cleanup_json_ json_t *t = cache_template_json(p, name);
	_cleanup_free_ char *path =
		xasprintf("%s/templates/names/%s/meta.json", p->cache, name);
	_cleanup_json_ json_t *meta = t ? read_meta(path) : NULL;

	if (!t)
		return NULL;
	/* the name that was asked for, whatever the file says */
	if (json_is_object(meta) && json_object_update_missing(t, meta) < 0)
		return NULL;
	return json_incref(t);
}

int cache_template_unname(
	const struct paths *p, const char *name, struct err *err)
{
	_cleanup_free_ char *dir = xasprintf("%s/templates/names", p->cache);
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || unlinkat(fd, name, 0) < 0 || fsync(fd) < 0)
		return err_sys(err, errno, "cannot remove template '%s'", name);
	return 0;
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

json_t *cache_templates_json(const struct paths *p)
{
	_cleanup_free_ char *path = xasprintf("%s/templates/names", p->cache);
	_cleanup_(closedirp) DIR *dir = opendir(path);
	json_t *list = json_array();
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		json_t *t = e->d_name[0] == '.'
			? NULL
			: cache_template_json(p, e->d_name);

		if (t)
			json_array_append_new(list, t);
	}
	return json_pack("{s:o}", "templates", list);
}
