/* SPDX-License-Identifier: Apache-2.0 */
#include "image/build_meta.h"

#include "image/job.h"

#include <errno.h>
#include <string.h>

static json_t *string_list(
	const struct oci_strings *s, const char *text, size_t max)
{
	json_t *list = json_array();
	const char *one;
	uint32_t at = 0;

	while ((one = oci_strings_next(s, text, max, &at)))
		json_array_append_new(list, json_string(one));
	return list;
}

static json_t *env_object(const struct oci_config *c)
{
	json_t *o = json_object();
	const char *one;
	uint32_t at = 0;

	while ((one = oci_strings_next(
			&c->env, c->env_text, OCI_ENV_MAX, &at))) {
		const char *eq = strchr(one, '=');
		_cleanup_free_ char *key =
			eq ? xstrndup(one, (size_t)(eq - one)) : NULL;

		if (key && *key)
			json_object_set_new(o, key, json_string(eq + 1));
	}
	return o;
}

static void set_text(json_t *o, const char *key, char *text, size_t size)
{
	text[size - 1] = '\0';
	if (*text)
		json_object_set_new(o, key, json_string(text));
}

static void add_process(json_t *meta, struct oci_config *c)
{
	if (c->env.n)
		json_object_set_new(meta, "env", env_object(c));
	set_text(meta, "user", c->user, sizeof(c->user));
	set_text(meta, "workdir", c->workdir, sizeof(c->workdir));
}

static void add_config(json_t *meta, struct oci_config *c)
{
	set_text(meta, "image_created", c->created, sizeof(c->created));
	json_object_set_new(meta, "config",
		json_pack("{s:o, s:o}", "entrypoint",
			string_list(&c->entrypoint, c->entrypoint_text,
				OCI_ARGV_MAX),
			"cmd",
			string_list(&c->cmd, c->cmd_text, OCI_ARGV_MAX)));
	json_object_set_new(meta, "history",
		string_list(&c->history, c->history_text, OCI_HISTORY_MAX));
}

json_t *build_meta(const struct build_source *s, const char *name,
	struct build_result *res)
{
	_cleanup_free_ char *now = job_time();
	json_t *meta = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "name",
		name, "architecture", OCI_ARCH, "os", "linux", "created", now,
		"builder", s->builder, "layers", (json_int_t)res->n_layers,
		"dropped", (json_int_t)res->dropped);

	json_object_set_new(meta, "origin", json_string(s->origin));
	set_text(meta, "tag", res->tag, sizeof(res->tag));
	set_text(meta, "image_digest", res->manifest, sizeof(res->manifest));
	/* "" is root to image builders; without a configuration it is agent */
	if (res->is_image && !res->config.user[0])
		memcpy(res->config.user, "root", 5);
	add_process(meta, &res->config);
	if (res->is_image)
		add_config(meta, &res->config);
	return meta;
}

/* The way back. */

static int take_text(const json_t *o, const char *key, char *dst, size_t size,
	struct err *err)
{
	const json_t *v = json_object_get(o, key);
	size_t len = json_string_length(v);

	if (!json_is_string(v))
		return 0;
	if (len >= size || strlen(json_string_value(v)) != len)
		return err_set(err, EBADMSG,
			"'%s' of the saved template is too long", key);
	memcpy(dst, json_string_value(v), len + 1);
	return 0;
}

static int take_list(const json_t *list, const char *what,
	struct oci_strings *s, char *text, size_t max, struct err *err)
{
	const json_t *it;
	size_t k;

	json_array_foreach (list, k, it)
		if (oci_strings_add(s, text, max, json_string_value(it)) < 0)
			return err_set(err, EBADMSG,
				"'%s' of the saved template is too large",
				what);
	return 0;
}

static int take_env(json_t *o, struct oci_config *c, struct err *err)
{
	const char *key;
	json_t *v;

	json_object_foreach (o, key, v) {
		const char *text = json_string_value(v);
		_cleanup_free_ char *pair =
			xasprintf("%s=%s", key, text ? text : "");

		if (oci_strings_add(&c->env, c->env_text, OCI_ENV_MAX, pair) <
			0)
			return err_set(err, EBADMSG,
				"the environment of the saved template is too "
				"large");
	}
	return 0;
}

static int take_config(
	const json_t *o, struct build_result *res, struct err *err)
{
	const json_t *config = json_object_get(o, "config");
	struct oci_config *c = &res->config;
	int r = 0;

	res->is_image = json_is_object(config);
	if (res->is_image)
		r = take_list(json_object_get(config, "entrypoint"),
			"entrypoint", &c->entrypoint, c->entrypoint_text,
			OCI_ARGV_MAX, err);
	if (r == 0 && res->is_image)
		r = take_list(json_object_get(config, "cmd"), "cmd", &c->cmd,
			c->cmd_text, OCI_ARGV_MAX, err);
	if (r == 0)
		r = take_list(json_object_get(o, "history"), "history",
			&c->history, c->history_text, OCI_HISTORY_MAX, err);
	return r;
}

static int take_texts(
	const json_t *o, struct build_result *res, struct err *err)
{
	struct oci_config *c = &res->config;
	const struct {
		const char *key;
		char *dst;
		size_t size;
	} texts[] = {
		{"digest", res->digest, sizeof(res->digest)},
		{"tag", res->tag, sizeof(res->tag)},
		{"image_digest", res->manifest, sizeof(res->manifest)},
		{"architecture", c->arch, sizeof(c->arch)},
		{"os", c->os, sizeof(c->os)},
		{"user", c->user, sizeof(c->user)},
		{"workdir", c->workdir, sizeof(c->workdir)},
		{"image_created", c->created, sizeof(c->created)},
	};
	int r = 0;

	for (size_t k = 0; k < ARRAY_SIZE(texts) && r == 0; k++)
		r = take_text(
			o, texts[k].key, texts[k].dst, texts[k].size, err);
	return r;
}

int build_unmeta(
	const void *p, size_t len, struct build_result *ret, struct err *err)
{
	_cleanup_(json_decrefp) json_t *o =
		json_loadb(p, len, JSON_REJECT_DUPLICATES, NULL);
	int r;

	if (!json_is_object(o))
		return err_set(err, EBADMSG,
			"the file holds no saved template: its description is "
			"no JSON");
	r = take_texts(o, ret, err);
	if (r == 0)
		r = take_env(json_object_get(o, "env"), &ret->config, err);
	if (r == 0)
		r = take_config(o, ret, err);
	if (r < 0)
		return r;
	if (!oci_is_hex(ret->digest))
		return err_set(err, EBADMSG,
			"the file holds no saved template: no digest");
	if (!streq(ret->config.arch, OCI_ARCH))
		return err_set(err, ENOEXEC,
			"the template is for '%s'; this host runs " OCI_ARCH,
			ret->config.arch);
	ret->n_layers =
		(uint32_t)json_integer_value(json_object_get(o, "layers"));
	ret->image.inodes =
		(uint64_t)json_integer_value(json_object_get(o, "entries"));
	ret->image.file_bytes =
		(uint64_t)json_integer_value(json_object_get(o, "file_bytes"));
	return 0;
}
