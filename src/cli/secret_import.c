/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret import - takes the keys of known services out of the caller's
 * environment, or out of a .env file, into the store. What is already set stays
 * unless --force is given; nothing happens without a yes, a SERVICE or --all.
 */
#include "base/fd.h"
#include "cli/api.h"
#include "cli/cli.h"
#include "cli/dotenv.h"
#include "cli/policy.h"
#include "cli/prompt.h"
#include "cli/secret.h"
#include "cli/text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define PLACEHOLDER "cove-secret-" /* of another sandbox: not a value */

struct found {
	const char *service;
	const char *variable;
	const char *value; /* borrowed from file or environment */
	bool is_set;
};

struct import {
	const struct call *call;
	const struct secret_opts *o;
	struct dotenv file;
	json_t *services, *secrets; /* answers of coved */
	struct found *found;
	size_t n;
};

static void import_done(struct import *m)
{
	dotenv_done(&m->file);
	json_decref(m->services);
	json_decref(m->secrets);
	free(m->found);
}

static int read_file(struct import *m, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n;
	int r;

	if (!m->o->from)
		return 0;
	n = fd_slurp_at(AT_FDCWD, m->o->from, DOTENV_MAX, &text);
	if (n < 0)
		return err_sys(err, (int)-n, "read %s", m->o->from);
	r = strlen(text) == (size_t)n
		? dotenv_parse(text, &m->file, err)
		: err_set(err, EINVAL, "there is a NUL in it");
	explicit_bzero(text, (size_t)n);
	return r < 0 ? err_wrap(err, "%s", m->o->from) : 0;
}

/* Named, or all of them. */
static bool wanted(const struct call *call, const char *service)
{
	for (int i = 1; i < call->argc; i++)
		if (streq(call->argv[i], service))
			return true;
	return call->argc == 1;
}

/* In the very scope that would be written; others do not count. */
static bool is_set(const struct import *m, const char *service)
{
	const char *scope = m->o->sandbox ? m->o->sandbox : "";
	const json_t *it;
	size_t i;

	json_array_foreach (json_object_get(m->secrets, "secrets"), i, it)
		if (streq(jstr(it, "name"), service) &&
			streq(jstr(it, "sandbox"), scope))
			return true;
	return false;
}

/* The first variable of a service that has a value. */
static void look_for(struct import *m, const json_t *service)
{
	const json_t *it;
	size_t i;

	json_array_foreach (json_object_get(service, "env"), i, it) {
		const char *key = json_string_value(it);
		const char *v = !key ? NULL
			: m->o->from ? dotenv_get(&m->file, key)
				     : getenv(key);

		if (!v || !*v || strlen(v) > SECRET_VALUE_MAX ||
			strncmp(v, PLACEHOLDER, strlen(PLACEHOLDER)) == 0)
			continue;
		m->found[m->n++] = (struct found){jstr(service, "name"), key, v,
			is_set(m, jstr(service, "name"))};
		return;
	}
}

static int check_names(const struct import *m, struct err *err)
{
	const json_t *it, *list = json_object_get(m->services, "services");
	size_t i;

	for (int k = 1; k < m->call->argc; k++) {
		bool known = false;

		json_array_foreach (list, i, it)
			known |= streq(jstr(it, "name"), m->call->argv[k]);
		if (!known)
			return err_set(err, ENOENT,
				"no service '%.40s' is known; see: cove "
				"secret ls --services",
				m->call->argv[k]);
	}
	return 0;
}

static int search(struct import *m, struct err *err)
{
	const json_t *it, *list = json_object_get(m->services, "services");
	size_t i;
	int r = check_names(m, err);

	if (r < 0)
		return r;
	m->found = xcalloc(json_array_size(list) + 1, sizeof(*m->found));
	json_array_foreach (list, i, it)
		if (wanted(m->call, jstr(it, "name")))
			look_for(m, it);
	if (m->n)
		return 0;
	return err_set(err, ENOENT,
		"no variable of %s is set in %s; the variables: cove secret "
		"ls --services",
		m->call->argc > 1 ? "these services" : "a known service",
		m->o->from ? m->o->from : "the environment");
}

static bool goes(const struct import *m, const struct found *f)
{
	return !f->is_set || m->o->force;
}

static const char *outcome(const struct import *m, const struct found *f)
{
	if (!goes(m, f))
		return "kept, as it is set (--force replaces it)";
	return m->o->dry_run ? "would be set" : f->is_set ? "replaced" : "set";
}

static int ask(const struct import *m, struct err *err)
{
	_cleanup_free_ char *names = xstrdup("");
	_cleanup_free_ char *question = NULL;
	bool any = false;

	for (size_t i = 0; i < m->n; i++) {
		char *more;

		if (!goes(m, &m->found[i]))
			continue;
		any = true;
		more = xasprintf("%s %s (%s)", names, m->found[i].service,
			m->found[i].variable);
		free(names);
		names = more;
	}
	if (!any || m->o->all || m->o->dry_run || m->call->argc > 1)
		return 0;
	question = xasprintf("Import%s?", names);
	return prompt_yes(question, "--all", err);
}

static int send_one(
	const struct import *m, const struct found *f, struct err *err)
{
	const struct api api = {.cli = m->call->cli};
	json_t *body = NULL;
	int r = secret_body(m->o, f->service, f->value, &body, err);

	r = r ? r : api_call(&api, "POST", "/v1/secrets", body, NULL, err);
	json_decref(body);
	return r < 0 ? err_wrap(err, "%s (%s)", f->service, f->variable) : 0;
}

static void show(const struct import *m)
{
	json_t *list = json_array(), *o;

	for (size_t i = 0; i < m->n; i++) {
		const struct found *f = &m->found[i];

		if (m->o->json)
			json_array_append_new(list,
				json_pack("{s:s, s:s, s:b}", "name", f->service,
					"env", f->variable, "imported",
					goes(m, f) && !m->o->dry_run));
		else if (!m->o->quiet)
			printf("%s: %s: %s\n", f->service, f->variable,
				outcome(m, f));
		else if (goes(m, f))
			puts(f->service);
	}
	o = json_pack("{s:o}", "secrets", list);
	if (m->o->json)
		text_json(o);
	json_decref(o);
}

static int import(struct import *m, struct err *err)
{
	const struct api api = {.cli = m->call->cli};
	_cleanup_free_ char *path =
		policy_scoped("/v1/secrets", m->o->sandbox, '?');
	int r = read_file(m, err);

	r = r ? r : api_get(&api, "/v1/services", &m->services, err);
	r = r ? r : api_get(&api, path, &m->secrets, err);
	r = r ? r : search(m, err);
	r = r ? r : ask(m, err);
	for (size_t i = 0; i < m->n && r == 0 && !m->o->dry_run; i++)
		if (goes(m, &m->found[i]))
			r = send_one(m, &m->found[i], err);
	if (r == 0)
		show(m);
	return r;
}

int secret_import(const struct call *call, struct err *err)
{
	struct import m = {.call = call, .o = call->opts};
	int r = import(&m, err);

	import_done(&m);
	return r;
}
