/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/network.h"
#include "cli/policy.h"
#include "cli/text.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define POLICY_QUOTA_MAX (1ull << 60)

struct policy_opts {
	bool help;
	bool json;
	bool udp;
	bool follow;
	bool verify;
	bool once;
	bool session;
	bool always;
	uint64_t quota;
	const char *rate;
	const char *sandbox;
	const char *methods;
	const char *path;
};

static const struct opt opts[] = {
	{"sandbox", 's', OPT_STR, offsetof(struct policy_opts, sandbox), "NAME",
		"only this sandbox, not all", 0, 0, "sandbox"},
	{"method", 0, OPT_STR, offsetof(struct policy_opts, methods), "M,M",
		"only these HTTP methods", 0, 0, NULL},
	{"path", 0, OPT_STR, offsetof(struct policy_opts, path), "GLOB",
		"only these HTTP paths: * within a segment, ** across", 0, 0,
		NULL},
	{"udp", 0, OPT_FLAG, offsetof(struct policy_opts, udp), NULL,
		"UDP instead of TCP", 0, 0, NULL},
	{"rate", 0, OPT_STR, offsetof(struct policy_opts, rate), "UP[/DOWN]",
		"allow: at most this much a second", 0, 0, NULL},
	{"quota", 0, OPT_SIZE, offsetof(struct policy_opts, quota), "SIZE",
		"allow: at most this much, both ways", 1, POLICY_QUOTA_MAX,
		NULL},
	{"follow", 'f', OPT_FLAG, offsetof(struct policy_opts, follow), NULL,
		"log: go on as more arrives", 0, 0, NULL},
	{"verify", 0, OPT_FLAG, offsetof(struct policy_opts, verify), NULL,
		"log: has a line been changed or taken out?", 0, 0, NULL},
	{"once", 0, OPT_FLAG, offsetof(struct policy_opts, once), NULL,
		"approve, reject: what waits now (default)", 0, 0, NULL},
	{"session", 0, OPT_FLAG, offsetof(struct policy_opts, session), NULL,
		"approve, reject: until the sandbox stops", 0, 0, NULL},
	{"always", 0, OPT_FLAG, offsetof(struct policy_opts, always), NULL,
		"approve, reject: as a rule of the sandbox", 0, 0, NULL},
	{"json", 0, OPT_FLAG, offsetof(struct policy_opts, json), NULL,
		"print JSON", 0, 0, NULL},
};

static void set(json_t *o, const char *key, const char *v)
{
	if (v)
		json_object_set_new(o, key, json_string(v));
}

char *policy_encode(const char *s)
{
	static const char hex[] = "0123456789ABCDEF";
	char *out = xcalloc(3 * strlen(s) + 1, 1);
	size_t n = 0;

	for (; *s; s++) {
		uint8_t c = (uint8_t)*s;

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
			strchr("-._", c)) {
			out[n++] = *s;
			continue;
		}
		out[n++] = '%';
		out[n++] = hex[c >> 4];
		out[n++] = hex[c & 15];
	}
	return out;
}

char *policy_scoped(const char *path, const char *sandbox, char sep)
{
	_cleanup_free_ char *s = policy_encode(sandbox ? sandbox : "");

	return sandbox ? xasprintf("%s%csandbox=%s", path, sep, s)
		       : xstrdup(path);
}

static int show(const struct policy_opts *o, json_t *answer,
	void (*print)(const json_t *answer))
{
	if (o->json)
		text_json(answer);
	else
		print(answer);
	json_decref(answer);
	return CLI_OK;
}

static void print_rules(const json_t *answer)
{
	static const char *const heads[] = {
		"ID", "ACTION", "TARGET", "PROTOCOL", "HTTP", "FROM"};
	const json_t *it;
	struct table t;
	size_t i;

	table_heads(&t, heads, ARRAY_SIZE(heads));
	json_array_foreach (json_object_get(answer, "rules"), i, it) {
		const char *sandbox = jstr(it, "sandbox");

		table_cell(&t, jstr(it, "id"));
		table_cell(&t, jstr(it, "action"));
		table_cell(&t, jstr(it, "target"));
		table_cell(&t, jstr(it, "protocol"));
		table_cell(&t, jstr(it, "path"));
		table_cell(&t, *sandbox ? sandbox : jstr(it, "source"));
	}
	table_print(&t);
	table_done(&t);
}

static void print_all(const json_t *answer)
{
	printf("preset: %s\n", jstr(answer, "preset"));
	print_rules(answer);
}

static void print_check(const json_t *answer)
{
	const char *rule = jstr(answer, "rule");

	printf("%s%s%s\n", jstr(answer, "verdict"),
		*rule ? " by rule " : ": no rule speaks of it", rule);
}

static void print_log(const json_t *answer)
{
	static const char *const heads[] = {"TIME", "SANDBOX", "VERDICT",
		"TARGET", "PATH", "RULE", "REASON", "UP", "DOWN"};
	const json_t *it;
	struct table t;
	size_t i;

	table_heads(&t, heads, ARRAY_SIZE(heads));
	json_array_foreach (json_object_get(answer, "entries"), i, it) {
		_cleanup_free_ char *target = xasprintf(
			"%s:%" PRIu64, jstr(it, "target"), ju64(it, "port"));
		_cleanup_free_ char *up = xasprintf("%" PRIu64, ju64(it, "up"));
		_cleanup_free_ char *down =
			xasprintf("%" PRIu64, ju64(it, "down"));

		table_cell(&t, jstr(it, "time"));
		table_cell(&t, jstr(it, "sandbox"));
		table_cell(&t, jstr(it, "verdict"));
		table_cell(&t, ju64(it, "port") ? target : jstr(it, "target"));
		table_cell(&t, jstr(it, "path"));
		table_cell(&t, jstr(it, "rule"));
		table_cell(&t, jstr(it, "reason"));
		table_cell(&t, up);
		table_cell(&t, down);
	}
	table_print(&t);
	table_done(&t);
}

/* "a,b c" as one list. */
static json_t *targets(const struct call *call)
{
	json_t *list = json_array();

	for (int i = 1; i < call->argc; i++) {
		const char *p = call->argv[i];

		while (*p) {
			size_t n = strcspn(p, ",");

			json_array_append_new(list, json_stringn(p, n));
			p += n;
			p += *p == ',';
		}
	}
	return list;
}

static int limits(const struct policy_opts *o, json_t *body, struct err *err)
{
	uint64_t up = 0, down = 0;
	int r = o->rate ? rate_parse(o->rate, &up, &down, err) : 0;

	if (r < 0)
		return r;
	json_object_set_new(body, "rate_up", json_integer((json_int_t)up));
	json_object_set_new(body, "rate_down", json_integer((json_int_t)down));
	json_object_set_new(body, "quota", json_integer((json_int_t)o->quota));
	return 0;
}

static int add(const struct call *call, bool allow)
{
	const struct policy_opts *o = call->opts;
	struct api api = {.cli = call->cli};
	struct err err = {0};
	json_t *answer, *body;
	int r;

	if (call->argc < 2)
		return cli_usage(call->cli, "needs a TARGET");
	body = json_pack("{s:b, s:b, s:o}", "allow", allow, "udp", o->udp,
		"targets", targets(call));
	set(body, "sandbox", o->sandbox);
	set(body, "methods", o->methods);
	set(body, "path", o->path);
	r = limits(o, body, &err);
	r = r ? r
	      : api_call(&api, "POST", "/v1/policy/rules", body, &answer, &err);
	json_decref(body);
	return r < 0 ? cli_refuse(call->cli, &err)
		     : show(o, answer, print_rules);
}

static int do_allow(const struct call *call)
{
	return add(call, true);
}

static int do_deny(const struct call *call)
{
	return add(call, false);
}

static int get(const struct call *call, const char *path,
	void (*print)(const json_t *answer))
{
	const struct policy_opts *o = call->opts;
	const char *sandbox = call->argc > 1 ? call->argv[1] : o->sandbox;
	_cleanup_free_ char *full = policy_scoped(path, sandbox, '?');
	struct api api = {.cli = call->cli};
	struct err err = {0};
	json_t *answer;

	if (api_get(&api, full, &answer, &err) < 0)
		return cli_fail(&err);
	return show(o, answer, print);
}

static int do_ls(const struct call *call)
{
	return get(call, "/v1/policy", print_all);
}

static int do_log(const struct call *call)
{
	const struct policy_opts *o = call->opts;
	const char *sandbox = call->argc > 1 ? call->argv[1] : o->sandbox;

	if (o->follow)
		return policy_follow(call->cli, sandbox, o->json);
	if (o->verify)
		return policy_verify(call->cli, sandbox, o->json);
	return get(call, "/v1/policy/log", print_log);
}

static int do_pending(const struct call *call)
{
	return get(call, "/v1/policy/pending", policy_print_pending);
}

static int do_answer(const struct call *call, bool allow)
{
	const struct policy_opts *o = call->opts;
	const char *how = o->always ? "always"
		: o->session        ? "session"
				    : "once";
	struct err err = {0};

	if (call->argc < 2)
		return cli_usage(call->cli,
			"needs what to answer: its id or its target");
	if (o->once + o->session + o->always > 1)
		return cli_usage(call->cli,
			"--once, --session and --always: choose one");
	for (int i = 1; i < call->argc; i++)
		if (policy_answer(call->cli, o->sandbox, call->argv[i], allow,
			    how, &err) < 0)
			return cli_fail(&err);
	return CLI_OK;
}

static int do_approve(const struct call *call)
{
	return do_answer(call, true);
}

static int do_reject(const struct call *call)
{
	return do_answer(call, false);
}

static int do_ask(const struct call *call)
{
	const struct policy_opts *o = call->opts;

	return policy_ask_person(
		call->cli, call->argc > 1 ? call->argv[1] : o->sandbox);
}

static int do_rm(const struct call *call)
{
	const struct policy_opts *o = call->opts;
	struct api api = {.cli = call->cli};
	struct err err = {0};

	if (call->argc < 2)
		return cli_usage(call->cli, "needs a rule's id or target");
	for (int i = 1; i < call->argc; i++) {
		_cleanup_free_ char *what = policy_encode(call->argv[i]);
		_cleanup_free_ char *path =
			xasprintf("/v1/policy/rules?what=%s", what);
		_cleanup_free_ char *full =
			policy_scoped(path, o->sandbox, '&');
		json_t *answer;

		if (api_call(&api, "DELETE", full, NULL, &answer, &err) < 0)
			return cli_fail(&err);
		json_decref(answer);
	}
	return CLI_OK;
}

static int post(const struct call *call, const char *path, const char *key,
	void (*print)(const json_t *answer))
{
	const struct policy_opts *o = call->opts;
	struct api api = {.cli = call->cli};
	json_t *body = json_object(), *answer;
	struct err err = {0};
	int r;

	if (key && call->argc != 2) {
		json_decref(body);
		return cli_usage(call->cli, "needs one %s", key);
	}
	if (key)
		set(body, key, call->argv[1]);
	if (key && streq(key, "target")) {
		set(body, "sandbox", o->sandbox);
		json_object_set_new(body, "udp", json_boolean(o->udp));
	}
	r = api_call(&api, "POST", path, body, &answer, &err);
	json_decref(body);
	if (r < 0)
		return cli_fail(&err);
	if (print)
		return show(o, answer, print);
	json_decref(answer);
	return CLI_OK;
}

static int do_init(const struct call *call)
{
	return post(call, "/v1/policy/preset", "preset", NULL);
}

static int do_reset(const struct call *call)
{
	return post(call, "/v1/policy/reset", NULL, NULL);
}

static int do_check(const struct call *call)
{
	return post(call, "/v1/policy/check", "target", print_check);
}

static int run(const struct call *call)
{
	static const struct {
		const char *name;
		int (*fn)(const struct call *call);
	} actions[] = {{"init", do_init}, {"allow", do_allow},
		{"deny", do_deny}, {"rm", do_rm}, {"ls", do_ls},
		{"check", do_check}, {"log", do_log}, {"reset", do_reset},
		{"pending", do_pending}, {"approve", do_approve},
		{"reject", do_reject}, {"ask", do_ask}};

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (streq(actions[i].name, call->argv[0]))
			return actions[i].fn(call);
	return cli_usage(call->cli,
		"unknown action '%s'; there are: init, allow, deny, rm, ls, "
		"check, log, pending, approve, reject, ask, reset",
		call->argv[0]);
}

const struct command cmd_policy = {
	.name = "policy",
	.args = "ACTION [ARGUMENT...]",
	.help = "say what sandboxes may connect to",
	.about = "Without a rule nothing leaves a sandbox. init PRESET chooses "
		 "the list to begin with: open, balanced or closed. allow and "
		 "deny add rules for TARGET: example.com (itself), "
		 "*.example.com (one label), **.example.com (any depth), an "
		 "address, a CIDR, host (this machine's own localhost), or **; "
		 "each with :PORT or :LO-HI if wanted. Deny beats allow. Rules "
		 "act at once, also on open connections.\n\n"
		 "check TARGET says what would happen; log shows what did.\n\n"
		 "A sandbox made with --ask lets connections that no rule "
		 "speaks of wait for a minute: pending lists them, approve and "
		 "reject answer them by id or target, ask does so on this "
		 "terminal as they come.",
	.opts = opts,
	.n_opts = ARRAY_SIZE(opts),
	.opts_size = sizeof(struct policy_opts),
	.min_args = 1,
	.max_args = -1,
	.complete = "init allow deny rm ls check log pending approve "
		    "reject ask reset",
	.run = run,
};
