/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sandbox needs before it can start: its template, a kernel, its disks.
 * Looks, begins the first thing that is missing as a job, and looks again when
 * the job is done.
 */
#include "daemon/sandbox.h"

#include "daemon/cache.h"
#include "daemon/disk.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define ROUNDS_MAX 8u

static void on_progress(struct job_watcher *w, const struct progress *p)
{
	struct sandbox *sb = container_of(w, struct sandbox, job);

	sb->progress = *p;
	sandbox_notify(sb, NOTE_PROGRESS);
}

static void on_done(struct job_watcher *w, int r, const struct err *err)
{
	struct sandbox *sb = container_of(w, struct sandbox, job);

	if (r < 0 && !sb->job_optional)
		sandbox_fail(sb, err);
	else
		sandbox_prepare(sb);
}

static int image_job(struct sandbox *sb, const char *what, const char *key,
	const char *text, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	int r = paths_program("cove-image", &path, err);

	if (r < 0)
		return r;
	const char *const argv[] = {path, what, "--json", NULL};
	const struct job_start js = {
		.key = key, .argv = argv, .step = what, .text = text};
	return job_join(sb->d, &js, &sb->job, err);
}

/* 1 there, 0 a job was begun, -errno. Only names that can be built are. */
static int need_template(struct sandbox *sb, struct err *err)
{
	_cleanup_(template_done) struct template t = {0};
	_cleanup_free_ char *digest = NULL;
	const char *name = sb->spec.template;
	int r;

	if (!sb->row.fresh) {
		r = cache_template_open(&sb->d->paths, sb->row.digest, &t, err);
		return r < 0 ? r : 1;
	}
	r = cache_template_digest(&sb->d->paths, name, &digest, err);
	if (r < 0)
		return r;
	if (r == 0 && streq(name, "shell"))
		return image_job(sb, "shell", "template-shell",
			"building the template 'shell'", err);
	if (r == 0)
		return err_set(err, ENOENT,
			"no template named '%s'; see: "
			"cove template ls",
			name);
	r = cache_template_open(&sb->d->paths, digest, &t, err);
	if (r < 0)
		return r;
	if (!streq(sb->row.digest, digest)) {
		free(sb->row.digest);
		sb->row.digest = TAKE_PTR(digest);
		r = sandbox_save(sb, err);
		if (r < 0)
			return r;
	}
	return 1;
}

/*
 * The first sandbox of a daemon's life always runs the job: it takes
 * milliseconds when nothing changed, and puts an agent that was upgraded since
 * into the initial file system. A kernel that is there is used also when that
 * fails; an agent that does not fit says so in its hello.
 */
static int need_kernel(struct sandbox *sb, struct err *err)
{
	_cleanup_(kernel_done) struct kernel k = {0};
	struct daemon *d = sb->d;
	int r = cache_kernel(&d->paths, &k, err);

	if (r < 0 || (r == 1 && d->kernel_checked && !job_running(d, "kernel")))
		return r;
	d->kernel_checked = true;
	sb->job_optional = r == 1;
	return image_job(
		sb, "kernel", "kernel", "preparing the guest kernel", err);
}

static int need_base(
	struct sandbox *sb, const char *kind, uint64_t size, struct err *err)
{
	int r = disk_base_ready(sb->d, kind, size, err);

	if (r != 0)
		return r;
	return disk_base_make(sb->d, kind, size, &sb->job, err);
}

/* 1 there (or not needed: they were made when it was created). */
static int need_disks(struct sandbox *sb, struct err *err)
{
	_cleanup_free_ char *dir = sandbox_dir(sb);
	_cleanup_close_ int fd = -1;
	int r;

	if (sb->row.fresh) {
		r = need_base(sb, DISK_KIND_UPPER, sb->spec.disk, err);
		if (r == 1)
			r = need_base(sb, DISK_KIND_DOCKER,
				sb->spec.docker_disk, err);
		if (r <= 0)
			return r;
		r = paths_make(dir, err);
		if (r < 0)
			return r;
	}
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "%s", dir);
	if (!sb->row.fresh || faccessat(fd, "docker.img", F_OK, 0) == 0)
		return 1;
	r = disk_copy(
		sb->d, DISK_KIND_UPPER, sb->spec.disk, fd, "disk.img", err);
	if (r == 0)
		r = disk_copy(sb->d, DISK_KIND_DOCKER, sb->spec.docker_disk, fd,
			"docker.img", err);
	return r < 0 ? r : 1;
}

void sandbox_prepare(struct sandbox *sb)
{
	struct err err = {0};
	int r;

	/* A job that succeeds without having made the thing must not loop. */
	if (++sb->prepare_rounds > ROUNDS_MAX) {
		(void)err_set(&err, EIO,
			"cove-image ended well but what was asked for is not "
			"in %s",
			sb->d->paths.cache);
		sandbox_fail(sb, &err);
		return;
	}
	sb->job.progress = on_progress;
	sb->job.done = on_done;
	sb->job_optional = false;
	r = need_template(sb, &err);
	if (r == 1)
		r = need_kernel(sb, &err);
	if (r == 1)
		r = need_disks(sb, &err);
	if (r == 1)
		sandbox_boot(sb);
	else if (r < 0)
		sandbox_fail(sb, &err);
}
