/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON bodies of API clients: what is read as a sandbox's description is
 * written again and read again, and is the same.
 */
#include "daemon/names.h"
#include "daemon/spec.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static const struct host host = {.cpus = 4, .memory = 8 * GIB};

static void check(struct spec *s)
{
	char name[NAME_MAX_LEN + 1];
	int r;

	assert(s->template && s->engine && s->env);
	assert(s->n_workspaces <= BIRTH_EXPORTS);
	for (size_t i = 0; i < s->n_workspaces; i++) {
		assert(s->workspaces[i].host && s->workspaces[i].guest);
		(void)path_check(s->workspaces[i].host, "path", NULL);
	}
	for (unsigned n = 0; n < 3; n++) {
		name_default(s->template,
			s->n_workspaces ? s->workspaces[0].host : NULL, n,
			name);
		r = name_check(name, NULL);
		assert(r == 0);
	}
	if (s->name)
		(void)name_check(s->name, NULL);
	(void)template_name_check(s->template, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(spec_done) struct spec a = {0};
	_cleanup_(spec_done) struct spec b = {0};
	_cleanup_json_ json_t *j = NULL;
	_cleanup_json_ json_t *ja = NULL;
	_cleanup_json_ json_t *jb = NULL;
	struct err err = {0};
	int r;

	if (json_read(data, size, &j, &err) < 0 ||
		spec_read(j, &host, &a, &err) < 0) {
		assert(err.code > 0 && err.text[0]);
		assert(!a.template);
		return 0;
	}
	check(&a);
	ja = spec_json(&a);
	assert(ja);
	r = spec_read(ja, &host, &b, &err);
	assert(r == 0);
	jb = spec_json(&b);
	assert(json_equal(ja, jb));
	return 0;
}
