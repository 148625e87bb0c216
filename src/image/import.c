/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cove-image import FILE --name NAME: a template from an archive of docker
 * save, an OCI image layout (directory or tar), or a root file system. This
 * process opens what the person named and looks no further.
 */
#include "image/build.h"
#include "image/job.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

struct import {
	struct build_source s;
	struct blob_file *files;
};

static void import_done(struct import *i)
{
	closep(&i->s.file);
	closep(&i->s.index);
	for (size_t k = 0; k < i->s.n_files; k++)
		closep(&i->files[k].fd);
	free(i->files);
}

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* A layout may have hundreds of blobs: one descriptor each. */
static void allow_descriptors(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
		l.rlim_cur = l.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &l);
	}
}

static int add_file(
	struct import *i, int dir, const char *name, struct err *err)
{
	struct blob_file *f = &i->files[i->s.n_files];
	struct stat st;

	if (i->s.n_files == BLOBS_MAX)
		return err_set(err, EFBIG,
			"the layout has more than %u blobs; import one image "
			"of it as an archive (skopeo copy oci:... oci-archive:)",
			BLOBS_MAX);
	f->fd = openat(
		dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return err_sys(err, errno, "blobs/sha256/%.64s", name);
	if (!S_ISREG(st.st_mode)) {
		closep(&f->fd);
		return 0;
	}
	memcpy(f->hex, name, OCI_HEX);
	i->s.n_files++;
	return 0;
}

static int open_layout(struct import *i, int dir, struct err *err)
{
	_cleanup_(closedirp) DIR *d = NULL;
	struct dirent *e;
	int blobs, r = 0;

	i->s.index = openat(dir, "index.json",
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (i->s.index < 0)
		return err_sys(err, errno,
			"the directory is no OCI image layout: index.json");
	blobs = openat(dir, "blobs/sha256", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = blobs < 0 ? NULL : fdopendir(blobs);
	if (!d)
		return err_sys(err, errno,
			"the directory is no OCI image layout: blobs/sha256");
	allow_descriptors();
	i->files = xcalloc(BLOBS_MAX, sizeof(*i->files));
	i->s.files = i->files;
	while (r == 0 && (e = readdir(d)))
		if (oci_is_hex(e->d_name))
			r = add_file(i, dirfd(d), e->d_name, err);
	return r;
}

static int open_source(struct import *i, const char *path, struct err *err)
{
	_cleanup_close_ int fd =
		open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "%s", path);
	if (S_ISDIR(st.st_mode))
		return open_layout(i, fd, err);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL,
			"%s is neither a file nor a directory; save it to a "
			"file first",
			path);
	i->s.file = TAKE_FD(fd);
	return 0;
}

static int run(struct import *i, const struct job_opts *o, struct cache *c,
	struct progress *p, struct err *err)
{
	_cleanup_free_ char *digest = NULL;
	_cleanup_free_ char *text = NULL;
	int r = open_source(i, o->operand, err);

	if (r == 0)
		r = cache_open(c, "templates", err);
	if (r == 0)
		r = cache_lock(c, job_on_wait, p, err);
	if (r == 0)
		r = build_template(c, &i->s, o->name, p, &digest, err);
	if (r < 0)
		return r;
	text = xasprintf("template %s is %.12s", o->name, digest);
	progress_result(p,
		json_pack("{s:s, s:s}", "name", o->name, "digest", digest),
		text);
	return 0;
}

int job_import(const struct job_opts *o, struct progress *p, struct err *err)
{
	const char *slash = strrchr(o->operand, '/');
	struct import i = {.s = {.file = -1,
				   .index = -1,
				   .image = o->image ? o->image : "",
				   .root = o->root,
				   .skip_devices = o->skip_devices,
				   .builder = "import",
				   .like = o->like ? o->like : "",
				   .origin = slash ? slash + 1 : o->operand}};
	struct cache c = CACHE_NONE;
	int r = build_check_name(o->name, err);

	if (o->origin && *o->origin)
		i.s.origin = o->origin;
	if (r == 0)
		r = run(&i, o, &c, p, err);
	import_done(&i);
	cache_done(&c);
	return r;
}
