/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{"", 1},
	{"b", 1},
	{"k", KIB},
	{"kb", KIB},
	{"kib", KIB},
	{"m", MIB},
	{"mb", MIB},
	{"mib", MIB},
	{"g", GIB},
	{"gb", GIB},
	{"gib", GIB},
	{"t", 1024 * GIB},
	{"tb", 1024 * GIB},
	{"tib", 1024 * GIB},
};

static const struct unit time_units[] = {
	{"", 1000}, /* as docker stop -t: a bare number is seconds */
	{"ms", 1},
	{"s", 1000},
	{"m", 60 * 1000},
	{"h", 3600 * 1000},
	{"d", 24 * 3600 * 1000},
};

#define FRACTION_MAX 9 /* digits, so that fraction * 1 TiB fits 128 bits */

/* Digits from *s on, which must be at least one; moves *s behind them. */
static int take_digits(const char **s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!isdigit((unsigned char)**s))
		return -EINVAL;
	for (; isdigit((unsigned char)**s); (*s)++)
		if (!mul_ok(v, 10u, &v) ||
			!add_ok(v, (uint64_t)(**s - '0'), &v))
			return -ERANGE;
	*ret = v;
	return 0;
}

static int take_fraction(const char **s, uint64_t *ret_num, uint64_t *ret_den)
{
	uint64_t num = 0, den = 1;

	for (int n = 0; isdigit((unsigned char)**s); (*s)++, n++) {
		if (n == FRACTION_MAX)
			return -EINVAL;
		num = num * 10 + (uint64_t)(**s - '0');
		den *= 10;
	}
	if (den == 1)
		return -EINVAL;
	*ret_num = num;
	*ret_den = den;
	return 0;
}

static int parse_scaled(
	const char *s, const struct unit *units, size_t n, uint64_t *ret)
{
	uint64_t whole, num = 0, den = 1, v;
	int r = take_digits(&s, &whole);

	if (r == 0 && *s == '.') {
		s++;
		r = take_fraction(&s, &num, &den);
	}
	if (r < 0)
		return r;
	while (*s == ' ')
		s++;
	for (size_t i = 0; i < n; i++) {
		if (strcasecmp(s, units[i].name) != 0)
			continue;
		num = (uint64_t)((unsigned __int128)num * units[i].factor /
			den);
		if (!mul_ok(whole, units[i].factor, &v) || !add_ok(v, num, &v))
			return -ERANGE;
		*ret = v;
		return 0;
	}
	return -EINVAL;
}

static int number_err(struct err *err, int r, const char *s, const char *what)
{
	if (r == -ERANGE)
		return err_set(err, ERANGE, "'%s' is too large", s);
	return err_set(err, EINVAL, "'%s' is not %s", s, what);
}

int parse_size(const char *s, uint64_t *ret_bytes, struct err *err)
{
	int r = parse_scaled(s, size_units, ARRAY_SIZE(size_units), ret_bytes);

	if (r < 0)
		return number_err(err, r, s, "a size such as 512m or 1.5g");
	return 0;
}

int parse_duration(const char *s, uint64_t *ret_ms, struct err *err)
{
	int r = parse_scaled(s, time_units, ARRAY_SIZE(time_units), ret_ms);

	if (r < 0)
		return number_err(err, r, s,
			"a duration such as 500ms, 10s, 5m, 2h or 1d");
	return 0;
}

int parse_u64(const char *s, uint64_t *ret, struct err *err)
{
	const char *p = s;
	uint64_t v = 0;
	int r = take_digits(&p, &v);

	if (r == 0 && *p)
		r = -EINVAL;
	if (r < 0)
		return number_err(err, r, s, "a whole number");
	*ret = v;
	return 0;
}

const char *format_size(uint64_t bytes, char *buf, size_t len)
{
	static const char *const names[] = {
		"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned int i = 0;
	uint64_t tenths;

	if (bytes < KIB) {
		snprintf(buf, len, "%" PRIu64 " B", bytes);
		return buf;
	}
	while (i + 1 < ARRAY_SIZE(names) && bytes >> (10 * (i + 2)))
		i++;
	tenths = (uint64_t)(((unsigned __int128)bytes * 10 +
				    ((uint64_t)1 << (10 * i + 9))) >>
		(10 * (i + 1)));
	/* Rounding may arrive at the next unit: 1 GiB, not 1024 MiB. */
	if (tenths == 10 * KIB && i + 1 < ARRAY_SIZE(names)) {
		tenths = 10;
		i++;
	}
	if (tenths % 10)
		snprintf(buf, len, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10,
			tenths % 10, names[i]);
	else
		snprintf(buf, len, "%" PRIu64 " %s", tenths / 10, names[i]);
	return buf;
}

void opt_strs_add(struct opt_strs *s, const char *value)
{
	s->v = xrealloc(s->v, s->n + 1, sizeof(*s->v));
	s->v[s->n++] = value;
}

void opt_strs_done(struct opt_strs *s)
{
	free(s->v);
	*s = (struct opt_strs){0};
}

/* What is being parsed; the operands gather at argv[0..n_operands). */
struct parse {
	const struct opt *table;
	size_t n;
	char *dst;
	int argc, at;
	char **argv;
	struct err *err;
};

static const struct opt *find_long(
	const struct parse *p, const char *name, size_t len)
{
	for (size_t i = 0; i < p->n; i++)
		if (strlen(p->table[i].name) == len &&
			memcmp(p->table[i].name, name, len) == 0)
			return &p->table[i];
	return NULL;
}

static const struct opt *find_letter(const struct parse *p, char letter)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->table[i].letter && p->table[i].letter == letter)
			return &p->table[i];
	return NULL;
}

static int out_of_range(
	const struct parse *p, const struct opt *o, const char *value)
{
	char lo[64], hi[64];

	if (o->type == OPT_SIZE) {
		format_size(o->min, lo, sizeof(lo));
		format_size(o->max, hi, sizeof(hi));
	} else {
		const char *unit = o->type == OPT_DURATION ? " ms" : "";

		snprintf(lo, sizeof(lo), "%" PRIu64 "%s", o->min, unit);
		snprintf(hi, sizeof(hi), "%" PRIu64 "%s", o->max, unit);
	}
	if (!o->max)
		return err_set(p->err, EINVAL, "--%s: '%s' is less than %s",
			o->name, value, lo);
	return err_set(p->err, EINVAL, "--%s: '%s' is out of range (%s to %s)",
		o->name, value, lo, hi);
}

static int store_number(
	const struct parse *p, const struct opt *o, const char *value)
{
	uint64_t v;
	int r;

	if (o->type == OPT_SIZE)
		r = parse_size(value, &v, p->err);
	else if (o->type == OPT_DURATION)
		r = parse_duration(value, &v, p->err);
	else
		r = parse_u64(value, &v, p->err);
	if (r == -ERANGE && o->max)
		return out_of_range(p, o, value);
	if (r < 0) {
		err_wrap(p->err, "--%s", o->name);
		return -EINVAL;
	}
	if (v < o->min || (o->max && v > o->max))
		return out_of_range(p, o, value);
	if (o->type == OPT_U32 && v > UINT32_MAX)
		return err_set(p->err, EINVAL, "--%s: '%s' is too large",
			o->name, value);
	if (o->type == OPT_U32)
		*(uint32_t *)(void *)(p->dst + o->offset) = (uint32_t)v;
	else
		*(uint64_t *)(void *)(p->dst + o->offset) = v;
	return 0;
}

static int store(const struct parse *p, const struct opt *o, const char *value)
{
	void *field = p->dst + o->offset;

	switch (o->type) {
	case OPT_FLAG:
		*(bool *)field = true;
		return 0;
	case OPT_STR:
		*(const char **)field = value;
		return 0;
	case OPT_STRS:
		opt_strs_add(field, value);
		return 0;
	case OPT_U32:
	case OPT_SIZE:
	case OPT_DURATION:
		return store_number(p, o, value);
	}
	assert(false);
	return -EINVAL;
}

/* The value is in the same word or else the next word, whatever it is. */
static int take_value(struct parse *p, const struct opt *o, const char *value)
{
	if (!value) {
		if (p->at == p->argc)
			return err_set(p->err, EINVAL,
				"--%s needs a value (%s)", o->name,
				o->arg ? o->arg : "VALUE");
		value = p->argv[p->at++];
	}
	return store(p, o, value);
}

static int parse_long(struct parse *p, const char *word)
{
	const char *eq = strchr(word, '=');
	size_t len = eq ? (size_t)(eq - word) : strlen(word);
	const struct opt *o = find_long(p, word, len);

	if (!o)
		return err_set(p->err, EINVAL, "unknown option --%.*s",
			(int)MIN(len, (size_t)64), word);
	if (o->type != OPT_FLAG)
		return take_value(p, o, eq ? eq + 1 : NULL);
	if (eq)
		return err_set(p->err, EINVAL, "--%s takes no value", o->name);
	return store(p, o, NULL);
}

static int parse_cluster(struct parse *p, const char *letters)
{
	while (*letters) {
		const struct opt *o = find_letter(p, *letters);
		int r;

		if (!o)
			return err_set(p->err, EINVAL, "unknown option -%c",
				isprint((unsigned char)*letters) ? *letters
								 : '?');
		letters++;
		if (o->type != OPT_FLAG)
			return take_value(p, o, *letters ? letters : NULL);
		r = store(p, o, NULL);
		if (r < 0)
			return r;
	}
	return 0;
}

int opt_parse(const struct opt *table, size_t n, void *dst, int argc,
	char **argv, bool stop_at_operand, int *ret_n, int *ret_dashdash,
	struct err *err)
{
	struct parse p = {.table = table,
		.n = n,
		.dst = dst,
		.argc = argc,
		.argv = argv,
		.err = err};
	int n_operands = 0, dashdash = -1;
	bool verbatim = false;

	while (p.at < argc) {
		char *word = argv[p.at++];
		int r = 0;

		if (!verbatim && streq(word, "--")) {
			dashdash = n_operands;
			verbatim = true;
		} else if (verbatim || word[0] != '-' || !word[1]) {
			argv[n_operands++] = word;
			verbatim = verbatim || stop_at_operand;
		} else if (word[1] == '-') {
			r = parse_long(&p, word + 2);
		} else {
			r = parse_cluster(&p, word + 1);
		}
		if (r < 0)
			return r;
	}
	*ret_n = n_operands;
	*ret_dashdash = dashdash;
	return 0;
}
