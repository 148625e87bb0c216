/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/text.h"
#include <stdio.h>

struct version_opts {
	bool help;
	bool json;
};

static const struct opt opts[] = {
	{"json", 0, OPT_FLAG, offsetof(struct version_opts, json), NULL,
		"print JSON", 0, 0, NULL},
};

static int run(const struct call *call)
{
	const struct version_opts *o = call->opts;
	struct api api = {
		.cli = call->cli, .no_start = true, .timeout_ms = API_QUICK_MS};
	json_t *daemon = NULL;
	struct err err = {0};

	if (api_get(&api, "/v1/version", &daemon, &err) < 0)
		daemon = json_null();
	if (o->json) {
		json_t *all = json_pack("{s:s, s:O}", "version", COVE_VERSION,
			"daemon", daemon);
		text_json(all);
		json_decref(all);
	} else {
		const char *its = jstr(daemon, "version");
		_cleanup_free_ char *safe =
			text_safe(*its ? its : "not running");
		printf("cove %s\ncoved %s\n", COVE_VERSION, safe);
	}
	json_decref(daemon);
	return CLI_OK;
}

const struct command cmd_version = {
	.name = "version",
	.args = "",
	.help = "show the versions of cove and coved",
	.about = "Shows the version of this program and of the coved that "
		 "runs, if one does; none is started for this.",
	.opts = opts,
	.n_opts = ARRAY_SIZE(opts),
	.opts_size = sizeof(struct version_opts),
	.run = run,
};
