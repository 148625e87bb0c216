/* SPDX-License-Identifier: Apache-2.0 */
/* For leaf_key_new() only. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "tls/internal.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY 86400L

struct leaf {
	char *name;
	X509 *cert;
	time_t until; /* a new one is made after it */
};

struct ca {
	EVP_PKEY *key;
	X509 *cert;
	EVP_PKEY *leaf_key;
	STACK_OF(X509_EXTENSION) * same;   /* what all leaves say */
	struct leaf leaves[CA_LEAVES_MAX]; /* a hash table, one for each slot */
};

int tls_err(struct err *err, int code, const char *what)
{
	unsigned long e = ERR_get_error();
	const char *reason = e ? ERR_reason_error_string(e) : NULL;

	ERR_clear_error();
	return err_set(err, code, "%s: %s", what, reason ? reason : "failed");
}

static void bio_free(BIO **b)
{
	BIO_free(*b);
}

static void x509_free(X509 **x)
{
	X509_free(*x);
}

static void key_free(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

void ca_text_free(struct ca_text *t)
{
	if (t->key)
		explicit_bzero(t->key, strlen(t->key));
	free(t->key);
	free(t->cert);
	*t = (struct ca_text){NULL, NULL};
}

/* ---- certificates ---- */

struct extension {
	int nid;
	const char *value;
};

static int add_extensions(
	X509 *x, X509 *issuer, const struct extension *e, size_t n)
{
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	for (size_t i = 0; i < n; i++) {
		X509_EXTENSION *ext =
			X509V3_EXT_conf_nid(NULL, &ctx, e[i].nid, e[i].value);
		int ok = ext && X509_add_ext(x, ext, -1);

		X509_EXTENSION_free(ext);
		if (!ok)
			return -EINVAL;
	}
	return 0;
}

/* Those of a leaf that do not depend on its name. */
static STACK_OF(X509_EXTENSION) * same_extensions(struct ca *ca)
{
	static const struct extension e[] = {
		{NID_basic_constraints, "critical,CA:FALSE"},
		{NID_key_usage, "critical,digitalSignature"},
		{NID_ext_key_usage, "serverAuth"},
		{NID_subject_key_identifier, "hash"},
		{NID_authority_key_identifier, "keyid:always"},
	};
	_cleanup_(x509_free) X509 *x = X509_new();
	STACK_OF(X509_EXTENSION) *copy = NULL;

	if (x && X509_set_pubkey(x, ca->leaf_key) &&
		add_extensions(x, ca->cert, e, ARRAY_SIZE(e)) == 0)
		copy = sk_X509_EXTENSION_deep_copy(X509_get0_extensions(x),
			X509_EXTENSION_dup, X509_EXTENSION_free);
	return copy;
}

static int set_serial(X509 *x)
{
	uint8_t b[16];
	BIGNUM *n;
	int ok;

	if (RAND_bytes(b, sizeof(b)) != 1)
		return -EIO;
	b[0] = (b[0] & 0x7f) | 0x40; /* positive and of one length */
	n = BN_bin2bn(b, sizeof(b), NULL);
	ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
	BN_free(n);
	return ok ? 0 : -ENOMEM;
}

/* X.520 allows 64 characters; the whole name stands in the extension. */
static int set_subject(X509 *x, const char *name)
{
	X509_NAME *n = X509_get_subject_name(x);
	char cn[65];

	(void)snprintf(cn, sizeof(cn), "%s", name);
	return X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8,
		       (const unsigned char *)cn, -1, -1, 0)
		? 0
		: -EINVAL;
}

static bool add_same(X509 *x, const STACK_OF(X509_EXTENSION) * same)
{
	for (int i = 0; i < sk_X509_EXTENSION_num(same); i++)
		if (!X509_add_ext(x, sk_X509_EXTENSION_value(same, i), -1))
			return false;
	return true;
}

/*
 * Back-dated by a day: clocks differ. issuer NULL: by itself. same may be
 * NULL; what it holds comes before e.
 */
static X509 *make_cert(const char *name, EVP_PKEY *key, X509 *issuer,
	EVP_PKEY *by, long days, const STACK_OF(X509_EXTENSION) * same,
	const struct extension *e, size_t n)
{
	X509 *x = X509_new();
	bool ok = x && X509_set_version(x, X509_VERSION_3) &&
		set_serial(x) == 0 && set_subject(x, name) == 0 &&
		X509_gmtime_adj(X509_getm_notBefore(x), -DAY) &&
		X509_gmtime_adj(X509_getm_notAfter(x), days * DAY) &&
		X509_set_issuer_name(
			x, X509_get_subject_name(issuer ? issuer : x)) &&
		X509_set_pubkey(x, key) && add_same(x, same) &&
		add_extensions(x, issuer ? issuer : x, e, n) == 0 &&
		X509_sign(x, by, EVP_sha256());

	if (ok)
		return x;
	X509_free(x);
	return NULL;
}

/* ---- texts ---- */

static char *bio_text(BIO *b)
{
	char *p;
	long n = BIO_get_mem_data(b, &p);
	char *text = xstrndup(p, (size_t)MAX(n, 0L));

	if (n > 0)
		OPENSSL_cleanse(p, (size_t)n);
	return text;
}

static int put_text(
	X509 *x, EVP_PKEY *key, struct ca_text *ret, struct err *err)
{
	_cleanup_(bio_free) BIO *c = BIO_new(BIO_s_mem());
	_cleanup_(bio_free) BIO *k = BIO_new(BIO_s_secmem());

	if (!c || !k || !PEM_write_bio_X509(c, x) ||
		!PEM_write_bio_PrivateKey(k, key, NULL, NULL, 0, NULL, NULL))
		return tls_err(err, EIO, "write a certificate");
	ret->cert = bio_text(c);
	ret->key = bio_text(k);
	return 0;
}

static X509 *read_cert(const char *text)
{
	_cleanup_(bio_free) BIO *b = BIO_new_mem_buf(text, -1);

	return b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
}

static EVP_PKEY *read_key(const char *text)
{
	_cleanup_(bio_free) BIO *b = BIO_new_mem_buf(text, -1);

	return b ? PEM_read_bio_PrivateKey(b, NULL, NULL, NULL) : NULL;
}

static int read_text(const struct ca_text *t, X509 **ret_cert,
	EVP_PKEY **ret_key, struct err *err)
{
	_cleanup_(x509_free) X509 *x = read_cert(t->cert);
	_cleanup_(key_free) EVP_PKEY *k = read_key(t->key);

	if (!x || !k || X509_check_private_key(x, k) != 1)
		return tls_err(err, EBADMSG, "read a certificate and its key");
	*ret_cert = TAKE_PTR(x);
	*ret_key = TAKE_PTR(k);
	return 0;
}

int ca_fingerprint(const char *cert, char ret[65])
{
	_cleanup_(x509_free) X509 *x = read_cert(cert);
	uint8_t md[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (!x || !X509_digest(x, EVP_sha256(), md, &n) || n != 32)
		return -EBADMSG;
	for (size_t i = 0; i < 32; i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", md[i]);
	return 0;
}

int ca_hash(const char *cert, char ret[CA_HASH_LEN])
{
	_cleanup_(x509_free) X509 *x = read_cert(cert);
	int ok = 0;
	unsigned long h;

	if (!x)
		return -EBADMSG;
	h = X509_NAME_hash_ex(X509_get_subject_name(x), NULL, NULL, &ok);
	(void)snprintf(ret, CA_HASH_LEN, "%08lx", h & 0xfffffffful);
	return ok ? 0 : -EBADMSG;
}

/* ---- authority and signer ---- */

int ca_make(const char *name, struct ca_text *ret, struct err *err)
{
	static const struct extension e[] = {
		{NID_basic_constraints, "critical,CA:TRUE"},
		{NID_key_usage, "critical,keyCertSign,cRLSign"},
		{NID_subject_key_identifier, "hash"},
	};
	_cleanup_(key_free) EVP_PKEY *key = EVP_EC_gen("P-256");
	_cleanup_(x509_free) X509 *x = NULL;

	if (key)
		x = make_cert(name, key, NULL, key, CA_ROOT_DAYS, NULL, e,
			ARRAY_SIZE(e));
	return x ? put_text(x, key, ret, err)
		 : tls_err(err, EIO, "make an authority");
}

/* "critical,permitted;DNS:a.test,permitted;DNS:b.test"; NULL without names. */
static char *constraints(const char *const *names, size_t n)
{
	char *text = n ? xstrdup("critical") : NULL;

	for (size_t i = 0; i < n; i++) {
		char *more = xasprintf("%s,permitted;DNS:%s", text, names[i]);

		free(text);
		text = more;
	}
	return text;
}

int ca_issue(const struct ca_text *root, const char *name,
	const char *const *names, size_t n_names, struct ca_text *ret,
	struct err *err)
{
	_cleanup_free_ char *only = constraints(names, n_names);
	const struct extension e[] = {
		{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
		{NID_key_usage, "critical,keyCertSign"},
		{NID_subject_key_identifier, "hash"},
		{NID_authority_key_identifier, "keyid:always"},
		{NID_name_constraints, only},
	};
	_cleanup_(x509_free) X509 *issuer = NULL;
	_cleanup_(key_free) EVP_PKEY *by = NULL;
	_cleanup_(key_free) EVP_PKEY *key = EVP_EC_gen("P-256");
	_cleanup_(x509_free) X509 *x = NULL;
	int r = read_text(root, &issuer, &by, err);

	if (r < 0)
		return r;
	if (key)
		x = make_cert(name, key, issuer, by, CA_SIGNER_DAYS, NULL, e,
			ARRAY_SIZE(e) - (only ? 0 : 1));
	return x ? put_text(x, key, ret, err)
		 : tls_err(err, EIO, "make a signer");
}

/* ---- leaves ---- */

/*
 * As OpenSSL 1.1 kept keys: a provider's key is written as text and read again
 * for each certificate that it is put into, which costs three times as much as
 * all else that a leaf takes.
 */
static EVP_PKEY *leaf_key_new(void)
{
	_cleanup_(key_free) EVP_PKEY *k = EVP_EC_gen("P-256");
	_cleanup_(key_free) EVP_PKEY *old = EVP_PKEY_new();
	EC_KEY *ec = k ? EVP_PKEY_get1_EC_KEY(k) : NULL;

	if (ec && old && EVP_PKEY_assign_EC_KEY(old, ec) == 1)
		return TAKE_PTR(old);
	EC_KEY_free(ec);
	return NULL;
}

int ca_open(const struct ca_text *t, struct ca **ret, struct err *err)
{
	struct ca *ca = xnew(struct ca);
	int r = read_text(t, &ca->cert, &ca->key, err);

	if (r == 0)
		ca->leaf_key = leaf_key_new();
	if (r == 0 && ca->leaf_key)
		ca->same = same_extensions(ca);
	if (r == 0 && !ca->same)
		r = tls_err(err, EIO, "make a key");
	if (r < 0) {
		ca_free(ca);
		return r;
	}
	*ret = ca;
	return 0;
}

static void leaf_done(struct leaf *l)
{
	free(l->name);
	X509_free(l->cert);
	*l = (struct leaf){NULL, NULL, 0};
}

void ca_free(struct ca *ca)
{
	if (!ca)
		return;
	for (size_t i = 0; i < CA_LEAVES_MAX; i++)
		leaf_done(&ca->leaves[i]);
	EVP_PKEY_free(ca->key);
	EVP_PKEY_free(ca->leaf_key);
	sk_X509_EXTENSION_pop_free(ca->same, X509_EXTENSION_free);
	X509_free(ca->cert);
	free(ca);
}

uint32_t tls_hash(const char *s)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	return h;
}

X509 *ca_leaf(struct ca *ca, const char *name)
{
	_cleanup_free_ char *san = xasprintf("DNS:%s", name);
	const struct extension e = {NID_subject_alt_name, san};
	struct leaf *l = &ca->leaves[tls_hash(name) % CA_LEAVES_MAX];
	time_t now = time(NULL);

	if (l->name && streq(l->name, name) && now < l->until)
		return l->cert;
	leaf_done(l);
	l->cert = make_cert(name, ca->leaf_key, ca->cert, ca->key, CA_LEAF_DAYS,
		ca->same, &e, 1);
	if (!l->cert)
		return NULL;
	l->name = xstrdup(name);
	l->until = now + CA_LEAF_DAYS * DAY / 2;
	return l->cert;
}

EVP_PKEY *ca_leaf_key(struct ca *ca)
{
	return ca->leaf_key;
}

X509 *ca_signer(struct ca *ca)
{
	return ca->cert;
}
