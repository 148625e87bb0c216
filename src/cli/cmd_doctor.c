/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/check.h"
#include "cli/commands.h"
#include "cli/text.h"
#include <stdio.h>

struct doctor_opts {
	bool help;
	bool json;
};

static const struct opt opts[] = {
	{"json", 0, OPT_FLAG, offsetof(struct doctor_opts, json), NULL,
		"print JSON", 0, 0, NULL},
};

static json_t *to_json(const struct checks *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->n; i++)
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:o, s:o}", "check", c->v[i].name,
				"status", check_word(c->v[i].level), "text",
				json_string(c->v[i].text), "fix",
				c->v[i].fix ? json_string(c->v[i].fix)
					    : json_null()));
	return json_pack("{s:s, s:o}", "status", check_word(checks_worst(c)),
		"checks", list);
}

static void print_text(const struct checks *c)
{
	struct table t;

	table_init(&t, 3);
	for (size_t i = 0; i < c->n; i++) {
		table_cell(&t, check_word(c->v[i].level));
		table_cell(&t, c->v[i].name);
		table_cell(&t, c->v[i].text);
		if (!c->v[i].fix)
			continue;
		_cleanup_free_ char *fix = xasprintf("-> %s", c->v[i].fix);
		table_cell(&t, "");
		table_cell(&t, "");
		table_cell(&t, fix);
	}
	table_print(&t);
	table_done(&t);
}

static const char *verdict(enum check_level worst)
{
	switch (worst) {
	case CHECK_OK:
		return "Everything is there.";
	case CHECK_WARN:
		return "Sandboxes can run; see the warnings.";
	case CHECK_MISSING:
		break;
	}
	return "Sandboxes cannot run before what is missing is there.";
}

static int run(const struct call *call)
{
	const struct doctor_opts *o = call->opts;
	struct checks checks = {.cli = call->cli};

	checks_run(&checks);
	if (o->json) {
		json_t *all = to_json(&checks);
		text_json(all);
		json_decref(all);
	} else {
		print_text(&checks);
		printf("\n%s\n", verdict(checks_worst(&checks)));
	}
	bool missing = checks_worst(&checks) == CHECK_MISSING;
	checks_done(&checks);
	return missing ? CLI_REFUSED : CLI_OK;
}

const struct command cmd_doctor = {
	.name = "doctor",
	.args = "",
	.help = "check what this host has and what is missing",
	.about = "Checks what sandboxes need of this host, with or without a "
		 "running coved: ok, warn (slower or weaker without it) or "
		 "missing, and how to get it. Exits 1 when something is "
		 "missing.",
	.opts = opts,
	.n_opts = ARRAY_SIZE(opts),
	.opts_size = sizeof(struct doctor_opts),
	.run = run,
};
