/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest - SHA-256 by libcrypto. A digest is owned by its caller; any thread,
 * one at a time. Input is opaque bytes, so it may be hostile.
 */
#ifndef TLS_DIGEST_H
#define TLS_DIGEST_H

#include "base/util.h"

#define SHA256_LEN 32
#define SHA256_HEX 65 /* lower-case hex and NUL */

struct digest;

/* Aborts when libcrypto cannot make one (out of memory). */
struct digest *digest_new(void);
void digest_free(struct digest *d);
void digest_add(struct digest *d, const void *p, size_t len);
/* Ends the digest; only digest_free() may follow. */
void digest_hex(struct digest *d, char ret[SHA256_HEX]);

void digest_of(const void *p, size_t len, char ret[SHA256_HEX]);
/* The rest of the file from offset 0, by pread. 0 or -errno. */
int digest_of_fd(int fd, char ret[SHA256_HEX]);

static inline void digest_freep(struct digest **d)
{
	digest_free(*d);
}

#endif
