/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cove-image disk: disks/ext4-<bytes>-<kind>.img, a sparse file with an empty
 * ext4, made once and copied for each sandbox (cp --sparse, or reflink).
 *
 * kind "upper" has the directories upper/ and work/ for overlayfs; "docker"
 * is empty. Inode tables are initialised lazily, by the guest's kernel; the
 * journal is small, since each copy holds one sandbox only.
 */
#include "base/fd.h"
#include "base/opt.h"
#include "image/cache.h"
#include "image/child.h"
#include "image/job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define LABEL_MAX 16
#define SPACE_NEEDED (64 * MIB)

struct disk_job {
	struct cache cache;
	const char *kind;
	const char *label;
	uint64_t size;
	char *name;
	char *path;
};

static int check(struct disk_job *j, const struct job_opts *o, struct err *err)
{
	j->kind = o->kind ? o->kind : "upper";
	if (!streq(j->kind, "upper") && !streq(j->kind, "docker"))
		return err_set(err, EINVAL, "--kind is upper or docker");
	if (!o->size)
		return err_set(err, EINVAL, "--size is needed");
	if (o->size % (4 * KIB))
		return err_set(
			err, EINVAL, "--size must be a multiple of 4096");
	j->size = o->size;
	j->label = o->label;
	if (j->label &&
		(!*j->label || strlen(j->label) > LABEL_MAX ||
			strspn(j->label,
				"abcdefghijklmnopqrstuvwxyz"
				"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				"0123456789_-") != strlen(j->label)))
		return err_set(err, EINVAL,
			"--label is 1 to %d letters, digits, '-' and '_'",
			LABEL_MAX);
	return 0;
}

static bool ready(const struct disk_job *j)
{
	struct stat st;

	return fstatat(j->cache.fd, j->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		S_ISREG(st.st_mode) && (uint64_t)st.st_size == j->size;
}

/* An empty tree that mke2fs copies: mode and owner are root's in the image. */
static int make_skeleton(int fd, struct err *err)
{
	static const char *const dirs[] = {"d", "d/upper", "d/work"};

	for (size_t k = 0; k < ARRAY_SIZE(dirs); k++)
		if (mkdirat(fd, dirs[k], 0755) < 0)
			return err_sys(err, errno, "cannot create %s", dirs[k]);
	return 0;
}

static int make(struct disk_job *j, const char *dir, struct err *err)
{
	_cleanup_free_ char *img = xasprintf("%s/img", dir);
	_cleanup_free_ char *skel = xasprintf("%s/d", dir);
	_cleanup_free_ char *blocks =
		xasprintf("%llu", (unsigned long long)(j->size / 4096));
	static const char extended[] =
		"lazy_itable_init=1,lazy_journal_init=1,nodiscard,"
		"root_owner=0:0,packed_meta_blocks=1";
	const char *argv[] = {"mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096",
		"-I", "256", "-m", "0", "-J", "size=16", "-O",
		"^resize_inode,sparse_super2,uninit_bg", "-E", extended, "-L",
		j->label ? j->label : j->kind, "-d", skel, img, blocks, NULL};

	return child_run(argv, NULL, "e2fsprogs", MIB, NULL, err);
}

static int build(struct disk_job *j, struct err *err)
{
	_cleanup_free_ char *tmp = NULL, *dir = NULL;
	_cleanup_close_ int fd = -1, img = -1;
	int r;

	r = cache_space(j->cache.path, SPACE_NEEDED, err);
	if (r == 0)
		r = cache_tmp(&j->cache, &tmp, &fd, err);
	if (r < 0)
		return r;
	dir = xasprintf("%s/%s", j->cache.path, tmp);
	if (streq(j->kind, "upper"))
		r = make_skeleton(fd, err);
	else if (mkdirat(fd, "d", 0755) < 0)
		r = err_sys(err, errno, "cannot create %s/d", dir);
	if (r == 0)
		r = make(j, dir, err);
	if (r == 0) {
		img = openat(fd, "img", O_RDWR | O_CLOEXEC);
		/* mke2fs leaves the file short of its last unused blocks */
		if (img < 0 || ftruncate(img, (off_t)j->size) < 0 ||
			fchmod(img, 0600) < 0 || fsync(img) < 0 ||
			renameat(fd, "img", j->cache.fd, j->name) < 0)
			r = err_sys(err, errno, "cannot write %s", j->path);
	}
	cache_remove(j->cache.fd, tmp);
	return r;
}

static void report(struct disk_job *j, struct progress *p, bool cached)
{
	_cleanup_free_ char *text = xasprintf("disk ready in %s", j->path);

	progress_result(p,
		json_pack("{s:s, s:I, s:s, s:b}", "path", j->path, "size",
			(json_int_t)j->size, "kind", j->kind, "cached", cached),
		text);
}

static int run(struct disk_job *j, struct progress *p, struct err *err)
{
	int r;

	if (ready(j)) {
		report(j, p, true);
		return 0;
	}
	r = cache_lock(&j->cache, job_on_wait, p, err);
	if (r == 0 && !ready(j)) {
		progress_say(p, "disk", "formatting");
		r = build(j, err);
	}
	if (r == 0)
		report(j, p, false);
	return r;
}

int job_disk(const struct job_opts *o, struct progress *p, struct err *err)
{
	struct disk_job j = {.cache = CACHE_NONE};
	int r = check(&j, o, err);

	if (r == 0)
		r = cache_open(&j.cache, "disks", err);
	if (r == 0) {
		j.name = xasprintf("ext4-%llu-%s%s%s.img",
			(unsigned long long)j.size, j.kind, j.label ? "-" : "",
			j.label ? j.label : "");
		j.path = xasprintf("%s/%s", j.cache.path, j.name);
		r = run(&j, p, err);
	}
	free(j.name);
	free(j.path);
	cache_done(&j.cache);
	return r;
}
