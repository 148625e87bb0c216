/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/conn.h"

#include "tls/internal.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#define HELD_MAX (1u << 20)

struct tls_roots {
	SSL_CTX *ctx;
	struct resume *resume;
	struct verified *verified;
};

struct tls_front {
	SSL_CTX *ctx;
};

struct tls_conn {
	SSL *ssl;
	struct buf in, out; /* cipher bytes, behind the SSL's BIO */
	bool server;
	bool answered;
	bool failed;
	bool any;
	unsigned offered;
	unsigned protocol;
	struct tls_roots *roots; /* of a client */
	char *key;               /* NULL: no session is kept */
	time_t until;            /* the server must be verified again, or 0 */
	const char *why;
};

static const unsigned char proto_h1[] = "\x08http/1.1";
static const unsigned char proto_h2[] = "\x02h2";

/*
 * AES with 128 bits first: as good as unbreakable, and a quarter cheaper. The
 * end is what "DEFAULT" stands for, which is understood at the beginning only.
 */
static bool set_ciphers(SSL_CTX *ctx)
{
	return SSL_CTX_set_ciphersuites(ctx,
		       "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
		       "TLS_CHACHA20_POLY1305_SHA256") == 1 &&
		SSL_CTX_set_cipher_list(ctx,
			"ECDHE+AESGCM+AES128:ECDHE+AESGCM:"
			"ALL:!COMPLEMENTOFDEFAULT:!eNULL") == 1;
}

/* Looking costs less than emptying what is empty. */
static void clear_errors(void)
{
	if (ERR_peek_error())
		ERR_clear_error();
}

/* Nothing is read from openssl.cnf: what holds is here. */
static SSL_CTX *new_ctx(const SSL_METHOD *method)
{
	SSL_CTX *ctx;

	(void)OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	ctx = SSL_CTX_new_ex(tls_lean(), NULL, method);
	if (!ctx)
		return NULL;
	if (!set_ciphers(ctx)) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	(void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	(void)SSL_CTX_set_mode(ctx,
		SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
			SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	(void)SSL_CTX_set_options(ctx,
		SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
			SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF |
			SSL_OP_CIPHER_SERVER_PREFERENCE |
			SSL_OP_PRIORITIZE_CHACHA);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_num_tickets(ctx, 0);
	return ctx;
}

/* ---- roots ---- */

/* A ticket came. 1: the session is kept here. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_conn *c = SSL_get_app_data(ssl);

	if (!c->key || SSL_get_verify_result(ssl) != X509_V_OK)
		return 0;
	resume_keep(c->roots->resume, c->key, session, c->until);
	return 1;
}

static int on_chain(X509_STORE_CTX *ctx, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(
		ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_conn *c = SSL_get_app_data(ssl);

	return verified_check(c->roots->verified, ctx,
		SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), &c->until);
}

int tls_roots_new(struct tls_roots **ret, struct err *err)
{
	SSL_CTX *ctx = new_ctx(TLS_client_method());
	struct tls_roots *r;

	if (!ctx)
		return tls_err(err, ENOMEM, "TLS");
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, on_chain, NULL);
	(void)SSL_CTX_set_session_cache_mode(
		ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_session);
	r = xnew(struct tls_roots);
	r->ctx = ctx;
	r->resume = resume_new();
	r->verified = verified_new();
	*ret = r;
	return 0;
}

/* The same certificate twice is no failure. */
int tls_roots_add(
	struct tls_roots *r, const char *pem, size_t len, struct err *err)
{
	X509_STORE *store = SSL_CTX_get_cert_store(r->ctx);
	BIO *b = BIO_new_mem_buf(pem, (int)MIN(len, (size_t)INT32_MAX));
	X509 *x = X509_new_ex(tls_lean(), NULL);
	bool ok = b && x;

	while (ok && PEM_read_bio_X509(b, &x, NULL, NULL)) {
		ok = X509_STORE_add_cert(store, x) == 1;
		X509_free(x);
		x = X509_new_ex(tls_lean(), NULL);
		ok = ok && x;
	}
	X509_free(x);
	BIO_free(b);
	if (ok && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		ok = ERR_peek_last_error() == 0;
	if (!ok)
		return tls_err(err, EBADMSG, "read the trusted certificates");
	ERR_clear_error();
	return 0;
}

void tls_roots_free(struct tls_roots *r)
{
	if (r) {
		SSL_CTX_free(r->ctx);
		resume_free(r->resume);
		verified_free(r->verified);
	}
	free(r);
}

/* ---- the greeting ---- */

static bool has_proto(const unsigned char *list, size_t len,
	const unsigned char *proto, size_t n)
{
	while (len > 0) {
		size_t one = (size_t)list[0] + 1;

		if (one > len)
			return false;
		if (one == n && memcmp(list, proto, n) == 0)
			return true;
		list += one;
		len -= one;
	}
	return false;
}

static unsigned protocols_of(const unsigned char *list, size_t len)
{
	return (has_proto(list, len, proto_h1, sizeof(proto_h1) - 1) ? TLS_H1
								     : 0) |
		(has_proto(list, len, proto_h2, sizeof(proto_h2) - 1) ? TLS_H2
								      : 0);
}

/* Stops the handshake here until tls_answer(). */
static int on_hello(SSL *ssl, int *alert, void *arg)
{
	struct tls_conn *c = SSL_get_app_data(ssl);
	const unsigned char *p;
	size_t n;

	if (c->answered)
		return SSL_CLIENT_HELLO_SUCCESS;
	if (SSL_client_hello_get0_ext(ssl,
		    TLSEXT_TYPE_application_layer_protocol_negotiation, &p,
		    &n) &&
		n > 2) {
		c->any = true;
		c->offered = protocols_of(p + 2, n - 2);
	}
	return SSL_CLIENT_HELLO_RETRY;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *n,
	const unsigned char *in, unsigned int len, void *arg)
{
	const struct tls_conn *c = SSL_get_app_data(ssl);
	const unsigned char *p = c->protocol == TLS_H2 ? proto_h2 : proto_h1;

	if (c->protocol == 0)
		return SSL_TLSEXT_ERR_NOACK;
	*out = p + 1;
	*n = p[0];
	return SSL_TLSEXT_ERR_OK;
}

int tls_front_new(struct tls_front **ret, struct err *err)
{
	SSL_CTX *ctx = new_ctx(TLS_server_method());
	struct tls_front *f;

	if (!ctx)
		return tls_err(err, ENOMEM, "TLS");
	SSL_CTX_set_client_hello_cb(ctx, on_hello, NULL);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	f = xnew(struct tls_front);
	f->ctx = ctx;
	*ret = f;
	return 0;
}

void tls_front_free(struct tls_front *f)
{
	if (f)
		SSL_CTX_free(f->ctx);
	free(f);
}

/* ---- connections ---- */

/*
 * OpenSSL's own BIO in memory clears what it is about to write, and copies once
 * more in each direction.
 */
static int bio_read(BIO *b, char *p, int len)
{
	struct tls_conn *c = BIO_get_data(b);
	size_t n = MIN((size_t)MAX(len, 0), buf_len(&c->in));

	BIO_clear_retry_flags(b);
	if (n == 0) {
		BIO_set_retry_read(b);
		return -1;
	}
	memcpy(p, buf_head(&c->in), n);
	buf_consume(&c->in, n);
	return (int)n;
}

static int bio_write(BIO *b, const char *p, int len)
{
	struct tls_conn *c = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	return buf_put(&c->out, p, (size_t)MAX(len, 0)) < 0 ? -1 : len;
}

static long bio_ctrl(BIO *b, int what, long n, void *p)
{
	return what == BIO_CTRL_FLUSH;
}

static BIO *new_bio(struct tls_conn *c)
{
	static BIO_METHOD *m;
	BIO *b;

	if (!m) {
		m = BIO_meth_new(
			BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "cove");
		if (!m)
			return NULL;
		(void)BIO_meth_set_read(m, bio_read);
		(void)BIO_meth_set_write(m, bio_write);
		(void)BIO_meth_set_ctrl(m, bio_ctrl);
	}
	b = BIO_new(m);
	if (!b)
		return NULL;
	BIO_set_data(b, c);
	BIO_set_init(b, 1);
	return b;
}

static struct tls_conn *new_conn(SSL_CTX *ctx, bool server)
{
	struct tls_conn *c = xnew(struct tls_conn);
	BIO *b = new_bio(c);

	c->server = server;
	c->ssl = SSL_new(ctx);
	buf_init(&c->in, HELD_MAX);
	buf_init(&c->out, HELD_MAX);
	if (!c->ssl || !b) {
		BIO_free(b);
		SSL_free(c->ssl);
		free(c);
		return NULL;
	}
	SSL_set_bio(c->ssl, b, b);
	(void)SSL_set_app_data(c->ssl, c);
	if (server)
		SSL_set_accept_state(c->ssl);
	else
		SSL_set_connect_state(c->ssl);
	return c;
}

struct tls_conn *tls_server(struct tls_front *f)
{
	return new_conn(f->ctx, true);
}

static bool offer(SSL *ssl, unsigned protocols)
{
	unsigned char list[16];
	unsigned n = 0;

	if (protocols & TLS_H2) {
		memcpy(list, proto_h2, sizeof(proto_h2) - 1);
		n += sizeof(proto_h2) - 1;
	}
	if (protocols & TLS_H1) {
		memcpy(list + n, proto_h1, sizeof(proto_h1) - 1);
		n += sizeof(proto_h1) - 1;
	}
	return n == 0 || SSL_set_alpn_protos(ssl, list, n) == 0;
}

/* The macro for it casts const away. */
static bool set_server_name(SSL *ssl, const char *name)
{
	return SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME,
		       TLSEXT_NAMETYPE_host_name, (void *)(uintptr_t)name) == 1;
}

struct tls_conn *tls_client(
	struct tls_roots *r, const char *name, unsigned protocols)
{
	struct tls_conn *c = new_conn(r->ctx, false);

	if (!c)
		return NULL;
	c->roots = r;
	SSL_set_hostflags(c->ssl, TLS_HOST_FLAGS);
	if (SSL_set1_host(c->ssl, name) && set_server_name(c->ssl, name) &&
		offer(c->ssl, protocols))
		return c;
	tls_free(c);
	return NULL;
}

void tls_resume(struct tls_conn *c, const char *peer)
{
	SSL_SESSION *s;

	c->key = xasprintf("%s %s",
		SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name), peer);
	s = resume_take(c->roots->resume, c->key, &c->until);
	if (s)
		(void)SSL_set_session(c->ssl, s);
	SSL_SESSION_free(s);
}

void tls_free(struct tls_conn *c)
{
	if (!c)
		return;
	/* Else OpenSSL takes an end without a notice for the session's. */
	if (!c->failed)
		SSL_set_shutdown(
			c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(c->ssl);
	buf_done(&c->in);
	buf_done(&c->out);
	free(c->key);
	free(c);
}

int tls_feed(struct tls_conn *c, const void *p, size_t len)
{
	return buf_put(&c->in, p, len);
}

size_t tls_unread(const struct tls_conn *c)
{
	return buf_len(&c->in);
}

size_t tls_untaken(const struct tls_conn *c)
{
	return buf_len(&c->out);
}

void tls_spare(struct tls_conn *c)
{
	if (!buf_len(&c->in))
		buf_done(&c->in);
	if (!buf_len(&c->out))
		buf_done(&c->out);
}

static void fail(struct tls_conn *c)
{
	unsigned long e = ERR_get_error();
	long verify = SSL_get_verify_result(c->ssl);
	const char *reason = e ? ERR_reason_error_string(e) : NULL;

	clear_errors();
	c->failed = true;
	if (!c->server && verify != X509_V_OK)
		reason = X509_verify_cert_error_string(verify);
	c->why = reason ? reason : "broken TLS";
}

static void learn_protocol(struct tls_conn *c)
{
	const unsigned char *p = NULL;
	unsigned n = 0;

	SSL_get0_alpn_selected(c->ssl, &p, &n);
	if (n == sizeof(proto_h2) - 2 && memcmp(p, proto_h2 + 1, n) == 0)
		c->protocol = TLS_H2;
	else if (n == sizeof(proto_h1) - 2 && memcmp(p, proto_h1 + 1, n) == 0)
		c->protocol = TLS_H1;
}

enum tls_event tls_handshake(struct tls_conn *c)
{
	int r;

	if (c->failed)
		return TLS_FAILED;
	clear_errors();
	r = SSL_do_handshake(c->ssl);
	if (r == 1) {
		if (!c->server)
			learn_protocol(c);
		return TLS_READY;
	}
	switch (SSL_get_error(c->ssl, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return TLS_MORE;
	case SSL_ERROR_WANT_CLIENT_HELLO_CB:
		return TLS_HELLO;
	default:
		fail(c);
		return TLS_FAILED;
	}
}

unsigned tls_offered(const struct tls_conn *c, bool *ret_any)
{
	*ret_any = c->any;
	return c->offered;
}

int tls_answer(
	struct tls_conn *c, struct ca *ca, const char *name, unsigned protocol)
{
	X509 *leaf = ca_leaf(ca, name);

	if (!leaf || SSL_use_certificate(c->ssl, leaf) != 1 ||
		SSL_use_PrivateKey(c->ssl, ca_leaf_key(ca)) != 1 ||
		SSL_add1_chain_cert(c->ssl, ca_signer(ca)) != 1) {
		fail(c);
		return -EIO;
	}
	c->protocol = protocol;
	c->answered = true;
	return 0;
}

unsigned tls_protocol(const struct tls_conn *c)
{
	return c->protocol;
}

ssize_t tls_read(struct tls_conn *c, void *p, size_t len)
{
	int r;

	if (c->failed)
		return -EPROTO;
	clear_errors();
	r = SSL_read(c->ssl, p, (int)MIN(len, (size_t)INT32_MAX));
	if (r > 0)
		return r;
	switch (SSL_get_error(c->ssl, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		return -EPIPE;
	default:
		fail(c);
		return -EPROTO;
	}
}

/* Memory takes everything, so a part is only ever a record. */
int tls_write(struct tls_conn *c, const void *p, size_t len)
{
	const uint8_t *at = (const uint8_t *)p;

	while (len > 0) {
		int r;

		if (c->failed)
			return -EPROTO;
		clear_errors();
		r = SSL_write(c->ssl, at, (int)MIN(len, (size_t)TLS_PIECE));
		if (r <= 0) {
			fail(c);
			return -EPROTO;
		}
		at += r;
		len -= (size_t)r;
	}
	return 0;
}

void tls_close(struct tls_conn *c)
{
	if (!c->failed && SSL_is_init_finished(c->ssl))
		(void)SSL_shutdown(c->ssl);
	clear_errors();
}

int tls_take(struct tls_conn *c, struct buf *out)
{
	struct buf mine = c->out;
	int r;

	if (buf_len(out) || buf_len(&mine) > out->max) {
		r = buf_put(out, buf_head(&mine), buf_len(&mine));
		if (r == 0)
			buf_clear(&c->out);
		return r;
	}
	/* Nothing is copied: the two change places. */
	c->out = *out;
	c->out.max = mine.max;
	mine.max = out->max;
	*out = mine;
	return 0;
}

const char *tls_why(const struct tls_conn *c)
{
	return c->why ? c->why : "broken TLS";
}
