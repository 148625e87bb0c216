/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A provider of our own that hands on OpenSSL's default one, but for what TLS
 * has no use for. For each public key that it reads OpenSSL 3.0 looks at all 38
 * decoders, of which five are left here, and at every algorithm that it knows,
 * of any kind, 47 in place of 209. A certificate is read in a third of the time.
 */
#include "tls/internal.h"

#include <openssl/core_dispatch.h>
#include <openssl/provider.h>
#include <string.h>

/* By the first of their names. Random numbers take AES-256 in ECB and CTR. */
static const char *const digests[] = {"SHA1", "SHA2-224", "SHA2-256",
	"SHA2-384", "SHA2-512", "MD5", "MD5-SHA1", NULL};
static const char *const ciphers[] = {"NULL", "AES-256-ECB", "AES-256-CTR",
	"AES-128-GCM", "AES-256-GCM", "AES-128-CCM", "AES-256-CCM",
	"AES-128-CBC", "AES-256-CBC", "AES-128-CBC-HMAC-SHA1",
	"AES-256-CBC-HMAC-SHA1", "AES-128-CBC-HMAC-SHA256",
	"AES-256-CBC-HMAC-SHA256", "ChaCha20-Poly1305", NULL};
static const char *const macs[] = {"HMAC", NULL};
static const char *const kdfs[] = {"HKDF", "TLS13-KDF", "TLS1-PRF", NULL};
static const char *const keys[] = {"EC", "RSA", "RSA-PSS", "ED25519", "ED448",
	"X25519", "DH", "HMAC", NULL};
static const char *const exchanges[] = {"ECDH", "X25519", "DH", NULL};
static const char *const signatures[] = {
	"ECDSA", "RSA", "ED25519", "ED448", "HMAC", NULL};
static const char *const encryption[] = {"RSA", NULL}; /* until TLS 1.2 */
/* What stands in certificates. */
static const char *const read_keys[] = {
	"EC", "RSA", "RSA-PSS", "ED25519", "ED448", NULL};

#define MAX_ALGORITHMS 16u

/* Of the process, filled once; each table ends with an empty entry. */
static struct {
	int operation;
	const char *const *names;
	OSSL_ALGORITHM kept[MAX_ALGORITHMS + 1];
} kinds[] = {
	{OSSL_OP_DIGEST, digests, {{0}}},
	{OSSL_OP_CIPHER, ciphers, {{0}}},
	{OSSL_OP_MAC, macs, {{0}}},
	{OSSL_OP_KDF, kdfs, {{0}}},
	{OSSL_OP_KEYMGMT, keys, {{0}}},
	{OSSL_OP_KEYEXCH, exchanges, {{0}}},
	{OSSL_OP_SIGNATURE, signatures, {{0}}},
	{OSSL_OP_ASYM_CIPHER, encryption, {{0}}},
	{OSSL_OP_DECODER, read_keys, {{0}}},
};
static OSSL_PROVIDER *whole; /* never freed */

static bool is_one_of(const char *const *names, const char *all)
{
	size_t len = strcspn(all, ":");

	for (; *names; names++)
		if (strlen(*names) == len && memcmp(*names, all, len) == 0)
			return true;
	return false;
}

static bool reads_der(const OSSL_ALGORITHM *a)
{
	return strstr(a->property_definition, "input=der") &&
		strstr(a->property_definition,
			"structure=SubjectPublicKeyInfo");
}

static bool fill_tables(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		int no_cache, operation = kinds[i].operation;
		const OSSL_ALGORITHM *a = OSSL_PROVIDER_query_operation(
			whole, operation, &no_cache);
		size_t n = 0;

		for (; a && a->algorithm_names; a++) {
			if (!is_one_of(kinds[i].names, a->algorithm_names) ||
				(operation == OSSL_OP_DECODER && !reads_der(a)))
				continue;
			if (n == MAX_ALGORITHMS)
				return false;
			kinds[i].kept[n++] = *a;
		}
		if (n == 0)
			return false;
	}
	return true;
}

static const OSSL_ALGORITHM *query(void *ctx, int operation, int *no_cache)
{
	*no_cache = 0;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].operation == operation)
			return kinds[i].kept;
	/* The sources of random numbers. */
	return operation == OSSL_OP_RAND
		? OSSL_PROVIDER_query_operation(whole, operation, no_cache)
		: NULL;
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

static bool load_lean(OSSL_LIB_CTX *lib)
{
	return lib && OSSL_PROVIDER_add_builtin(lib, "lean", init) &&
		OSSL_PROVIDER_load(lib, "lean");
}

/*
 * The default provider's random numbers ask, in its own context, for a cipher of
 * the provider that they were taken from (OpenSSL 3.5): ours is there as well.
 */
static OSSL_LIB_CTX *make(void)
{
	OSSL_LIB_CTX *back = OSSL_LIB_CTX_new(), *lib = OSSL_LIB_CTX_new();

	whole = back ? OSSL_PROVIDER_load(back, "default") : NULL;
	if (whole && fill_tables() && load_lean(back) && load_lean(lib))
		return lib;
	OSSL_LIB_CTX_free(lib);
	OSSL_LIB_CTX_free(back);
	return NULL;
}

OSSL_LIB_CTX *tls_lean(void)
{
	static OSSL_LIB_CTX *lib;

	if (!lib)
		lib = make();
	return lib;
}
