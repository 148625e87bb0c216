/* SPDX-License-Identifier: Apache-2.0 */
#include "image/kernel_src.h"

#include "base/fd.h"
#include "image/child.h"

#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>

#define IMAGE_MAX (256 * MIB)
#define BUILTIN_MAX (1 * MIB)
#define APT_OUT_MAX (1 * MIB)

void kernel_src_done(struct kernel_src *s)
{
	blob_done(&s->image);
	modules_done(&s->mods);
	free(s->origin);
	closep(&s->deb);
	*s = (struct kernel_src)KERNEL_SRC_NONE;
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && streq(s + n - m, end);
}

int kernel_src_deb(struct kernel_src *s, const char *deb, struct err *err)
{
	const char *slash;

	assert(deb);
	slash = strrchr(deb, '/');
	s->origin = xstrdup(slash ? slash + 1 : deb);
	s->deb = open(deb, O_RDONLY | O_CLOEXEC);
	if (s->deb < 0)
		return err_sys(err, errno, "cannot read %s", deb);
	return 0;
}

/* apt */

/* Only what a package name may contain (Debian policy 5.6.1). */
static bool package_char(char c)
{
	return islower(c) || isdigit(c) || strchr("+-.", c);
}

/*
 * The real package behind the meta package: its "Depends: linux-image-...".
 * ret_package is NULL when apt knows no such meta package.
 */
static int behind(const char *meta, char **ret_package, struct err *err)
{
	const char *argv[] = {
		"apt-cache", "show", "--no-all-versions", meta, NULL};
	static const char key[] = "\nDepends: linux-image-";
	_cleanup_free_ char *out = NULL;
	struct err quiet = {0};
	const char *at;
	size_t n = 0;

	if (child_run(argv, NULL, "apt", APT_OUT_MAX, &out, &quiet) < 0) {
		*ret_package = NULL;
		return 0;
	}
	at = strstr(out, key);
	if (!at)
		return err_set(
			err, ENOENT, "%s depends on no kernel image", meta);
	at += strlen("\nDepends: ");
	while (n < 128 && at[n] && package_char(at[n]))
		n++;
	*ret_package = xstrndup(at, n);
	return 0;
}

static int resolve(const char *series, char **ret, struct err *err)
{
	_cleanup_free_ char *exact = NULL, *name = NULL, *prefix = NULL;
	int r;

	if (*series) {
		exact = xasprintf("linux-image-%s-cloud-amd64", series);
		r = behind(exact, &name, err);
		if (r < 0 || name) {
			*ret = TAKE_PTR(name);
			return r;
		}
	}
	r = behind("linux-image-cloud-amd64", &name, err);
	if (r < 0)
		return r;
	prefix = xasprintf("linux-image-%s.", series);
	if (!name || (*series && strncmp(name, prefix, strlen(prefix)) != 0))
		return err_set(err, ENOENT,
			"apt knows no cloud kernel%s%s; run 'apt-get update', "
			"or give one with --deb or --vmlinux",
			*series ? " of version " : "", series);
	*ret = TAKE_PTR(name);
	return 0;
}

/* The one .deb in the directory apt was told to download to. */
static int downloaded(const char *dir, char **ret, struct err *err)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char *found = NULL;

	while (d && !found && (e = readdir(d)))
		if (ends_with(e->d_name, ".deb"))
			found = xasprintf("%s/%s", dir, e->d_name);
	if (d)
		closedir(d);
	if (!found)
		return err_set(err, ENOENT, "apt-get downloaded nothing");
	*ret = found;
	return 0;
}

int kernel_src_apt(struct kernel_src *s, const char *series, const char *dir,
	struct progress *p, struct err *err)
{
	_cleanup_free_ char *package = NULL, *deb = NULL;
	int r = resolve(series, &package, err);

	if (r == 0) {
		const char *argv[] = {
			"apt-get", "download", "-q", package, NULL};

		progress_say(p, "download", "%s", package);
		r = child_run(argv, dir, "apt", APT_OUT_MAX, NULL, err);
		if (r < 0)
			return err_wrap(err,
				"cannot download %s (network, or 'apt-get "
				"update' needed?)",
				package);
	}
	if (r == 0)
		r = downloaded(dir, &deb, err);
	if (r == 0)
		r = kernel_src_deb(s, deb, err);
	if (deb)
		unlink(deb);
	return r;
}

/* Files of the user. */

static int slurp(
	const char *path, size_t max, struct blob *ret, struct err *err)
{
	char *p;
	ssize_t n = fd_slurp_at(AT_FDCWD, path, max, &p);

	if (n < 0)
		return err_sys(err, (int)-n, "cannot read %s", path);
	ret->p = (uint8_t *)p;
	ret->len = (size_t)n;
	return 0;
}

static void fts_closep(FTS **f)
{
	if (*f)
		fts_close(*f);
}

static int one_file(struct kernel_src *s, const char *path, struct err *err)
{
	struct blob b = {0};
	int r;

	if (ends_with(path, "/modules.builtin") && !s->mods.builtin) {
		r = slurp(path, BUILTIN_MAX, &b, err);
		s->mods.builtin = (char *)b.p;
		return r;
	}
	if (!modules_is_file(path))
		return 0;
	r = slurp(path, MODULE_MAX, &b, err);
	return r < 0 ? r : modules_add(&s->mods, path, b.p, b.len, err);
}

static int modules_below(struct kernel_src *s, const char *dir, struct err *err)
{
	_cleanup_free_ char *copy = xstrdup(dir);
	char *roots[] = {copy, NULL};
	_cleanup_(fts_closep) FTS *f =
		fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT *e;
	int r;

	if (!f || access(dir, R_OK | X_OK) < 0)
		return err_sys(err, errno, "cannot read %s", dir);
	while ((e = fts_read(f))) {
		if (e->fts_info != FTS_F)
			continue;
		r = one_file(s, e->fts_path, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int kernel_src_files(struct kernel_src *s, const char *image,
	const char *modules_dir, struct err *err)
{
	const char *slash = strrchr(image, '/');
	int r;

	s->origin = xstrdup(slash ? slash + 1 : image);
	r = slurp(image, IMAGE_MAX, &s->image, err);
	if (r == 0 && modules_dir)
		r = modules_below(s, modules_dir, err);
	return r;
}
