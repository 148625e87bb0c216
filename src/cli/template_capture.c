/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates that come out of a sandbox: cove template save (its file system)
 * and cove template build (what its Docker built). The archive is made by
 * programs inside and comes over an exec stream into a file without a name, so
 * that nothing is left of it; then it is imported like any other, as hostile.
 */
#include "cli/template.h"

#include "cli/api.h"
#include "cli/execute.h"
#include "cli/sandbox.h"
#include "cli/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/*
 * Its own file system only: no share, no Docker's store, nothing of the
 * kernel's. GNU tar knows mounts (1 is "a file changed meanwhile"); others read
 * a second mount of the root, below which nothing is mounted.
 */
static const char tar_script[] =
	"cd / || exit 125\n"
	"if tar --version 2>/dev/null | grep -q GNU; then\n"
	"  tar --one-file-system --numeric-owner --xattrs "
	"--xattrs-include='*' --warning=no-file-ignored -cf - .\n"
	"  s=$?; [ $s -eq 1 ] && s=0; exit $s\n"
	"fi\n"
	"run() { if command -v \"$1\" >/dev/null 2>&1; then \"$@\"; "
	"else busybox \"$@\"; fi; }\n"
	"d=/run/cove-save\n"
	"run mkdir -p $d && run mount -o bind / $d || exit 125\n"
	"cd $d && run tar -c -f - .; s=$?\n"
	"cd /; run umount $d; run rmdir $d; exit $s\n";

/* Docker's words go to stderr, the image to stdout. */
static const char build_script[] =
	"set -e; cd /\n"
	"docker build -t cove-build -f \"$1/$2\" \"$1\" >&2\n"
	"docker save cove-build\n";

struct capture {
	const struct call *call;
	int fd;
	char *path; /* of it, as others of this user open it */
};

static void capture_done(struct capture *c)
{
	closep(&c->fd);
	free(c->path);
}

/* In the cache, where there is room for a template. */
static int capture_init(
	struct capture *c, const struct call *call, struct err *err)
{
	const char *dir;
	int r = cli_paths(call->cli, err);

	*c = (struct capture){.call = call, .fd = -1};
	if (r < 0)
		return r;
	dir = call->cli->paths.cache;
	r = paths_make(dir, err);
	if (r < 0)
		return r;
	c->fd = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (c->fd < 0)
		return err_sys(err, errno, "no temporary file in %s", dir);
	c->path = xasprintf("/proc/%d/fd/%d", (int)getpid(), c->fd);
	return 0;
}

/* The script as root in the sandbox, with up to two words; out to the file. */
static int capture_run(struct capture *c, const json_t *sandbox,
	const char *script, const char *one, const char *two)
{
	const char *const words[] = {"/bin/sh", "-c", script, "sh", one, two};
	const struct template_opts *o = c->call->opts;
	char *v[ARRAY_SIZE(words)] = {NULL};
	size_t n = 0;
	uint32_t id;
	int code;

	for (; n < ARRAY_SIZE(words) && words[n]; n++)
		v[n] = xstrdup(words[n]);
	struct execution x = {.sandbox = jstr(sandbox, "id"),
		.shown = jstr(sandbox, "name"),
		.detach_keys = "none",
		.quiet = o->quiet,
		.stdout_fd = c->fd,
		.req = {.argv = v, .argc = n, .cwd = "/", .user = "0"}};
	code = execute(c->call->cli, &x, &id);
	while (n > 0)
		free(v[--n]);
	return code;
}

static int import_it(struct capture *c, const char *name, const char *origin,
	const char *like)
{
	return template_make_like(
		c->call, "archive", c->path, name, origin, like);
}

int template_save_sandbox(const struct call *call)
{
	_cleanup_(capture_done) struct capture c = {.fd = -1};
	_cleanup_(json_decrefp) json_t *sandbox = NULL;
	_cleanup_free_ char *origin = xasprintf("sandbox %s", call->argv[1]);
	struct api api = {.cli = call->cli};
	struct err err = {0};
	int code;

	if (sandbox_get(&api, call->argv[1], &sandbox, &err) < 0 ||
		capture_init(&c, call, &err) < 0)
		return cli_fail(&err);
	code = capture_run(&c, sandbox, tar_script, NULL, NULL);
	if (code != CLI_OK) {
		cli_note("tar in sandbox '%s' failed with status %d; nothing "
			 "was saved",
			call->argv[1], code);
		return CLI_REFUSED;
	}
	return import_it(
		&c, call->argv[2], origin, jstr(sandbox, "template_digest"));
}

/* A throw-away sandbox that sees the directory and cannot write to it. */
static int make_builder(
	const struct call *call, const char *dir, json_t **ret, struct err *err)
{
	const struct template_opts *o = call->opts;
	json_t *body = json_pack("{s:s, s:s, s:b, s:[{s:s, s:s, s:b}]}",
		"template", "shell", "name", "cove-build", "remove", true,
		"workspaces", "host", dir, "guest", dir, "read_only", true);
	int r = sandbox_create(call->cli, body, o->quiet, ret, err);

	json_decref(body);
	return r;
}

int template_build(const struct call *call)
{
	const struct template_opts *o = call->opts;
	_cleanup_(capture_done) struct capture c = {.fd = -1};
	_cleanup_free_ char *dir = realpath(call->argv[1], NULL);
	_cleanup_(json_decrefp) json_t *sandbox = NULL;
	_cleanup_free_ char *name = NULL;
	struct api api = {.cli = call->cli, .no_start = true};
	struct err err = {0};
	int code;

	if (!dir)
		err_sys(&err, errno, "%s", call->argv[1]);
	if (!dir || capture_init(&c, call, &err) < 0 ||
		make_builder(call, dir, &sandbox, &err) < 0)
		return cli_fail(&err);
	name = call->argc > 2 ? xstrdup(call->argv[2]) : template_name_of(dir);
	code = capture_run(&c, sandbox, build_script, dir,
		o->file ? o->file : "Dockerfile");
	if (sandbox_remove(&api, jstr(sandbox, "id"), true, &err) < 0)
		cli_note("could not remove '%s': %s", jstr(sandbox, "name"),
			err.text);
	if (code != CLI_OK) {
		cli_note("the build failed with status %d", code);
		return CLI_REFUSED;
	}
	return import_it(&c, name, call->argv[1], "");
}
