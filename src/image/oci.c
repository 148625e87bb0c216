/* SPDX-License-Identifier: Apache-2.0 */
#include "image/oci.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define HISTORY_LINE 160

bool oci_is_hex(const char *s)
{
	return strlen(s) == OCI_HEX - 1 &&
		strspn(s, "0123456789abcdef") == OCI_HEX - 1;
}

bool oci_digest(const char *s, char ret[OCI_HEX])
{
	if (!s || strncmp(s, "sha256:", 7) != 0 || !oci_is_hex(s + 7))
		return false;
	memcpy(ret, s + 7, OCI_HEX);
	return true;
}

static int parse(const void *p, size_t len, const char *what, json_t **ret,
	struct err *err)
{
	json_error_t why;

	if (len > OCI_JSON_MAX)
		return err_set(err, EFBIG, "the image's %s is too large", what);
	*ret = json_loadb(p, len, JSON_REJECT_DUPLICATES, &why);
	if (!*ret)
		return err_set(err, EBADMSG,
			"the image's %s is no JSON: line %d: %.100s", what,
			why.line, why.text);
	return 0;
}

/* A string without NUL inside, or NULL. */
static const char *str(const json_t *v)
{
	const char *s = json_string_value(v);

	return s && strlen(s) == json_string_length(v) ? s : NULL;
}

static const char *get(const json_t *o, const char *key)
{
	return str(json_object_get(o, key));
}

/* Absent is "". */
static int copy(const json_t *o, const char *key, char *dst, size_t size,
	struct err *err)
{
	const char *s = get(o, key);

	if (s && strlen(s) >= size)
		return err_set(err, EFBIG,
			"the image's '%s' is longer than %zu bytes", key,
			size - 1);
	memcpy(dst, s ? s : "", s ? strlen(s) + 1 : 1);
	return 0;
}

static int take_blob(const json_t *v, struct oci_blob *ret, struct err *err)
{
	json_int_t size = json_integer_value(json_object_get(v, "size"));

	if (!oci_digest(get(v, "digest"), ret->hex) || size < 0)
		return err_set(err, EBADMSG,
			"the image's manifest names something by another "
			"digest than SHA-256");
	ret->size = (uint64_t)size;
	return 0;
}

/* Names of an entry of an index: Docker's and the specification's. */
static bool has_name(const json_t *entry, const char *want)
{
	static const char *const keys[] = {"org.opencontainers.image.ref.name",
		"io.containerd.image.name"};
	const json_t *a = json_object_get(entry, "annotations");

	for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
		const char *s = get(a, keys[k]);

		if (s && streq(s, want))
			return true;
	}
	return false;
}

/* Without a platform it is taken: the image's configuration tells. */
static bool fits(const json_t *entry, const char **ret_other)
{
	const json_t *p = json_object_get(entry, "platform");
	const char *arch = get(p, "architecture"), *os = get(p, "os");

	if (arch && !streq(arch, OCI_ARCH) && !streq(arch, "unknown"))
		*ret_other = arch;
	return !p ||
		(arch && streq(arch, OCI_ARCH) && os && streq(os, "linux"));
}

static int pick(const json_t *list, const char *want, struct oci_doc *d,
	struct err *err)
{
	const json_t *found = NULL, *it;
	const char *other = NULL;
	size_t k, n = 0;

	json_array_foreach (list, k, it) {
		if ((*want && !has_name(it, want)) || !fits(it, &other))
			continue;
		n++;
		if (!found)
			found = it;
	}
	if (!found && other)
		return err_set(err, ENOEXEC,
			"the image is for %.40s; this host runs " OCI_ARCH,
			other);
	if (!found && *want)
		return err_set(err, ENOENT,
			"the archive has no image named '%.100s'", want);
	if (!found)
		return err_set(err, EBADMSG,
			"the image's index names no image for " OCI_ARCH);
	if (n > 1 && !json_object_get(found, "platform"))
		return err_set(err, EINVAL,
			"the archive holds %zu images; choose one with --image "
			"NAME",
			n);
	return take_blob(found, &d->pick, err);
}

static int take_layers(const json_t *list, struct oci_doc *d, struct err *err)
{
	size_t n = json_array_size(list);
	int r = 0;

	if (!json_is_array(list) || n > OCI_LAYERS_MAX)
		return err_set(err, EBADMSG,
			"the image has no list of layers, or more than %u",
			OCI_LAYERS_MAX);
	for (size_t k = 0; k < n && r == 0; k++)
		r = take_blob(json_array_get(list, k), &d->layers[k], err);
	d->n_layers = (uint32_t)n;
	return r;
}

int oci_doc_parse(const void *p, size_t len, const char *want,
	struct oci_doc *ret, struct err *err)
{
	_cleanup_(json_decrefp) json_t *o = NULL;
	const json_t *list;
	int r = parse(p, len, "manifest", &o, err);

	if (r < 0)
		return r;
	memset(ret, 0, sizeof(*ret));
	list = json_object_get(o, "manifests");
	if (json_is_array(list)) {
		ret->kind = OCI_INDEX;
		return pick(list, want, ret, err);
	}
	ret->kind = OCI_MANIFEST;
	if (!json_object_get(o, "config"))
		return err_set(err, EBADMSG,
			"the image's manifest is of a kind that is not known "
			"(schema 1 is too old)");
	r = take_blob(json_object_get(o, "config"), &ret->config, err);
	return r < 0 ? r : take_layers(json_object_get(o, "layers"), ret, err);
}

/* docker save. */

static bool tagged(const json_t *image, const char *want)
{
	const json_t *it, *tags = json_object_get(image, "RepoTags");
	size_t k;

	json_array_foreach (tags, k, it) {
		const char *s = str(it);

		if (s && streq(s, want))
			return true;
	}
	return false;
}

static int find_saved(const json_t *list, const char *want, const json_t **ret,
	struct err *err)
{
	const json_t *it;
	size_t k;

	if (!json_is_array(list) || json_array_size(list) == 0)
		return err_set(err, EBADMSG,
			"manifest.json of the archive lists no image");
	if (!*want && json_array_size(list) > 1)
		return err_set(err, EINVAL,
			"the archive holds %zu images; choose one with --image "
			"NAME:TAG",
			json_array_size(list));
	json_array_foreach (list, k, it) {
		if (*want && !tagged(it, want))
			continue;
		*ret = it;
		return 0;
	}
	return err_set(
		err, ENOENT, "the archive has no image named '%.100s'", want);
}

static int copy_name(const char *s, char dst[OCI_NAME_MAX], struct err *err)
{
	if (!s || !*s || strlen(s) >= OCI_NAME_MAX)
		return err_set(err, EBADMSG,
			"manifest.json of the archive has a bad file name");
	memcpy(dst, s, strlen(s) + 1);
	return 0;
}

int oci_saved_parse(const void *p, size_t len, const char *want,
	struct oci_saved *ret, struct err *err)
{
	_cleanup_(json_decrefp) json_t *o = NULL;
	const json_t *image = NULL, *layers;
	const char *tag;
	size_t n;
	int r = parse(p, len, "manifest.json", &o, err);

	if (r == 0)
		r = find_saved(o, want, &image, err);
	if (r < 0)
		return r;
	memset(ret, 0, sizeof(*ret));
	layers = json_object_get(image, "Layers");
	n = json_array_size(layers);
	if (!json_is_array(layers) || n > OCI_LAYERS_MAX)
		return err_set(err, EBADMSG,
			"the image has no list of layers, or more than %u",
			OCI_LAYERS_MAX);
	tag = str(json_array_get(json_object_get(image, "RepoTags"), 0));
	if (tag && strlen(tag) < sizeof(ret->tag))
		memcpy(ret->tag, tag, strlen(tag) + 1);
	r = copy_name(get(image, "Config"), ret->config, err);
	for (size_t k = 0; k < n && r == 0; k++)
		r = copy_name(
			str(json_array_get(layers, k)), ret->layers[k], err);
	ret->n_layers = (uint32_t)n;
	return r;
}

/* Configurations. */

int oci_strings_add(
	struct oci_strings *s, char *text, size_t max, const char *value)
{
	size_t len = value ? strlen(value) + 1 : 0;

	if (!len || s->len + len > max)
		return -EFBIG;
	memcpy(text + s->len, value, len);
	s->len += (uint32_t)len;
	s->n++;
	return 0;
}

static int add_list(const json_t *config, const char *key,
	struct oci_strings *s, char *text, size_t max, struct err *err)
{
	const json_t *it, *list = json_object_get(config, key);
	size_t k;

	json_array_foreach (list, k, it) {
		const char *value = str(it);

		if (!value)
			return err_set(err, EBADMSG,
				"the image's '%s' is no list of strings", key);
		if (oci_strings_add(s, text, max, value) < 0)
			return err_set(err, EFBIG,
				"the image's '%s' is larger than %zu bytes",
				key, max);
	}
	return 0;
}

/* One line a layer; what does not fit is of no use to anybody. */
static void add_history(const json_t *list, struct oci_config *c)
{
	char line[HISTORY_LINE];
	const json_t *it;
	size_t k;

	json_array_foreach (list, k, it) {
		const char *by = get(it, "created_by");

		if (!by)
			continue;
		(void)snprintf(line, sizeof(line), "%s", by);
		/* never in the middle of a character */
		for (size_t n = strlen(line);
			n > 0 && by[n] && ((uint8_t)by[n] & 0xc0) == 0x80;
			line[--n] = '\0')
			;
		if (oci_strings_add(&c->history, c->history_text,
			    OCI_HISTORY_MAX, line) < 0)
			return;
	}
}

static int take_diffs(const json_t *o, struct oci_diffs *ret, struct err *err)
{
	const json_t *list =
		json_object_get(json_object_get(o, "rootfs"), "diff_ids");
	size_t n = json_array_size(list);

	if (!json_is_array(list) || n > OCI_LAYERS_MAX)
		return err_set(err, EBADMSG,
			"the image's configuration lists no layers, or too "
			"many");
	for (size_t k = 0; k < n; k++)
		if (!oci_digest(str(json_array_get(list, k)), ret->hex[k]))
			return err_set(err, EBADMSG,
				"the image's configuration has a digest that "
				"is no SHA-256");
	ret->n = (uint32_t)n;
	return 0;
}

static int check_platform(const struct oci_config *c, struct err *err)
{
	if (!streq(c->os, "linux"))
		return err_set(err, ENOEXEC,
			"the image is for '%s'; sandboxes run Linux", c->os);
	if (!streq(c->arch, OCI_ARCH))
		return err_set(err, ENOEXEC,
			"the image is for %s; this host runs " OCI_ARCH,
			c->arch);
	return 0;
}

static int take_config(const json_t *o, struct oci_config *c, struct err *err)
{
	const json_t *run = json_object_get(o, "config");
	int r = copy(run, "User", c->user, sizeof(c->user), err);

	if (r == 0)
		r = copy(
			run, "WorkingDir", c->workdir, sizeof(c->workdir), err);
	if (r == 0)
		r = add_list(
			run, "Env", &c->env, c->env_text, OCI_ENV_MAX, err);
	if (r == 0)
		r = add_list(run, "Entrypoint", &c->entrypoint,
			c->entrypoint_text, OCI_ARGV_MAX, err);
	if (r == 0)
		r = add_list(
			run, "Cmd", &c->cmd, c->cmd_text, OCI_ARGV_MAX, err);
	return r;
}

int oci_config_parse(const void *p, size_t len, struct oci_config *ret,
	struct oci_diffs *ret_diffs, struct err *err)
{
	_cleanup_(json_decrefp) json_t *o = NULL;
	int r = parse(p, len, "configuration", &o, err);

	if (r < 0)
		return r;
	memset(ret, 0, sizeof(*ret));
	memset(ret_diffs, 0, sizeof(*ret_diffs));
	r = copy(o, "architecture", ret->arch, sizeof(ret->arch), err);
	if (r == 0)
		r = copy(o, "os", ret->os, sizeof(ret->os), err);
	if (r == 0)
		r = check_platform(ret, err);
	if (r == 0)
		r = copy(o, "created", ret->created, sizeof(ret->created), err);
	if (r == 0)
		r = take_config(o, ret, err);
	if (r == 0)
		r = take_diffs(o, ret_diffs, err);
	if (r == 0)
		add_history(json_object_get(o, "history"), ret);
	return r;
}

const char *oci_strings_next(
	const struct oci_strings *s, const char *text, size_t max, uint32_t *at)
{
	const char *now = text + *at;
	size_t left;

	if (s->len > max || *at >= s->len)
		return NULL;
	left = s->len - *at;
	if (strnlen(now, left) == left)
		return NULL;
	*at += (uint32_t)strlen(now) + 1;
	return now;
}

int oci_token_parse(
	const void *p, size_t len, char ret[OCI_TOKEN_MAX], struct err *err)
{
	_cleanup_(json_decrefp) json_t *o = NULL;
	const char *token;
	int r = parse(p, len, "token", &o, err);

	if (r < 0)
		return r;
	token = get(o, "token");
	token = token ? token : get(o, "access_token");
	if (!token || !*token || strlen(token) >= OCI_TOKEN_MAX ||
		strpbrk(token, "\r\n"))
		return err_set(err, EBADMSG,
			"the registry's token server gave no token");
	memcpy(ret, token, strlen(token) + 1);
	return 0;
}
