/* SPDX-License-Identifier: Apache-2.0 */
/*
 * opt - command line options from one table: the parser, --help, the man
 * page's option list and the completions all come from it.
 *
 * Long options "--name VALUE" or "--name=VALUE", short "-n VALUE", clustered
 * flags "-it"; "--" ends options; parsing stops at the first operand when the
 * table says so (run and exec: the rest belongs to the command inside).
 */
#ifndef BASE_OPT_H
#define BASE_OPT_H

#include "base/err.h"

enum opt_type {
	OPT_FLAG, /* bool */
	OPT_STR,  /* const char *, points into argv */
	OPT_STRS, /* struct opt_strs, repeatable */
	OPT_U32,  /* uint32_t within min..max */
	OPT_SIZE, /* uint64_t bytes: 512, 64k, 2g, 1.5GiB; within min..max */
	OPT_DURATION, /* uint64_t milliseconds: 10s, 5m, 2h, 1d, 500ms */
};

struct opt_strs {
	const char **v; /* heap array of borrowed strings */
	size_t n;
};

struct opt {
	const char *name; /* long name without dashes */
	char letter;      /* short name or 0 */
	enum opt_type type;
	size_t offset;     /* of the field in the options struct */
	const char *arg;   /* "SIZE"; NULL for flags */
	const char *help;  /* one line */
	uint64_t min, max; /* bounds for U32, SIZE, DURATION; max 0 = none */
	/* "dir", "file", "sandbox", or space-separated words */
	const char *complete;
};

/*
 * Parses argv[0..argc) (without the command's own name) into *dst. Operands
 * are left in order at argv[0..*ret_n). With stop_at_operand, the first
 * operand ends option parsing: all that follows is kept as it is, a "--" too.
 * Otherwise the first "--" is removed and its position reported in
 * *ret_dashdash (index into the operands, or -1). 0, or -EINVAL with text.
 */
int opt_parse(const struct opt *table, size_t n, void *dst, int argc,
	char **argv, bool stop_at_operand, int *ret_n, int *ret_dashdash,
	struct err *err);
void opt_strs_add(struct opt_strs *s, const char *value);
void opt_strs_done(struct opt_strs *s);

/* Whole-string parsers: 0 or -EINVAL/-ERANGE with text naming `what`. */
int parse_size(const char *s, uint64_t *ret_bytes, struct err *err);
int parse_duration(const char *s, uint64_t *ret_ms, struct err *err);
int parse_u64(const char *s, uint64_t *ret, struct err *err);
/* "1.5 GiB" into buf. */
const char *format_size(uint64_t bytes, char *buf, size_t len);

#endif
