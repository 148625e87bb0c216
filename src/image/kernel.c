/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cove-image kernel: kernels/<id>/{vmlinux,modules.cpio,initrd.cpio,meta.json}
 * and the link "current". initrd.cpio is an archive with /init followed by
 * modules.cpio, so that a new cove-init needs neither package nor network.
 */
#include "base/fd.h"
#include "base/paths.h"
#include "image/cache.h"
#include "image/cpio.h"
#include "image/job.h"
#include "image/kernel_parts.h"
#include "image/modules.h"
#include "image/worker.h"
#include "tls/digest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define INIT_MAX (64 * MIB)
#define SPACE_NEEDED (512 * MIB)
#define KERNEL_FORM 2 /* other files of the same package than before */

struct kernel_job {
	const struct job_opts *o;
	struct progress *p;
	struct cache cache;
	json_t *request; /* what was asked for: decides whether it is there */
	json_t *init;    /* which cove-init goes into the initrd */
	struct blob init_data;
	/* a new entry */
	char *tmp;
	int tmp_fd;
	json_t *meta;
};

/* What was asked for, and with which init. */

/* A file by name, size and time; a change of any makes a new entry. */
static int describe(const char *path, json_t **ret, struct err *err)
{
	_cleanup_free_ char *real = realpath(path, NULL);
	struct stat st;

	if (!real || stat(real, &st) < 0)
		return err_sys(err, errno, "cannot read %s", path);
	*ret = json_pack("{s:s, s:I, s:I}", "path", real, "size",
		(json_int_t)st.st_size, "mtime_ns",
		(json_int_t)st.st_mtim.tv_sec * 1000000000 +
			st.st_mtim.tv_nsec);
	return 0;
}

/* A newer cove-image may want others than an older one has put there. */
static json_t *wanted_modules(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n_modules_early; i++)
		json_array_append_new(list, json_string(modules_early[i]));
	for (size_t i = 0; i < n_modules_late; i++)
		json_array_append_new(list, json_string(modules_late[i]));
	return list;
}

static int make_request(struct kernel_job *j, struct err *err)
{
	const struct job_opts *o = j->o;
	json_t *one = NULL;
	int r = 0;

	j->request = json_object();
	if (o->vmlinux)
		r = describe(o->vmlinux, &one, err);
	else if (o->deb)
		r = describe(o->deb, &one, err);
	else
		one = json_string(o->version ? o->version : "default");
	if (r < 0)
		return r;
	json_object_set_new(j->request,
		o->vmlinux       ? "vmlinux"
			: o->deb ? "deb"
				 : "apt",
		one);
	json_object_set_new(j->request, "wanted", wanted_modules());
	json_object_set_new(j->request, "form", json_integer(KERNEL_FORM));
	if (o->modules) {
		r = describe(o->modules, &one, err);
		if (r == 0)
			json_object_set_new(j->request, "modules", one);
	}
	return r;
}

static int find_init(struct kernel_job *j, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	int r = 0;

	if (j->o->init)
		path = xstrdup(j->o->init);
	else
		r = paths_program("cove-init", &path, err);
	if (r == 0)
		r = describe(path, &j->init, err);
	return r;
}

static int load_init(struct kernel_job *j, struct err *err)
{
	const char *path = json_string_value(json_object_get(j->init, "path"));
	char hex[SHA256_HEX], *p;
	ssize_t n;

	if (j->init_data.p)
		return 0;
	n = fd_slurp_at(AT_FDCWD, path, INIT_MAX, &p);
	if (n < 0)
		return err_sys(err, (int)-n, "cannot read %s", path);
	j->init_data = (struct blob){(uint8_t *)p, (size_t)n};
	digest_of(p, (size_t)n, hex);
	json_object_set_new(j->init, "sha256", json_string(hex));
	return 0;
}

/* Entries that are there. */

static const char *str_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static bool same_value(const json_t *a, const json_t *b, const char *key)
{
	return json_equal(json_object_get(a, key), json_object_get(b, key));
}

/*
 * The same file by name, size and time, or, from another build for example,
 * the same bytes.
 */
static bool same_init(struct kernel_job *j, const json_t *init)
{
	if (same_value(init, j->init, "path") &&
		same_value(init, j->init, "size") &&
		same_value(init, j->init, "mtime_ns"))
		return true;
	return same_value(init, j->init, "size") && load_init(j, NULL) == 0 &&
		same_value(init, j->init, "sha256");
}

/* All three files have the sizes that were written; contents: see verify. */
static bool entry_whole(int fd, const char *id, const json_t *meta)
{
	static const char *const files[] = {
		"vmlinux", "initrd.cpio", "modules.cpio"};
	const json_t *sizes = json_object_get(meta, "sizes");

	for (size_t k = 0; k < ARRAY_SIZE(files); k++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", id, files[k]);
		struct stat st;

		if (fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			!S_ISREG(st.st_mode) ||
			json_integer_value(json_object_get(sizes, files[k])) !=
				st.st_size)
			return false;
	}
	return true;
}

static json_t *read_entry(struct kernel_job *j, const char *id)
{
	_cleanup_free_ char *path = xasprintf("%s/meta.json", id);
	json_t *meta = cache_read_json(j->cache.fd, path);

	if (meta && json_equal(json_object_get(meta, "request"), j->request) &&
		entry_whole(j->cache.fd, id, meta))
		return meta;
	json_decref(meta);
	return NULL;
}

/*
 * The best entry for the request: one with the very init if there is one.
 * NULL when none has the kernel. *ret_exact tells which.
 */
static json_t *find_entry(struct kernel_job *j, bool *ret_exact)
{
	int fd = openat(j->cache.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	json_t *best = NULL;
	struct dirent *e;

	*ret_exact = false;
	while (d && !*ret_exact && (e = readdir(d))) {
		json_t *meta;

		if (e->d_name[0] == '.' || strncmp(e->d_name, "tmp-", 4) == 0 ||
			streq(e->d_name, "current"))
			continue;
		meta = read_entry(j, e->d_name);
		if (!meta || !streq(str_of(meta, "id"), e->d_name)) {
			json_decref(meta);
			continue;
		}
		*ret_exact = same_init(j, json_object_get(meta, "init"));
		if (!best || *ret_exact) {
			json_decref(best);
			best = json_incref(meta);
		}
		json_decref(meta);
	}
	if (d)
		closedir(d);
	return best;
}

/* Makes "current" point to the entry and reports it. */
static int finish(
	struct kernel_job *j, const json_t *meta, bool cached, struct err *err)
{
	const char *id = str_of(meta, "id");
	_cleanup_free_ char *dir = xasprintf("%s/%s", j->cache.path, id);
	_cleanup_free_ char *text = NULL;
	char now[256];
	ssize_t n = readlinkat(j->cache.fd, "current", now, sizeof(now) - 1);
	int r = 0;

	now[MAX(n, 0)] = '\0';
	if (!streq(now, id))
		r = cache_symlink(j->cache.fd, "current", id, err);
	if (r < 0)
		return r;
	text = xasprintf("kernel %s ready in %s", str_of(meta, "version"), dir);
	progress_result(j->p,
		json_pack("{s:s, s:s, s:s, s:b}", "id", id, "version",
			str_of(meta, "version"), "path", dir, "cached", cached),
		text);
	return 0;
}

/* A new entry. */

/* A new file of the entry, readable too: its digest is taken from it. */
static int open_file(struct kernel_job *j, const char *name, struct err *err)
{
	int fd = openat(
		j->tmp_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(err, errno, "cannot write %s/%s/%s",
			j->cache.path, j->tmp, name);
	return fd;
}

static int note_size(
	struct kernel_job *j, const char *name, int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "%s", name);
	json_object_set_new(json_object_get(j->meta, "sizes"), name,
		json_integer(st.st_size));
	return 0;
}

/* /init, then the modules as they are. */
static int write_initrd(struct kernel_job *j, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/modules.cpio", j->tmp);
	_cleanup_(cpio_done) struct cpio c = {0};
	_cleanup_close_ int fd = open_file(j, "initrd.cpio", err);
	_cleanup_free_ char *mods = NULL;
	ssize_t n;
	int r;

	if (fd < 0)
		return fd;
	n = fd_slurp_at(j->cache.fd, path, MODULES_MAX, &mods);
	if (n < 0)
		return err_sys(err, (int)-n, "cannot read %s", path);
	cpio_file(&c, "init", 0755, j->init_data.p, j->init_data.len);
	cpio_end(&c);
	r = fd_write_all(fd, c.out.p, c.out.len);
	if (r == 0)
		r = fd_write_all(fd, mods, (size_t)n);
	if (r < 0)
		return err_sys(err, -r, "cannot write the initrd");
	return note_size(j, "initrd.cpio", fd, err);
}

/* The id names every byte the guest boots from. */
static void set_id(struct kernel_job *j, const char *version)
{
	_cleanup_(digest_freep) struct digest *d = digest_new();
	_cleanup_free_ char *id = NULL;
	const char *parts[] = {
		str_of(j->meta, "vmlinux_sha256"),
		str_of(j->meta, "modules_sha256"),
		str_of(j->init, "sha256"),
	};
	char hex[SHA256_HEX];

	for (size_t k = 0; k < ARRAY_SIZE(parts); k++)
		digest_add(d, parts[k], strlen(parts[k]));
	digest_hex(d, hex);
	id = xasprintf("%s-%.12s", version, hex);
	json_object_set_new(j->meta, "id", json_string(id));
	json_object_set_new(j->meta, "version", json_string(version));
}

static int begin_entry(struct kernel_job *j, struct err *err)
{
	_cleanup_free_ char *now = job_time();

	j->meta = json_pack("{s:O, s:O, s:s, s:{}}", "request", j->request,
		"init", j->init, "created", now, "sizes");
	return cache_tmp(&j->cache, &j->tmp, &j->tmp_fd, err);
}

/* Entries for the same request with another init, but for the one before. */
static void drop_old(struct kernel_job *j, const char *before)
{
	int fd = openat(j->cache.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		_cleanup_(json_decrefp) json_t *meta = NULL;

		if (e->d_name[0] == '.' || streq(e->d_name, "current") ||
			streq(e->d_name, before) ||
			streq(e->d_name, str_of(j->meta, "id")))
			continue;
		meta = read_entry(j, e->d_name);
		if (meta)
			cache_remove(j->cache.fd, e->d_name);
	}
	if (d)
		closedir(d);
}

static int commit_entry(struct kernel_job *j, struct err *err)
{
	char before[256];
	ssize_t n =
		readlinkat(j->cache.fd, "current", before, sizeof(before) - 1);
	int r = cache_write_json(j->tmp_fd, "meta.json", j->meta, err);

	before[MAX(n, 0)] = '\0';
	if (r == 0)
		r = cache_commit(&j->cache, j->tmp, j->tmp_fd,
			str_of(j->meta, "id"), err);
	if (r == 0) {
		free(TAKE_PTR(j->tmp));
		drop_old(j, before);
		r = finish(j, j->meta, false, err);
	}
	return r;
}

/* Only cove-init is new: the kernel and modules are linked. */
static int relink(struct kernel_job *j, const json_t *old, struct err *err)
{
	static const char *const same[] = {"vmlinux", "modules.cpio"};
	static const char *const keys[] = {
		"vmlinux_sha256", "modules_sha256", "modules", "origin"};
	const char *old_id = str_of(old, "id");
	int r;

	progress_say(j->p, "initrd", "cove-init has changed");
	r = load_init(j, err);
	if (r == 0)
		r = begin_entry(j, err);
	for (size_t k = 0; r == 0 && k < ARRAY_SIZE(keys); k++)
		json_object_set(
			j->meta, keys[k], json_object_get(old, keys[k]));
	for (size_t k = 0; r == 0 && k < ARRAY_SIZE(same); k++) {
		_cleanup_free_ char *from = xasprintf("%s/%s", old_id, same[k]);

		if (linkat(j->cache.fd, from, j->tmp_fd, same[k], 0) < 0)
			return err_sys(err, errno, "cannot link %s", from);
		json_object_set(json_object_get(j->meta, "sizes"), same[k],
			json_object_get(
				json_object_get(old, "sizes"), same[k]));
	}
	if (r < 0)
		return r;
	set_id(j, str_of(old, "version"));
	r = write_initrd(j, err);
	return r < 0 ? r : commit_entry(j, err);
}

static int obtain(struct kernel_job *j, struct kernel_src *s, struct err *err)
{
	_cleanup_free_ char *dir = xasprintf("%s/%s", j->cache.path, j->tmp);
	const struct job_opts *o = j->o;

	if (o->vmlinux)
		return kernel_src_files(s, o->vmlinux, o->modules, err);
	if (o->deb)
		return kernel_src_deb(s, o->deb, err);
	return kernel_src_apt(s, o->version ? o->version : "", dir, j->p, err);
}

/* The worker's side. */
struct parts_job {
	struct kernel_src *src;
	int vmlinux;
	int modules;
};

static int parts_worker(void *arg, void *ret, struct err *err)
{
	struct parts_job *pj = arg;

	return kernel_parts_make(pj->src, pj->vmlinux, pj->modules, ret, err);
}

/* The version becomes the name of a directory. */
static bool version_ok(const char *s)
{
	static const char ok[] = "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+_~-";
	size_t n = strlen(s);

	return n > 0 && s[0] != '.' && strspn(s, ok) == n;
}

/* Names, one a line, as the worker sent them. */
static json_t *names_of(char *lines)
{
	json_t *list = json_array();

	for (char *save, *one = strtok_r(lines, "\n", &save); one;
		one = strtok_r(NULL, "\n", &save))
		json_array_append_new(list, json_string(one));
	return list;
}

static int set_file(struct kernel_job *j, const char *key, const char *name,
	int fd, struct err *err)
{
	char hex[SHA256_HEX];
	int r = digest_of_fd(fd, hex);

	if (r < 0)
		return err_sys(err, -r, "cannot read %s", name);
	json_object_set_new(j->meta, key, json_string(hex));
	return note_size(j, name, fd, err);
}

static int take_parts(struct kernel_job *j, const struct parts_job *pj,
	struct kernel_parts *p, struct err *err)
{
	int r;

	p->version[sizeof(p->version) - 1] = '\0';
	p->early[sizeof(p->early) - 1] = '\0';
	p->late[sizeof(p->late) - 1] = '\0';
	if (!version_ok(p->version))
		return err_set(
			err, EBADMSG, "the kernel has no usable version");
	if (p->missing)
		progress_say(j->p, "modules",
			"%u modules that the guest needs to boot are not in "
			"this kernel",
			p->missing);
	json_object_set_new(j->meta, "modules",
		json_pack("{s:o, s:o}", "early", names_of(p->early), "late",
			names_of(p->late)));
	json_object_set_new(j->meta, "origin", json_string(pj->src->origin));
	r = set_file(j, "vmlinux_sha256", "vmlinux", pj->vmlinux, err);
	if (r == 0)
		r = set_file(
			j, "modules_sha256", "modules.cpio", pj->modules, err);
	set_id(j, p->version);
	return r;
}

static int build_from(
	struct kernel_job *j, struct kernel_src *s, struct err *err)
{
	_cleanup_free_ struct kernel_parts *parts = xnew(struct kernel_parts);
	_cleanup_close_ int vmlinux = open_file(j, "vmlinux", err);
	_cleanup_close_ int modules = -1;
	struct parts_job pj = {.src = s, .vmlinux = vmlinux};
	struct worker w = {.fn = parts_worker, .arg = &pj};
	int r;

	if (vmlinux < 0)
		return vmlinux;
	modules = open_file(j, "modules.cpio", err);
	if (modules < 0)
		return modules;
	pj.modules = modules;
	worker_keep(&w, s->deb);
	worker_keep(&w, vmlinux);
	worker_keep(&w, modules);
	progress_say(j->p, "unpack", "%s", s->origin);
	r = worker_run(&w, parts, sizeof(*parts), err);
	if (r < 0)
		return err_wrap(err, "%s", s->origin);
	r = take_parts(j, &pj, parts, err);
	if (r == 0)
		r = write_initrd(j, err);
	return r < 0 ? r : commit_entry(j, err);
}

static int build(struct kernel_job *j, struct err *err)
{
	_cleanup_(kernel_src_done) struct kernel_src s = KERNEL_SRC_NONE;
	int r = cache_space(j->cache.path, SPACE_NEEDED, err);

	if (r == 0)
		r = load_init(j, err);
	if (r == 0)
		r = begin_entry(j, err);
	if (r == 0)
		r = obtain(j, &s, err);
	return r < 0 ? r : build_from(j, &s, err);
}

static int run(struct kernel_job *j, struct err *err)
{
	_cleanup_(json_decrefp) json_t *entry = NULL;
	bool exact = false;
	int r;

	/* the common case needs no lock: entries are whole or absent */
	if (!j->o->rebuild)
		entry = find_entry(j, &exact);
	if (!exact) {
		json_decref(entry);
		entry = NULL;
		r = cache_lock(&j->cache, job_on_wait, j->p, err);
		if (r < 0)
			return r;
		if (!j->o->rebuild)
			entry = find_entry(j, &exact);
	}
	if (exact)
		return finish(j, entry, true, err);
	return entry ? relink(j, entry, err) : build(j, err);
}

static int check_opts(const struct job_opts *o, struct err *err)
{
	if (!!o->vmlinux + !!o->deb + !!o->version > 1)
		return err_set(err, EINVAL,
			"give only one of --vmlinux, --deb and --version");
	if (o->modules && !o->vmlinux)
		return err_set(err, EINVAL, "--modules needs --vmlinux");
	if (o->version && !streq(o->version, "6.1") &&
		!streq(o->version, "6.12"))
		return err_set(err, EINVAL,
			"--version is 6.1 or 6.12; give another kernel with "
			"--deb or --vmlinux");
	return 0;
}

int job_kernel(const struct job_opts *o, struct progress *p, struct err *err)
{
	struct kernel_job j = {
		.o = o, .p = p, .cache = CACHE_NONE, .tmp_fd = -1};
	int r = check_opts(o, err);

	if (r == 0)
		r = cache_open(&j.cache, "kernels", err);
	if (r == 0)
		r = make_request(&j, err);
	if (r == 0)
		r = find_init(&j, err);
	if (r == 0)
		r = run(&j, err);
	closep(&j.tmp_fd);
	if (j.tmp)
		cache_remove(j.cache.fd, j.tmp);
	free(j.tmp);
	blob_done(&j.init_data);
	json_decref(j.request);
	json_decref(j.init);
	json_decref(j.meta);
	cache_done(&j.cache);
	return r;
}
