/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/fields.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int json_read(const void *p, size_t len, json_t **ret, struct err *err)
{
	json_error_t e;
	json_t *j;

	if (len > JSON_BODY_MAX)
		return err_set(err, E2BIG, "JSON body larger than %u bytes",
			JSON_BODY_MAX);
	j = json_loadb((const char *)p, len, JSON_REJECT_DUPLICATES, &e);
	if (!j)
		return err_set(err, EINVAL,
			"invalid JSON, line %d column %d: "
			"%.100s",
			e.line, e.column, e.text);
	*ret = j;
	return 0;
}

static int read_str(
	const struct field *f, json_t *v, char **dst, struct err *err)
{
	const char *s = json_string_value(v);
	size_t len = json_string_length(v);

	if (!s)
		return err_set(
			err, EINVAL, "field '%s' must be a string", f->name);
	if (strlen(s) != len)
		return err_set(err, EINVAL, "field '%s' holds a NUL", f->name);
	if (len > f->max || len < f->min)
		return err_set(err, EINVAL,
			"field '%s' must have %llu to %llu bytes", f->name,
			(unsigned long long)f->min, (unsigned long long)f->max);
	free(*dst);
	*dst = xstrdup(s);
	return 0;
}

static int read_uint(
	const struct field *f, json_t *v, uint64_t *ret, struct err *err)
{
	json_int_t i = json_integer_value(v);

	if (!json_is_integer(v))
		return err_set(
			err, EINVAL, "field '%s' must be an integer", f->name);
	if (i < 0 || (uint64_t)i < f->min || (uint64_t)i > f->max)
		return err_set(err, EINVAL,
			"field '%s' is %lld; possible: %llu to %llu", f->name,
			(long long)i, (unsigned long long)f->min,
			(unsigned long long)f->max);
	*ret = (uint64_t)i;
	return 0;
}

static int read_field(
	const struct field *f, json_t *v, char *dst, struct err *err)
{
	void *to = dst + f->offset;
	uint64_t u = 0;
	int r;

	switch (f->type) {
	case FIELD_STR:
		return read_str(f, v, (char **)to, err);
	case FIELD_U32:
		r = read_uint(f, v, &u, err);
		if (r == 0)
			*(uint32_t *)to = (uint32_t)u;
		return r;
	case FIELD_U64:
		r = read_uint(f, v, &u, err);
		if (r == 0)
			*(uint64_t *)to = u;
		return r;
	case FIELD_BOOL:
		if (!json_is_boolean(v))
			return err_set(err, EINVAL,
				"field '%s' must be true or false", f->name);
		*(bool *)to = json_is_true(v);
		return 0;
	case FIELD_JSON:
		if (json_typeof(v) != f->json)
			return err_set(err, EINVAL, "field '%s' must be %s",
				f->name,
				f->json == JSON_ARRAY ? "an array"
						      : "an object");
		*(json_t **)to = v;
		return 0;
	}
	return 0;
}

static const struct field *find(
	const struct field *table, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (streq(table[i].name, name))
			return &table[i];
	return NULL;
}

int fields_read(json_t *object, const struct field *table, size_t n, void *dst,
	struct err *err)
{
	const char *key;
	json_t *v;
	int r;

	if (!json_is_object(object))
		return err_set(err, EINVAL, "a JSON object is expected");
	json_object_foreach (object, key, v) {
		const struct field *f = find(table, n, key);

		if (!f)
			return err_set(
				err, EINVAL, "unknown field '%.60s'", key);
		if (json_is_null(v))
			continue;
		r = read_field(f, v, (char *)dst, err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < n; i++) {
		v = json_object_get(object, table[i].name);
		if (table[i].required && (!v || json_is_null(v)))
			return err_set(err, EINVAL, "field '%s' is missing",
				table[i].name);
	}
	return 0;
}

json_t *json_text(const char *s)
{
	json_t *j = json_string(s);
	_cleanup_free_ char *clean = NULL;

	if (j)
		return j;
	clean = xstrdup(s);
	for (char *c = clean; *c; c++)
		if ((uint8_t)*c >= 0x80)
			*c = '?';
	return json_string(clean);
}

void time_format(uint64_t real_ns, char *dst, size_t size)
{
	time_t sec = (time_t)(real_ns / 1000000000u);
	unsigned ms = (unsigned)(real_ns / 1000000u % 1000u);
	struct tm tm;
	char day[32];

	if (!gmtime_r(&sec, &tm) ||
		strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		day[0] = '\0';
	(void)snprintf(dst, size, "%s.%03uZ", day, ms);
}

json_t *json_time(uint64_t real_ns)
{
	char text[48];

	if (real_ns == 0)
		return json_null();
	time_format(real_ns, text, sizeof(text));
	return json_string(text);
}
