/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A name "runc" before the real one in the daemons' PATH is a link to this
 * program. It runs as root of the guest and serves nobody but the guest.
 */
#include "agent/docker.h"
#include "agent/docker_spec.h"
#include "agent/spawn.h"
#include "agent/trust.h"
#include "base/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <linux/openat2.h>

/* What trust.h's certificate is called in a container's bundle. */
#define BUNDLE_NAME "cove-ca.crt"
#define BUNDLE_MAX (4u * 1024u * 1024u)
/* Where containerd keeps what runs: an exec finds its container's bundle. */
#define BUNDLES "/run/containerd/io.containerd.runtime.v2.task/moby"

/* A regular file below root, whatever links the image has; bounded. */
static char *read_inside(const char *root, const char *path, size_t max)
{
	struct open_how how = {
		.flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	_cleanup_close_ int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = dir < 0
		? -1
		: (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
	_cleanup_free_ char *text = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		st.st_size <= 0 || (size_t)st.st_size > max)
		return NULL;
	text = xcalloc((size_t)st.st_size + 1, 1);
	if (fd_read_all(fd, text, (size_t)st.st_size) < 0)
		return NULL;
	return TAKE_PTR(text);
}

/* Debian and Alpine; Fedora; openSUSE. */
static const char *const bundles[] = {"etc/ssl/certs/ca-certificates.crt",
	"etc/pki/tls/certs/ca-bundle.crt", "etc/ssl/ca-bundle.pem"};

static char *read_bundle(const char *root)
{
	char *text = NULL;

	for (size_t i = 0; !text && i < ARRAY_SIZE(bundles); i++)
		text = read_inside(root, bundles[i], BUNDLE_MAX);
	return text;
}

/* The image's own authorities and Cove's; without its own the guest's. */
static int make_bundle(const char *spec, const char *dir, const char *to)
{
	_cleanup_free_ char *name = docker_spec_root(spec);
	_cleanup_free_ char *root = !name || *name == '/'
		? xstrdup(name ? name : dir)
		: xasprintf("%s/%s", dir, name);
	_cleanup_free_ char *cert = read_inside("/", TRUST_FILE, BUNDLE_MAX);
	_cleanup_free_ char *own = NULL;
	_cleanup_free_ char *all = NULL;
	_cleanup_close_ int fd = -1;

	if (!cert || !name)
		return -ENOENT;
	own = read_bundle(root);
	if (!own)
		own = read_bundle("/");
	all = xasprintf("%s\n%s", own ? own : "", cert);
	fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		0644);
	if (fd < 0)
		return -errno;
	(void)fchmod(fd, 0644);
	return fd_write_all(fd, all, strlen(all));
}

static int put_back(const char *path, const char *text)
{
	_cleanup_close_ int fd =
		open(path, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
}

/* Its text is the one that out holds now. */
static void take(char **json, struct buf *out)
{
	free(*json);
	*json = xstrndup((const char *)buf_head(out), buf_len(out) - 1);
	buf_consume(out, buf_len(out));
}

static int trust(const char *json, const char *bundle_dir, struct buf *out)
{
	_cleanup_free_ char *source = NULL;

	if (bundle_dir) {
		source = xasprintf("%s/" BUNDLE_NAME, bundle_dir);
		if (access(TRUST_FILE, F_OK) < 0 ||
			make_bundle(json, bundle_dir, source) < 0)
			return 0;
	}
	return docker_spec_edit(json, source, out);
}

/* With bundle_dir a container's specification, else a process's. */
static void edit(const char *path, const char *bundle_dir)
{
	_cleanup_free_ char *json = read_inside("/", path, DOCKER_SPEC_MAX);
	_cleanup_(buf_done) struct buf out;
	bool changed = false;

	buf_init(&out, DOCKER_SPEC_MAX + 4096);
	if (!json)
		return;
	if (bundle_dir && docker_spec_hook(json, &out) == 1) {
		take(&json, &out);
		changed = true;
	}
	if (trust(json, bundle_dir, &out) == 1) {
		take(&json, &out);
		changed = true;
	}
	if (changed && put_back(path, json) < 0)
		fprintf(stderr, "cove: cannot change %s\n", path);
}

/* The value of "--name X" or "--name=X", NULL without. */
static const char *option(int argc, char **argv, const char *name)
{
	size_t len = strlen(name);

	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], name, len) != 0)
			continue;
		if (argv[i][len] == '=')
			return argv[i] + len + 1;
		if (!argv[i][len] && i + 1 < argc)
			return argv[i + 1];
	}
	return NULL;
}

static bool has(int argc, char **argv, const char *word)
{
	for (int i = 1; i < argc; i++)
		if (streq(argv[i], word))
			return true;
	return false;
}

static void change(int argc, char **argv)
{
	const char *bundle = option(argc, argv, "--bundle");
	const char *process = option(argc, argv, "--process");
	_cleanup_free_ char *path = NULL;

	if (bundle && *bundle == '/' &&
		(has(argc, argv, "create") || has(argc, argv, "run"))) {
		path = xasprintf("%s/config.json", bundle);
		edit(path, bundle);
	} else if (process && has(argc, argv, "exec") &&
		!strchr(argv[argc - 1], '/')) {
		path = xasprintf(BUNDLES "/%s/" BUNDLE_NAME, argv[argc - 1]);
		if (access(path, F_OK) == 0)
			edit(process, NULL);
	}
}

/* The copy in memory (docker_run.c), when it is one of this file. */
static bool sealed(const char *file)
{
	struct stat own, copy;

	return stat(file, &own) == 0 && stat(DOCKER_SEALED, &copy) == 0 &&
		own.st_size == copy.st_size &&
		own.st_mtim.tv_sec == copy.st_mtim.tv_sec &&
		own.st_mtim.tv_nsec == copy.st_mtim.tv_nsec;
}

_Noreturn void docker_runc(int argc, char **argv)
{
	char *file;

	change(argc, argv);
	if (spawn_lookup("runc", SPAWN_PATH, &file) == 0) {
		if (sealed(file))
			execv(DOCKER_SEALED, argv);
		execv(file, argv);
	}
	fprintf(stderr, "runc: not found in " SPAWN_PATH "\n");
	_exit(127);
}
