/* SPDX-License-Identifier: Apache-2.0 */
/*
 * util - the few words every file uses: scope cleanup, ownership transfer,
 * checked arithmetic, allocation that cannot fail. No state, any thread.
 */
#ifndef BASE_UTIL_H
#define BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define KIB 1024ull
#define MIB (1024ull * KIB)
#define GIB (1024ull * MIB)

#define container_of(ptr, type, member) \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define add_ok(a, b, ret) (!__builtin_add_overflow(a, b, ret))
#define mul_ok(a, b, ret) (!__builtin_mul_overflow(a, b, ret))

/* Scope cleanup: define and assign in one statement. */
#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)

#define _printf_(fmt, first) __attribute__((format(printf, fmt, first)))
#define _never_null_ __attribute__((returns_nonnull))
#define _nodiscard_ __attribute__((warn_unused_result))

/* Moves ownership out of a cleanup variable. */
#define TAKE_PTR(p)                     \
	({                              \
		typeof(p) taken_ = (p); \
		(p) = NULL;             \
		taken_;                 \
	})
#define TAKE_FD(fd)                \
	({                         \
		int taken_ = (fd); \
		(fd) = -1;         \
		taken_;            \
	})

static inline void freep(void *p)
{
	free(*(void **)p);
}

/* Closes *fd if it is open; keeps errno. */
void closep(int *fd);

/*
 * These abort on exhaustion: sizes from outside are bounded before they get
 * here. The caller owns the result.
 */
void *xcalloc(size_t n, size_t size) _never_null_;
void *xrealloc(void *p, size_t n, size_t size) _never_null_;
char *xstrdup(const char *s) _never_null_;
char *xstrndup(const char *s, size_t len) _never_null_;
char *xasprintf(const char *fmt, ...) _printf_(1, 2) _never_null_;

#define xnew(type) ((type *)xcalloc(1, sizeof(type)))

/* Milliseconds of CLOCK_MONOTONIC; nanoseconds of CLOCK_REALTIME. */
uint64_t now_ms(void);
uint64_t now_real_ns(void);

static inline bool streq(const char *a, const char *b)
{
	return __builtin_strcmp(a, b) == 0;
}

#endif
