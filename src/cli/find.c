/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/find.h"
#include "cli/name.h"
#include "cli/sandbox.h"
#include "cli/text.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define NUMBERS 1000

static json_t *by_name(const json_t *list, const char *name)
{
	json_t *it;
	size_t i;

	json_array_foreach (list, i, it)
		if (streq(jstr(it, "name"), name))
			return it;
	return NULL;
}

/* The directory that makes a run come back to the same sandbox, or NULL. */
static const char *directory_of(const struct spec *spec)
{
	return spec->n_paths ? spec->places[0].host : NULL;
}

static bool same_directory(const json_t *sandbox, const char *dir)
{
	const json_t *list = json_object_get(sandbox, "workspaces");
	const json_t *first = json_array_get(list, 0);

	if (!dir)
		return json_array_size(list) == 0;
	return streq(jstr(first, "host"), dir);
}

/*
 * A sandbox that was given a name of its own is not met by accident, nor is
 * one that goes away with the command it was made for.
 */
static json_t *by_directory(
	const json_t *list, const struct spec *spec, const char *base)
{
	const char *template = spec->template ? spec->template : SPEC_TEMPLATE;
	json_t *it;
	size_t i;

	json_array_foreach (list, i, it)
		if (name_is_numbered(jstr(it, "name"), base) &&
			streq(jstr(it, "template"), template) &&
			!json_is_true(json_object_get(it, "remove")) &&
			same_directory(it, directory_of(spec)))
			return it;
	return NULL;
}

static char *free_name(const json_t *list, const char *base)
{
	if (!by_name(list, base))
		return xstrdup(base);
	for (int n = 2; n < NUMBERS; n++) {
		char suffix[16];
		snprintf(suffix, sizeof(suffix), "%d", n);
		char *name = name_with_suffix(base, suffix);
		if (!by_name(list, name))
			return name;
		free(name);
	}
	return xstrdup(base);
}

/* The first one is a letter, so that it is never taken for a number. */
char *find_random_name(const struct spec *spec)
{
	static const char set[] = "abcdefghijkmnpqrstuvwxyz23456789";
	const char *template = spec->template ? spec->template : SPEC_TEMPLATE;
	_cleanup_free_ char *base = name_default(template, directory_of(spec));
	uint8_t random[4];
	char suffix[sizeof(random) + 1] = "";

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		abort(); /* so few bytes never come short */
	for (size_t i = 0; i < sizeof(random); i++)
		suffix[i] = set[random[i] % (i ? 32 : 24)];
	return name_with_suffix(base, suffix);
}

int find_in_list(const json_t *list, const struct spec *spec,
	const struct run_opts *opts, json_t **ret_sandbox, char **ret_name,
	struct err *err)
{
	const char *template = spec->template ? spec->template : SPEC_TEMPLATE;
	_cleanup_free_ char *base = opts->name
		? xstrdup(opts->name)
		: name_default(template, directory_of(spec));
	json_t *found = opts->name ? by_name(list, base)
				   : by_directory(list, spec, base);

	if (!found) {
		*ret_sandbox = NULL;
		*ret_name = opts->name ? TAKE_PTR(base) : free_name(list, base);
		return 0;
	}
	int r = spec_match(spec, opts, found, err);
	if (r < 0)
		return r;
	*ret_sandbox = json_incref(found);
	*ret_name = NULL;
	return 0;
}

int find_sandbox(const struct api *api, const struct spec *spec,
	const struct run_opts *opts, json_t **ret_sandbox, char **ret_name,
	struct err *err)
{
	json_t *list;
	int r = sandbox_list(api, &list, err);

	if (r < 0)
		return r;
	r = find_in_list(list, spec, opts, ret_sandbox, ret_name, err);
	json_decref(list);
	return r;
}
