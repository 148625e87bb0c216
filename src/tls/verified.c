/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/internal.h"

#include <openssl/x509_vfy.h>
#include <string.h>

#define CHAINS 64u

struct known {
	uint8_t key[SHA256_LEN];
	time_t until;
};

struct verified {
	struct known known[CHAINS]; /* a hash table, one chain for each slot */
};

struct verified *verified_new(void)
{
	return xnew(struct verified);
}

void verified_free(struct verified *v)
{
	free(v);
}

/* DER ends by itself, so one certificate after the other is one text. */
static bool key_of(STACK_OF(X509) * sent, uint8_t ret[SHA256_LEN])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;

	for (int i = 0; ok && i < sk_X509_num(sent); i++) {
		uint8_t *der = NULL;
		int n = i2d_X509(sk_X509_value(sent, i), &der);

		ok = n > 0 && EVP_DigestUpdate(ctx, der, (size_t)n) == 1;
		OPENSSL_free(der);
	}
	ok = ok && EVP_DigestFinal_ex(ctx, ret, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

/* How long what was verified here holds: no certificate ends before. */
static time_t good_until(STACK_OF(X509) * chain)
{
	time_t until = time(NULL) + VERIFIED_S;

	for (int i = 0; i < sk_X509_num(chain); i++)
		if (X509_cmp_time(X509_get0_notAfter(sk_X509_value(chain, i)),
			    &until) <= 0)
			return 0;
	return sk_X509_num(chain) > 0 ? until : 0;
}

bool verified_check(struct verified *v, X509_STORE_CTX *ctx, const char *name,
	time_t *ret_until)
{
	STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(ctx);
	uint8_t key[SHA256_LEN] = {0};
	bool keyed = key_of(sent, key);
	struct known *s = &v->known[key[0] % CHAINS];

	*ret_until = 0;
	if (keyed && time(NULL) < s->until &&
		memcmp(s->key, key, sizeof(key)) == 0) {
		*ret_until = s->until;
		if (X509_check_host(X509_STORE_CTX_get0_cert(ctx), name,
			    strlen(name), TLS_HOST_FLAGS, NULL) == 1)
			return true;
		X509_STORE_CTX_set_error(ctx, X509_V_ERR_HOSTNAME_MISMATCH);
		return false;
	}
	if (X509_verify_cert(ctx) != 1)
		return false;
	*ret_until = good_until(X509_STORE_CTX_get0_chain(ctx));
	memcpy(s->key, key, sizeof(key));
	s->until = keyed ? *ret_until : 0;
	return true;
}
