/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/workspace.h"
#include "copy/tree.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

struct cp_opts {
	bool help;
	bool quiet;
	const char *user;
};

static const struct opt opts[] = {
	{"quiet", 'q', OPT_FLAG, offsetof(struct cp_opts, quiet), NULL,
		"show no progress", 0, 0, NULL},
	{"user", 'u', OPT_STR, offsetof(struct cp_opts, user), "USER",
		"whose rights and files inside; default agent", 0, 0, NULL},
};

static void tell(void *arg, const struct tree_count *count)
{
	char size[32];
	_cleanup_free_ char *text = xasprintf("copying %" PRIu64 " file%s, %s",
		count->entries, count->entries == 1 ? "" : "s",
		format_size(count->bytes, size, sizeof(size)));

	progress_set(arg, "copy", text, count->bytes, 0);
}

/*
 * A file from a guest keeps neither set-user-ID bits nor a name that was not
 * asked for.
 */
static int get(int fd, const char *src, const char *dst, const char *user,
	struct tree_opts *how, struct tree_count *count, struct err *err)
{
	char name[256];
	int r = tree_name(src, name);

	if (r < 0)
		return err_sys(err, -r, "'%s'", src);
	how->name = name;
	how->mode_mask = 0777;
	return tree_get(fd, src, dst, user, how, count, err);
}

static int copy(const struct call *call, const struct cp_side *src,
	const struct cp_side *dst, struct progress *progress,
	struct tree_count *count, struct err *err)
{
	const struct cp_opts *o = call->opts;
	const char *sandbox = src->sandbox ? src->sandbox : dst->sandbox;
	struct tree_opts how = {.progress = tell, .arg = progress};
	struct api api = {
		.cli = call->cli, .tick = progress_tick, .tick_arg = progress};
	_cleanup_(buf_done) struct buf early = {0};
	_cleanup_close_ int fd = -1;

	buf_init(&early, 4096);
	/* Before a sandbox is started for nothing. */
	if (!src->sandbox && access(src->path, R_OK) < 0)
		return err_sys(err, errno, "cannot read '%s'", src->path);
	int r = api_exec(&api, sandbox, NULL, &fd, &early, err);
	if (r < 0)
		return r;
	/* The agent speaks when it is spoken to. */
	if (buf_len(&early))
		return err_set(err, EPROTO, "the sandbox's agent spoke first");
	if (src->sandbox)
		r = get(fd, src->path, dst->path, o->user, &how, count, err);
	else
		r = tree_put(
			fd, src->path, dst->path, o->user, &how, count, err);
	return r < 0
		? err_wrap(err, "cannot copy '%s' %s sandbox '%s'", src->path,
			  src->sandbox ? "out of" : "into", sandbox)
		: 0;
}

static int run_copy(const struct call *call, const struct cp_side *src,
	const struct cp_side *dst)
{
	const struct cp_opts *o = call->opts;
	struct tree_count count = {0};
	struct progress progress;
	struct err err = {0};

	progress_init(&progress, o->quiet);
	int r = copy(call, src, dst, &progress, &count, &err);
	progress_done(&progress);
	if (r < 0)
		return cli_fail(&err);
	if (count.skipped)
		cli_note("left out %" PRIu64 " devices, sockets or fifos",
			count.skipped);
	return CLI_OK;
}

static int run(const struct call *call)
{
	_cleanup_(cp_side_done) struct cp_side src = {0};
	_cleanup_(cp_side_done) struct cp_side dst = {0};
	struct err err = {0};
	int r = cp_side_parse(call->argv[0], &src, &err);

	if (r == 0)
		r = cp_side_parse(call->argv[1], &dst, &err);
	if (r < 0)
		return cli_usage(call->cli, "%s", err.text);
	if (src.sandbox && dst.sandbox)
		return cli_usage(call->cli,
			"copies between a sandbox and this "
			"host; from one sandbox to another in two steps");
	if (!src.sandbox && !dst.sandbox)
		return cli_usage(call->cli,
			"one side must be in a sandbox: "
			"NAME:/absolute/path");
	return run_copy(call, &src, &dst);
}

const struct command cmd_cp = {
	.name = "cp",
	.args = "SRC DST",
	.help = "copy files into or out of a sandbox",
	.about = "Copies a file or a directory tree; one side is "
		 "NAME:/absolute/path. A directory DST receives SRC under its "
		 "own name; a DST that does not exist becomes the copy. "
		 "SRC/. means what is in the directory. Links are copied as "
		 "links; nothing is written outside DST.",
	.opts = opts,
	.n_opts = ARRAY_SIZE(opts),
	.opts_size = sizeof(struct cp_opts),
	.min_args = 2,
	.max_args = 2,
	.complete = "path",
	.run = run,
};
