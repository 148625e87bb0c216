/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A provider of our own that hands on OpenSSL's default one, but for what TLS
 * has no use for. OpenSSL 3.0 looks at everything that there is, 38 decoders
 * and 18 kinds of keys, for each public key that it reads: five and eleven are
 * left, and a certificate is read in a third of the time.
 */
#include "tls/internal.h"

#include <openssl/core_dispatch.h>
#include <openssl/provider.h>
#include <string.h>

#define MAX_ALGORITHMS 16u

/* The first KEYS_SIGN stand in certificates. */
static const char *const keys[] = {"EC", "RSA", "RSA-PSS", "ED25519", "ED448",
	"X25519", "X448", "DH", "HMAC", "HKDF", "TLS1-PRF"};
#define KEYS_SIGN 5u

/* Of the process, made once, never freed. The tables end with an empty one. */
static OSSL_PROVIDER *whole;
static OSSL_ALGORITHM decoders[MAX_ALGORITHMS + 1];
static OSSL_ALGORITHM managers[MAX_ALGORITHMS + 1];

static bool is_one_of(const char *names, size_t n)
{
	size_t len = strcspn(names, ":");

	for (size_t i = 0; i < n; i++)
		if (strlen(keys[i]) == len && memcmp(keys[i], names, len) == 0)
			return true;
	return false;
}

static bool reads_keys(const OSSL_ALGORITHM *a)
{
	return is_one_of(a->algorithm_names, KEYS_SIGN) &&
		strstr(a->property_definition, "input=der") &&
		strstr(a->property_definition,
			"structure=SubjectPublicKeyInfo");
}

static bool manages_keys(const OSSL_ALGORITHM *a)
{
	return is_one_of(a->algorithm_names, ARRAY_SIZE(keys));
}

static bool keep(int operation, bool (*wanted)(const OSSL_ALGORITHM *a),
	OSSL_ALGORITHM *to)
{
	int no_cache;
	const OSSL_ALGORITHM *a =
		OSSL_PROVIDER_query_operation(whole, operation, &no_cache);
	size_t n = 0;

	for (; a && a->algorithm_names && n < MAX_ALGORITHMS; a++)
		if (wanted(a))
			to[n++] = *a;
	return n > 0;
}

static const OSSL_ALGORITHM *query(void *ctx, int operation, int *no_cache)
{
	*no_cache = 0;
	switch (operation) {
	case OSSL_OP_DECODER:
		return decoders;
	case OSSL_OP_KEYMGMT:
		return managers;
	case OSSL_OP_ENCODER:
	case OSSL_OP_STORE:
		return NULL;
	default:
		return OSSL_PROVIDER_query_operation(
			whole, operation, no_cache);
	}
}

static int capabilities(
	void *ctx, const char *which, OSSL_CALLBACK *cb, void *arg)
{
	return OSSL_PROVIDER_get_capabilities(whole, which, cb, arg);
}

static int init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in,
	const OSSL_DISPATCH **out, void **ctx)
{
	static const OSSL_DISPATCH ours[] = {
		{OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
		{OSSL_FUNC_PROVIDER_GET_CAPABILITIES,
			(void (*)(void))capabilities},
		{0, NULL}};

	/* The algorithms are the default provider's, and so is their state. */
	*ctx = OSSL_PROVIDER_get0_provider_ctx(whole);
	*out = ours;
	return 1;
}

static OSSL_LIB_CTX *make(void)
{
	OSSL_LIB_CTX *lib;

	whole = OSSL_PROVIDER_load(NULL, "default");
	if (!whole || !keep(OSSL_OP_DECODER, reads_keys, decoders) ||
		!keep(OSSL_OP_KEYMGMT, manages_keys, managers))
		return NULL;
	lib = OSSL_LIB_CTX_new();
	if (lib && OSSL_PROVIDER_add_builtin(lib, "lean", init) &&
		OSSL_PROVIDER_load(lib, "lean"))
		return lib;
	OSSL_LIB_CTX_free(lib);
	return NULL;
}

OSSL_LIB_CTX *tls_lean(void)
{
	static OSSL_LIB_CTX *lib;

	if (!lib)
		lib = make();
	return lib;
}
