/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/prune.h"

#include "daemon/names.h"
#include "daemon/sandbox.h"

#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

struct sweep {
	struct daemon *d;
	json_t *items;
	uint64_t bytes;
	bool dry_run;
};

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Bytes that a tree of our own occupies. */
static uint64_t tree_bytes(const char *path, unsigned depth)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	struct dirent *e;
	struct stat st;
	uint64_t sum;

	if (lstat(path, &st) < 0)
		return 0;
	sum = (uint64_t)st.st_blocks * 512u;
	dir = S_ISDIR(st.st_mode) && depth > 0 ? opendir(path) : NULL;
	while (dir && (e = readdir(dir))) {
		_cleanup_free_ char *sub = NULL;

		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		sub = xasprintf("%s/%s", path, e->d_name);
		sum += tree_bytes(sub, depth - 1);
	}
	return sum;
}

static void found(
	struct sweep *s, const char *kind, const char *name, const char *path)
{
	uint64_t bytes = tree_bytes(path, 8);
	struct err err = {0};

	if (!s->dry_run && remove_tree(path, &err) < 0) {
		log_warn("prune: %s", err.text);
		return;
	}
	s->bytes += bytes;
	if (!s->dry_run)
		log_info("pruned kind=%s name=%s", kind, name);
	json_array_append_new(s->items,
		json_pack("{s:s, s:o, s:I}", "kind", kind, "name",
			json_text(name), "bytes", (json_int_t)bytes));
}

typedef bool unused_fn(struct sweep *s, const char *dir, const char *name);

static void each(
	struct sweep *s, const char *dir, const char *kind, unused_fn *unused)
{
	_cleanup_(closedirp) DIR *dp = opendir(dir);
	struct dirent *e;

	while (dp && (e = readdir(dp))) {
		_cleanup_free_ char *path = NULL;

		if (e->d_name[0] == '.' || !unused(s, dir, e->d_name))
			continue;
		path = xasprintf("%s/%s", dir, e->d_name);
		found(s, kind, e->d_name, path);
	}
}

static bool no_sandbox(struct sweep *s, const char *dir, const char *name)
{
	return id_is_valid(name) && !sandbox_find(s->d, name);
}

/* True when some template name points to the digest. */
static bool digest_named(const char *templates, const char *digest)
{
	_cleanup_free_ char *names = xasprintf("%s/names", templates);
	_cleanup_(closedirp) DIR *dp = opendir(names);
	char target[PATH_MAX];
	struct dirent *e;
	ssize_t n;

	while (dp && (e = readdir(dp))) {
		const char *slash;

		n = readlinkat(
			dirfd(dp), e->d_name, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		slash = strrchr(target, '/');
		if (streq(slash ? slash + 1 : target, digest))
			return true;
	}
	return false;
}

static bool is_finished_dir(const char *dir, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	struct stat st;

	return strncmp(name, "tmp-", 4) != 0 && lstat(path, &st) == 0 &&
		S_ISDIR(st.st_mode);
}

/* One that has a name is the person's to remove (cove template rm). */
static bool template_unused(struct sweep *s, const char *dir, const char *name)
{
	if (streq(name, "names") || job_running(s->d, "template") ||
		!is_finished_dir(dir, name) || digest_named(dir, name))
		return false;
	list_for_each (it, &s->d->sandboxes) {
		struct sandbox *sb = list_entry(it, struct sandbox, link);

		if (streq(sb->row.digest, name) || sb->row.digest[0] == '\0')
			return false;
	}
	return true;
}

/* A name whose template is gone. */
static bool name_dangles(struct sweep *s, const char *dir, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);

	return access(path, F_OK) < 0 && errno == ENOENT;
}

static bool kernel_unused(struct sweep *s, const char *dir, const char *name)
{
	_cleanup_free_ char *link = xasprintf("%s/current", dir);
	_cleanup_free_ char *current = realpath(link, NULL);
	const char *base = current ? strrchr(current, '/') : NULL;

	if (job_running(s->d, "kernel") || !is_finished_dir(dir, name))
		return false;
	return base && !streq(base + 1, name);
}

/* Layers of images that were pulled: only a second pull has use for them. */
static bool blob_unused(struct sweep *s, const char *dir, const char *name)
{
	return !job_running(s->d, "template");
}

static bool disk_unused(struct sweep *s, const char *dir, const char *name)
{
	unsigned long long size;
	char *end;

	if (strncmp(name, "ext4-", 5) != 0 || job_running(s->d, "disk-"))
		return false;
	size = strtoull(name + 5, &end, 10);
	if (*end != '-')
		return false;
	list_for_each (it, &s->d->sandboxes) {
		struct sandbox *sb = list_entry(it, struct sandbox, link);

		if (sb->spec.disk == size || sb->spec.docker_disk == size)
			return false;
	}
	return true;
}

uint64_t prune_template(struct daemon *d, const char *digest)
{
	struct sweep s = {.d = d, .items = json_array()};
	_cleanup_free_ char *dir = xasprintf("%s/templates", d->paths.cache);
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, digest);

	if (template_unused(&s, dir, digest))
		found(&s, "template", digest, path);
	json_decref(s.items);
	return s.bytes;
}

static void sweep_leftovers(struct sweep *s)
{
	_cleanup_free_ char *dirs =
		xasprintf("%s/sandboxes", s->d->paths.state);

	each(s, dirs, "disk", no_sandbox);
	each(s, s->d->paths.run, "run", no_sandbox);
}

void prune_leftovers(struct daemon *d)
{
	struct sweep s = {.d = d, .items = json_array()};

	sweep_leftovers(&s);
	json_decref(s.items);
}

json_t *prune(struct daemon *d, bool dry_run, struct err *err)
{
	struct sweep s = {.d = d, .items = json_array(), .dry_run = dry_run};
	_cleanup_free_ char *templates =
		xasprintf("%s/templates", d->paths.cache);
	_cleanup_free_ char *names = xasprintf("%s/names", templates);
	_cleanup_free_ char *blobs = xasprintf("%s/blobs", d->paths.cache);
	_cleanup_free_ char *kernels = xasprintf("%s/kernels", d->paths.cache);
	_cleanup_free_ char *disks = xasprintf("%s/disks", d->paths.cache);

	sweep_leftovers(&s);
	each(&s, templates, "template", template_unused);
	each(&s, names, "name", name_dangles);
	each(&s, blobs, "layer", blob_unused);
	each(&s, kernels, "kernel", kernel_unused);
	each(&s, disks, "empty-disk", disk_unused);
	return json_pack(
		"{s:o, s:I}", "items", s.items, "bytes", (json_int_t)s.bytes);
}
