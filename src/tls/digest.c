/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/digest.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>

#define CHUNK (256 * KIB)

struct digest {
	EVP_MD_CTX *md;
};

struct digest *digest_new(void)
{
	struct digest *d = xnew(struct digest);

	d->md = EVP_MD_CTX_new();
	if (!d->md || !EVP_DigestInit_ex(d->md, EVP_sha256(), NULL))
		abort();
	return d;
}

void digest_free(struct digest *d)
{
	if (!d)
		return;
	EVP_MD_CTX_free(d->md);
	free(d);
}

void digest_add(struct digest *d, const void *p, size_t len)
{
	if (!EVP_DigestUpdate(d->md, p, len))
		abort();
}

void digest_hex(struct digest *d, char ret[SHA256_HEX])
{
	static const char hex[] = "0123456789abcdef";
	uint8_t sum[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	if (!EVP_DigestFinal_ex(d->md, sum, &len))
		abort();
	assert(len == SHA256_LEN);
	for (unsigned int i = 0; i < len; i++) {
		ret[2 * i] = hex[sum[i] >> 4];
		ret[2 * i + 1] = hex[sum[i] & 15];
	}
	ret[2 * len] = '\0';
}

void digest_of(const void *p, size_t len, char ret[SHA256_HEX])
{
	_cleanup_(digest_freep) struct digest *d = digest_new();

	digest_add(d, p, len);
	digest_hex(d, ret);
}

int digest_of_fd(int fd, char ret[SHA256_HEX])
{
	_cleanup_(digest_freep) struct digest *d = digest_new();
	_cleanup_free_ uint8_t *chunk = xcalloc(1, CHUNK);
	off_t at = 0;

	for (;;) {
		ssize_t n = pread(fd, chunk, CHUNK, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		digest_add(d, chunk, (size_t)n);
		at += n;
	}
	digest_hex(d, ret);
	return 0;
}
