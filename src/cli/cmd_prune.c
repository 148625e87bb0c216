/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/prompt.h"
#include "cli/text.h"
#include <errno.h>
#include <stdio.h>

struct prune_opts {
	bool help;
	bool dry_run;
	bool force;
	bool json;
};

static const struct opt opts[] = {
	{"dry-run", 'n', OPT_FLAG, offsetof(struct prune_opts, dry_run), NULL,
		"only show what would be removed", 0, 0, NULL},
	{"force", 'f', OPT_FLAG, offsetof(struct prune_opts, force), NULL,
		"do not ask", 0, 0, NULL},
	{"json", 0, OPT_FLAG, offsetof(struct prune_opts, json), NULL,
		"print JSON", 0, 0, NULL},
};

static int prune(
	const struct call *call, bool dry_run, json_t **ret, struct err *err)
{
	struct api api = {.cli = call->cli};
	json_t *body = json_pack("{s:b}", "dry_run", dry_run);
	json_t *answer = NULL;
	int r = api_call(&api, "POST", "/v1/prune", body, &answer, err);

	json_decref(body);
	if (r < 0)
		return r;
	if (!json_is_array(json_object_get(answer, "items"))) {
		json_decref(answer);
		return err_set(err, EPROTO, "coved's answer has no list");
	}
	*ret = answer;
	return 0;
}

static void print_items(FILE *out, const json_t *answer, const char *verb)
{
	const json_t *it;
	size_t i;
	char size[32];

	json_array_foreach (json_object_get(answer, "items"), i, it) {
		_cleanup_free_ char *kind = text_safe(jstr(it, "kind"));
		_cleanup_free_ char *name = text_safe(jstr(it, "name"));
		fprintf(out, "%s %s %s (%s)\n", verb, kind, name,
			format_size(ju64(it, "bytes"), size, sizeof(size)));
	}
	fprintf(out, "%s %s\n", streq(verb, "removed") ? "freed" : "would free",
		format_size(ju64(answer, "bytes"), size, sizeof(size)));
}

/* Shows what it is about before it asks. */
static int ask(const struct call *call, struct err *err)
{
	json_t *answer;
	int r = prune(call, true, &answer, err);

	if (r < 0)
		return r;
	bool nothing = json_array_size(json_object_get(answer, "items")) == 0;
	if (!nothing && isatty(STDERR_FILENO))
		print_items(stderr, answer, "would remove");
	json_decref(answer);
	return nothing ? 0 : prompt_yes("Remove these?", "-f", err);
}

static int run(const struct call *call)
{
	const struct prune_opts *o = call->opts;
	struct err err = {0};
	json_t *answer;

	int r = o->dry_run || o->force ? 0 : ask(call, &err);
	if (r == 0)
		r = prune(call, o->dry_run, &answer, &err);
	if (r < 0)
		return cli_fail(&err);
	if (o->json)
		text_json(answer);
	else
		print_items(stdout, answer,
			o->dry_run ? "would remove" : "removed");
	json_decref(answer);
	return CLI_OK;
}

const struct command cmd_prune = {
	.name = "prune",
	.args = "",
	.help = "remove stopped sandboxes and unused cache",
	.about =
		"Removes what is not in use: stopped sandboxes, and templates, "
		"kernels and disks in the cache that no sandbox needs. Shows "
		"the list and asks; without a terminal -f is needed.",
	.opts = opts,
	.n_opts = ARRAY_SIZE(opts),
	.opts_size = sizeof(struct prune_opts),
	.run = run,
};
