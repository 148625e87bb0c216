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
 * kernel's. "$@" is left out by name for tars that do not know mounts.
 * 1 is GNU tar's "a file changed meanwhile".
 */
static const char tar_script[] =
	"cd / || exit 125\n"
	"if tar --version 2>/dev/null | grep -q GNU; then\n"
	"  tar --one-file-system --numeric-owner --xattrs "
	"--xattrs-include='*' --warning=no-file-ignored "
	"--exclude=./var/lib/docker/* -cf - .\n"
	"  s=$?; [ $s -eq 1 ] && s=0; exit $s\n"
	"fi\n"
	"l=/tmp/.cove-save; : >$l\n"
	"for x in dev proc sys run var/lib/docker \"$@\"; do "
	"echo \"./${x#/}\" >>$l; done\n"
	"tar -c -X $l -f - .; s=$?; rm -f $l; exit $s\n";

/* Docker's words go to stderr, the image to stdout. */
static const char build_script[] =
	"set -e; dir=$1; file=$2; shift 2\n"
	"docker build -t cove-build -f \"$dir/$file\" \"$@\" \"$dir\" >&2\n"
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

/* argv as root in the sandbox, its output to the file. */
static int capture_run(struct capture *c, const json_t *sandbox,
	char *const *argv, size_t argc)
{
	const struct template_opts *o = c->call->opts;
	uint32_t id;
	struct execution x = {.sandbox = jstr(sandbox, "id"),
		.shown = jstr(sandbox, "name"),
		.detach_keys = "none",
		.quiet = o->quiet,
		.stdout_fd = c->fd,
		.req = {.argv = argv, .argc = argc, .cwd = "/", .user = "0"}};

	return execute(c->call->cli, &x, &id);
}

static int import_it(struct capture *c, const char *name, const char *origin,
	const char *like)
{
	return template_make_like(
		c->call, "archive", c->path, name, origin, like);
}

/* tar's script, and the directories that are this host's. */
static char **save_argv(const json_t *sandbox, size_t *ret_n)
{
	const json_t *it, *list = json_object_get(sandbox, "workspaces");
	char **v = xcalloc(json_array_size(list) + 5, sizeof(*v));
	size_t i, n = 0;

	v[n++] = xstrdup("/bin/sh");
	v[n++] = xstrdup("-c");
	v[n++] = xstrdup(tar_script);
	v[n++] = xstrdup("sh");
	json_array_foreach (list, i, it)
		v[n++] = xstrdup(jstr(it, "guest"));
	*ret_n = n;
	return v;
}

static void argv_free(char ***v)
{
	for (size_t i = 0; *v && (*v)[i]; i++)
		free((*v)[i]);
	free(*v);
}

int template_save_sandbox(const struct call *call)
{
	_cleanup_(capture_done) struct capture c = {.fd = -1};
	_cleanup_(argv_free) char **argv = NULL;
	_cleanup_(json_decrefp) json_t *sandbox = NULL;
	_cleanup_free_ char *origin = xasprintf("sandbox %s", call->argv[1]);
	struct api api = {.cli = call->cli};
	struct err err = {0};
	size_t argc;
	int code;

	if (sandbox_get(&api, call->argv[1], &sandbox, &err) < 0 ||
		capture_init(&c, call, &err) < 0)
		return cli_fail(&err);
	argv = save_argv(sandbox, &argc);
	code = capture_run(&c, sandbox, argv, argc);
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

static int build_in(struct capture *c, const json_t *sandbox, const char *dir)
{
	const struct template_opts *o = c->call->opts;
	char *v[6] = {xstrdup("/bin/sh"), xstrdup("-c"), xstrdup(build_script),
		xstrdup("sh"), xstrdup(dir),
		xstrdup(o->file ? o->file : "Dockerfile")};
	int code = capture_run(c, sandbox, v, ARRAY_SIZE(v));

	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		free(v[i]);
	return code;
}

int template_build(const struct call *call)
{
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
	code = build_in(&c, sandbox, dir);
	if (sandbox_remove(&api, jstr(sandbox, "id"), true, &err) < 0)
		cli_note("could not remove '%s': %s", jstr(sandbox, "name"),
			err.text);
	if (code != CLI_OK) {
		cli_note("the build failed with status %d", code);
		return CLI_REFUSED;
	}
	return import_it(&c, name, call->argv[1], "");
}
