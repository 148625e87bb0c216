/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/network.h"
#include "cli/sandbox.h"
#include "cli/text.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

struct ports_opts {
	bool help;
	bool json;
	struct opt_strs publish;
	struct opt_strs unpublish;
};

static const struct opt opts[] = {
	{"publish", 'p', OPT_STRS, offsetof(struct ports_opts, publish),
		"[[ADDR:]HOST:]PORT", "let the host reach PORT of the sandbox",
		0, 0, NULL},
	{"unpublish", 0, OPT_STRS, offsetof(struct ports_opts, unpublish),
		"[[ADDR:]HOST:]PORT", "take it back; PORT alone: all of them",
		0, 0, NULL},
	{"json", 0, OPT_FLAG, offsetof(struct ports_opts, json), NULL,
		"print JSON", 0, 0, NULL},
};

static void print(const json_t *answer)
{
	static const char *const heads[] = {"ADDRESS", "HOST", "PORT", "STATE"};
	const json_t *it;
	struct table t;
	size_t i;

	table_heads(&t, heads, ARRAY_SIZE(heads));
	json_array_foreach (json_object_get(answer, "ports"), i, it) {
		uint64_t number = ju64(it, "host_port");
		_cleanup_free_ char *host = xasprintf("%" PRIu64, number);
		_cleanup_free_ char *port = publish_port(it);
		bool open = json_is_true(json_object_get(it, "open"));

		table_cell(&t, jstr(it, "address"));
		table_cell(&t, number ? host : "any");
		table_cell(&t, port);
		table_cell(&t, open ? "open" : "closed");
	}
	table_print(&t);
	table_done(&t);
}

static int ask(const struct call *call, json_t **ret, struct err *err)
{
	const struct ports_opts *o = call->opts;
	_cleanup_free_ char *path = sandbox_path(call->argv[0], "/ports", err);
	struct api api = {.cli = call->cli};
	json_t *add = NULL, *del = NULL, *body;
	int r;

	if (!path)
		return -err->code;
	if (o->publish.n + o->unpublish.n == 0)
		return api_get(&api, path, ret, err);
	r = publish_parse_all(&o->publish, &add, err);
	r = r ? r : publish_parse_all(&o->unpublish, &del, err);
	if (r < 0) {
		json_decref(add);
		return r;
	}
	body = json_pack("{s:o, s:o}", "publish", add, "unpublish", del);
	r = api_call(&api, "POST", path, body, ret, err);
	json_decref(body);
	return r;
}

static int run(const struct call *call)
{
	const struct ports_opts *o = call->opts;
	struct err err = {0};
	json_t *answer;

	if (ask(call, &answer, &err) < 0)
		return cli_refuse(call->cli, &err);
	if (o->json)
		text_json(answer);
	else
		print(answer);
	json_decref(answer);
	return CLI_OK;
}

const struct command cmd_ports = {
	.name = "ports",
	.args = "NAME",
	.help = "publish ports of a sandbox on this host",
	.about = "Lists the ports of a sandbox that this host listens for, "
		 "after adding (-p) and removing (--unpublish) some. Without "
		 "ADDR they are reachable from this host only, as 127.0.0.1 "
		 "and ::1; without HOST a free port is chosen, which stays the "
		 "same as long as it stays free. PORT/udp publishes UDP. "
		 "Inside, what comes arrives from 127.0.0.1. Ports come back "
		 "when the sandbox starts again; one that another program has "
		 "taken is an error.",
	.opts = opts,
	.n_opts = ARRAY_SIZE(opts),
	.opts_size = sizeof(struct ports_opts),
	.min_args = 1,
	.max_args = 1,
	.complete = "sandbox",
	.run = run,
};
