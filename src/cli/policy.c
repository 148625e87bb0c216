/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/policy.h"
#include "cli/api.h"
#include "cli/text.h"
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_LEN (64u * 1024u)

/* ---- log -f ---- */

struct follow {
	struct buf in;
	bool json;
};

static void print_line(const json_t *e)
{
	_cleanup_free_ char *target = text_safe(jstr(e, "target"));
	_cleanup_free_ char *reason = text_safe(jstr(e, "reason"));
	const char *rule = jstr(e, "rule");

	printf("%s %s %-5s %s", jstr(e, "time"), jstr(e, "sandbox"),
		jstr(e, "verdict"), target);
	if (ju64(e, "port"))
		printf(":%" PRIu64, ju64(e, "port"));
	printf(" %s", jstr(e, "path"));
	if (*rule)
		printf(" rule %s", rule);
	if (*reason)
		printf(" (%s)", reason);
	if (streq(jstr(e, "verdict"), "end"))
		printf(" up %" PRIu64 " down %" PRIu64, ju64(e, "up"),
			ju64(e, "down"));
	putchar('\n');
}

static void one_line(const struct follow *f, const char *p, size_t len)
{
	json_t *e = json_loadb(p, len, 0, NULL);

	if (!e)
		return;
	if (f->json)
		printf("%.*s\n", (int)len, p);
	else
		print_line(e);
	json_decref(e);
}

static int on_piece(void *arg, const uint8_t *p, size_t len)
{
	struct follow *f = arg;
	const char *nl;

	if (buf_put(&f->in, p, len) < 0)
		return -EMSGSIZE;
	while (buf_len(&f->in) &&
		(nl = memchr(buf_head(&f->in), '\n', buf_len(&f->in)))) {
		const char *line = (const char *)buf_head(&f->in);
		size_t n = (size_t)(nl - line);

		one_line(f, line, n);
		buf_consume(&f->in, n + 1);
	}
	return fflush(stdout) ? -errno : 0;
}

int policy_follow(struct cli *cli, const char *sandbox, bool json)
{
	_cleanup_free_ char *path =
		policy_scoped("/v1/policy/log?follow=1", sandbox, '&');
	struct follow f = {.json = json};
	struct api api = {.cli = cli};
	struct err err = {0};
	int r;

	buf_init(&f.in, 8u * LINE_MAX_LEN);
	r = api_stream(&api, "GET", path, NULL, "application/x-ndjson",
		on_piece, &f, &err);
	buf_done(&f.in);
	if (r == -EPIPE && !err.code)
		return 128 + SIGPIPE;
	if (r < 0 && !err.code)
		err_sys(&err, -r, "cannot follow the log");
	return r < 0 ? cli_fail(&err) : CLI_OK;
}

/* ---- log --verify ---- */

static bool print_verdicts(const json_t *answer)
{
	bool all = true;
	const json_t *it;
	size_t i;

	json_array_foreach (json_object_get(answer, "logs"), i, it) {
		bool intact = json_is_true(json_object_get(it, "intact"));

		all = all && intact;
		if (intact)
			printf("%s: intact, %" PRIu64 " lines, last %s\n",
				jstr(it, "sandbox"), ju64(it, "lines"),
				jstr(it, "last"));
		else
			printf("%s: CHANGED in %s, line %" PRIu64 "\n",
				jstr(it, "sandbox"), jstr(it, "broken_in"),
				ju64(it, "lines"));
	}
	return all;
}

int policy_verify(struct cli *cli, const char *sandbox, bool json)
{
	_cleanup_free_ char *path =
		policy_scoped("/v1/policy/verify", sandbox, '?');
	struct api api = {.cli = cli};
	struct err err = {0};
	bool all = true;
	json_t *answer;
	const json_t *it;
	size_t i;

	if (api_get(&api, path, &answer, &err) < 0)
		return cli_fail(&err);
	json_array_foreach (json_object_get(answer, "logs"), i, it)
		all = all && json_is_true(json_object_get(it, "intact"));
	if (json)
		text_json(answer);
	else
		(void)print_verdicts(answer);
	json_decref(answer);
	return all ? CLI_OK : CLI_REFUSED;
}

/* ---- questions ---- */

void policy_print_pending(const json_t *answer)
{
	static const char *const heads[] = {
		"ID", "SANDBOX", "TARGET", "PROTOCOL", "SINCE"};
	const json_t *it;
	struct table t;
	size_t i;

	table_heads(&t, heads, ARRAY_SIZE(heads));
	json_array_foreach (json_object_get(answer, "pending"), i, it) {
		_cleanup_free_ char *target = xasprintf(
			"%s:%" PRIu64, jstr(it, "target"), ju64(it, "port"));

		table_cell(&t, jstr(it, "id"));
		table_cell(&t, jstr(it, "sandbox"));
		table_cell(&t, target);
		table_cell(&t, jstr(it, "protocol"));
		table_cell(&t, jstr(it, "since"));
	}
	table_print(&t);
	table_done(&t);
}

int policy_answer(struct cli *cli, const char *sandbox, const char *what,
	bool allow, const char *how, struct err *err)
{
	struct api api = {.cli = cli};
	json_t *body = json_pack(
		"{s:s, s:b, s:s}", "what", what, "allow", allow, "how", how);
	int r;

	if (!body)
		return err_set(err, EINVAL, "'%.80s' is not valid text", what);
	if (sandbox)
		json_object_set_new(body, "sandbox", json_string(sandbox));
	r = api_call(&api, "POST", "/v1/policy/answer", body, NULL, err);
	json_decref(body);
	return r;
}

/* What the person typed; false at the end of input. */
static bool read_choice(char *ret)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	ssize_t n = getline(&line, &size, stdin);

	if (n <= 0)
		return false;
	*ret = line[0];
	return true;
}

static int ask_one(struct cli *cli, const json_t *q, struct err *err)
{
	static const struct {
		char key;
		bool allow;
		const char *how;
	} choices[] = {{'o', true, "once"}, {'s', true, "session"},
		{'a', true, "always"}, {'n', false, "once"},
		{'N', false, "session"}, {'D', false, "always"}};
	_cleanup_free_ char *target = text_safe(jstr(q, "target"));
	char c = 0;
	int r;

	for (;;) {
		fprintf(stderr,
			"%s wants %s:%" PRIu64
			": [o]nce, for this [s]ession, [a]lways; [n]o, [N]o "
			"for this session, [D]eny always? ",
			jstr(q, "sandbox"), target, ju64(q, "port"));
		fflush(stderr);
		if (!read_choice(&c))
			return err_set(err, ECANCELED, "no more answers");
		for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
			if (choices[i].key != c)
				continue;
			r = policy_answer(cli, jstr(q, "sandbox"),
				jstr(q, "id"), choices[i].allow, choices[i].how,
				err);
			if (r != -ENOENT)
				return r;
			fputs("too late: it does not wait any more\n", stderr);
			return 0;
		}
	}
}

int policy_ask_person(struct cli *cli, const char *sandbox)
{
	_cleanup_free_ char *path =
		policy_scoped("/v1/policy/pending?wait=1", sandbox, '&');
	struct api api = {.cli = cli};
	struct err err = {0};
	json_t *answer;
	const json_t *q;
	size_t i;
	int r = 0;

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return cli_usage(cli,
			"asks on a terminal, and there is none; see: cove "
			"policy pending, approve, reject");
	while (r == 0) {
		r = api_get(&api, path, &answer, &err);
		if (r < 0)
			break;
		json_array_foreach (json_object_get(answer, "pending"), i, q)
			if (r == 0)
				r = ask_one(cli, q, &err);
		json_decref(answer);
	}
	return cli_fail(&err);
}
