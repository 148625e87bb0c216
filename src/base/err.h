/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err - why an operation was refused, in words for the user: what failed, on
 * what, and what to do next. A small value owned by the caller; it never
 * allocates and may be NULL everywhere. Set once, where the failure happens;
 * callers may only prefix.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/util.h"

#define ERR_TEXT_MAX 512

struct err {
	int code; /* a positive errno, 0 while nothing failed */
	char text[ERR_TEXT_MAX];
};

/* Both return -code; code must be positive. */
int err_set(struct err *err, int code, const char *fmt, ...) _printf_(3, 4);
/* As err_set, with ": <strerror(code)>" appended. */
int err_sys(struct err *err, int code, const char *fmt, ...) _printf_(3, 4);
/* Puts "<prefix>: " before the text; returns -err->code. */
int err_wrap(struct err *err, const char *fmt, ...) _printf_(2, 3);

#endif
