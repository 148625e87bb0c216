/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt.h"
#include "cli/commands.h"
#include "cli/network.h"
#include "cli/sandbox.h"
#include "cli/text.h"
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

struct inspect_opts {
	bool help;
	bool json;
};

static const struct opt opts[] = {
	{"json", 0, OPT_FLAG, offsetof(struct inspect_opts, json), NULL,
		"print JSON", 0, 0, NULL},
};

static void line(const char *label, const char *value)
{
	_cleanup_free_ char *safe = text_safe(value);

	if (*safe)
		printf("%-13s %s\n", label, safe);
}

static void line_size(const json_t *sb, const char *label, const char *key,
	const char *used_key)
{
	char a[32], b[32];
	uint64_t size = ju64(sb, key);
	uint64_t used = used_key ? ju64(sb, used_key) : 0;

	if (!size)
		return;
	format_size(size, a, sizeof(a));
	if (used)
		printf("%-13s %s (%s used)\n", label, a,
			format_size(used, b, sizeof(b)));
	else
		printf("%-13s %s\n", label, a);
}

static void line_number(const json_t *sb, const char *label, const char *key)
{
	if (ju64(sb, key))
		printf("%-13s %" PRIu64 "\n", label, ju64(sb, key));
}

static void line_time(const json_t *sb, const char *label, const char *key)
{
	const char *value = jstr(sb, key);

	if (!*value)
		return;
	_cleanup_free_ char *ago = text_ago(value, (int64_t)time(NULL));
	_cleanup_free_ char *text = xasprintf("%s (%s)", value, ago);
	line(label, text);
}

static void print_identity(const json_t *sb)
{
	const char *reason = jstr(sb, "reason");
	_cleanup_free_ char *state = xasprintf(
		"%s%s%s", jstr(sb, "state"), *reason ? ": " : "", reason);
	const char *digest = jstr(sb, "template_digest");
	_cleanup_free_ char *template = xasprintf(
		"%s%s%s", jstr(sb, "template"), *digest ? " " : "", digest);

	line("name", jstr(sb, "name"));
	line("id", jstr(sb, "id"));
	line("state", state);
	line("template", template);
	if (json_is_true(json_object_get(sb, "remove")))
		line("removed", "when it stops (--rm)");
	line_time(sb, "created", "created");
	line_time(sb, "started", "started");
}

static void print_engine(const json_t *sb)
{
	const json_t *e = json_object_get(sb, "engine");
	const char *accel = jstr(e, "accel");
	_cleanup_free_ char *name = xasprintf("%s%s%s", jstr(e, "name"),
		*accel ? ", accelerator " : "", accel);
	_cleanup_free_ char *isolation = xasprintf("%s%s", jstr(e, "isolation"),
		streq(jstr(e, "isolation"), "tcg")
			? " (software emulation: not a hardened boundary)"
			: streq(jstr(e, "isolation"), "kvm")
			? " (hardware virtualization)"
			: "");

	line("engine", name);
	line("isolation", isolation);
	line("why", jstr(e, "why"));
	line("kernel", jstr(sb, "kernel"));
}

static void print_limits(const json_t *sb)
{
	char span[32];

	line_number(sb, "cpus", "cpus");
	line_size(sb, "memory", "memory", "memory_used");
	line_size(sb, "disk", "disk", "disk_used");
	line_size(sb, "docker disk", "docker_disk", NULL);
	line_number(sb, "processes", "pids");
	if (ju64(sb, "timeout_ms"))
		line("timeout",
			text_span(ju64(sb, "timeout_ms"), span, sizeof(span)));
}

static void print_network(const json_t *sb)
{
	const char *label = "ports";
	const json_t *it;
	char up[32], down[32];
	size_t i;

	if (ju64(sb, "net_rate_up")) {
		_cleanup_free_ char *text = xasprintf("%s up, %s down a second",
			format_size(ju64(sb, "net_rate_up"), up, sizeof(up)),
			format_size(
				ju64(sb, "net_rate_down"), down, sizeof(down)));
		line("net rate", text);
	}
	line_size(sb, "net quota", "net_quota", "net_used");
	if (json_is_true(json_object_get(sb, "ask")))
		line("unknown", "targets wait for you: cove policy pending");
	if (*jstr(sb, "ssh_agent"))
		line("SSH agent", jstr(sb, "ssh_agent"));
	json_array_foreach (json_object_get(sb, "ports"), i, it) {
		_cleanup_free_ char *text = publish_text(it);

		line(label, text);
		label = "";
	}
}

static void print_files(const json_t *sb)
{
	const json_t *it;
	size_t i;

	json_array_foreach (json_object_get(sb, "workspaces"), i, it) {
		const char *host = jstr(it, "host");
		const char *guest = jstr(it, "guest");
		bool same = streq(host, guest);
		_cleanup_free_ char *text = xasprintf("%s%s%s%s", host,
			same ? "" : " as ", same ? "" : guest,
			json_is_true(json_object_get(it, "read_only"))
				? " (read-only)"
				: "");
		line(i ? "" : "workspaces", text);
	}
	line("workdir", jstr(sb, "workdir"));
}

static void print_maps(const json_t *sb)
{
	const char *key;
	json_t *value;
	const char *label = "variables";

	json_object_foreach (json_object_get(sb, "env"), key, value) {
		const char *s = json_string_value(value);
		_cleanup_free_ char *text = xasprintf("%s=%s", key, s ? s : "");
		line(label, text);
		label = "";
	}
	label = "host pids";
	json_object_foreach (json_object_get(sb, "pids_host"), key, value) {
		_cleanup_free_ char *text =
			xasprintf("%s %" JSON_INTEGER_FORMAT, key,
				json_integer_value(value));
		line(label, text);
		label = "";
	}
}

static void print_events(const json_t *sb)
{
	const json_t *it;
	size_t i;

	json_array_foreach (json_object_get(sb, "events"), i, it) {
		_cleanup_free_ char *text = xasprintf("%s %s %s",
			jstr(it, "time"), jstr(it, "type"), jstr(it, "text"));
		line(i ? "" : "events", text);
	}
}

static int run(const struct call *call)
{
	const struct inspect_opts *o = call->opts;
	struct api api = {.cli = call->cli};
	struct err err = {0};
	json_t *sb;

	if (sandbox_get(&api, call->argv[0], &sb, &err) < 0)
		return cli_fail(&err);
	if (o->json) {
		text_json(sb);
	} else {
		print_identity(sb);
		print_engine(sb);
		print_limits(sb);
		print_network(sb);
		print_files(sb);
		print_maps(sb);
		print_events(sb);
	}
	json_decref(sb);
	return CLI_OK;
}

const struct command cmd_inspect = {
	.name = "inspect",
	.args = "NAME",
	.help = "show everything about a sandbox",
	.about = "Shows a sandbox: its state and why, engine and isolation, "
		 "limits and what is used of them, shared paths, variables and "
		 "the events that were recorded (a limit that struck, a guest "
		 "that died). NAME may be its id.",
	.opts = opts,
	.n_opts = ARRAY_SIZE(opts),
	.opts_size = sizeof(struct inspect_opts),
	.min_args = 1,
	.max_args = 1,
	.complete = "sandbox",
	.run = run,
};
