/* SPDX-License-Identifier: Apache-2.0 */
/* The servers here send no tickets; a test makes one that does. */
#include "tls/conn.c"
#include "tls/resume.c"
#include "tls/verified.c"

#include "cm.h"

#include <errno.h>
#include <string.h>

struct pair {
	struct ca_text root, signer;
	struct ca *ca;
	struct tls_roots *roots;
	struct tls_front *front;
	struct tls_conn *c, *s;
};

static void open_pair(struct pair *p, const char *const *names, size_t n,
	const char *host, unsigned protocols)
{
	struct err err = {0};

	*p = (struct pair){0};
	assert_int_equal(ca_make("Test CA", &p->root, &err), 0);
	assert_int_equal(
		ca_issue(&p->root, "Test gate", names, n, &p->signer, &err), 0);
	assert_int_equal(ca_open(&p->signer, &p->ca, &err), 0);
	assert_int_equal(tls_roots_new(&p->roots, &err), 0);
	assert_int_equal(tls_roots_add(p->roots, p->root.cert,
				 strlen(p->root.cert), &err),
		0);
	assert_int_equal(tls_front_new(&p->front, &err), 0);
	p->c = tls_client(p->roots, host, protocols);
	p->s = tls_server(p->front);
	assert_non_null(p->c);
	assert_non_null(p->s);
}

static void close_pair(struct pair *p)
{
	tls_free(p->c);
	tls_free(p->s);
	tls_front_free(p->front);
	tls_roots_free(p->roots);
	ca_free(p->ca);
	ca_text_free(&p->root);
	ca_text_free(&p->signer);
}

/* In pieces of step bytes, so that records arrive cut. */
static void carry(struct tls_conn *from, struct tls_conn *to, size_t step)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	assert_int_equal(tls_take(from, &b), 0);
	for (size_t n; (n = MIN(step, buf_len(&b))) > 0; buf_consume(&b, n))
		assert_int_equal(tls_feed(to, buf_head(&b), n), 0);
	buf_done(&b);
}

/* Until both are done or one failed. */
static void shake(struct pair *p, const char *name, unsigned protocol,
	enum tls_event *ret_c, enum tls_event *ret_s)
{
	for (int i = 0; i < 20; i++) {
		*ret_c = tls_handshake(p->c);
		carry(p->c, p->s, 7);
		*ret_s = tls_handshake(p->s);
		if (*ret_s == TLS_HELLO)
			assert_int_equal(
				tls_answer(p->s, p->ca, name, protocol), 0);
		carry(p->s, p->c, 1000);
	}
}

static void test_talk(void **state)
{
	enum tls_event c, s;
	char got[64] = "";
	struct pair p;
	bool any;

	open_pair(&p, NULL, 0, "a.test", TLS_H1 | TLS_H2);
	shake(&p, "a.test", TLS_H2, &c, &s);
	assert_int_equal(c, TLS_READY);
	assert_int_equal(s, TLS_READY);
	assert_int_equal(tls_offered(p.s, &any), TLS_H1 | TLS_H2);
	assert_true(any);
	assert_int_equal(tls_protocol(p.c), TLS_H2);
	assert_int_equal(tls_protocol(p.s), TLS_H2);
	assert_int_equal(tls_read(p.s, got, sizeof(got)), 0);
	assert_int_equal(tls_write(p.c, "hello", 5), 0);
	carry(p.c, p.s, 1);
	assert_int_equal(tls_read(p.s, got, sizeof(got)), 5);
	assert_memory_equal(got, "hello", 5);
	tls_close(p.s);
	carry(p.s, p.c, 100);
	assert_int_equal(tls_read(p.c, got, sizeof(got)), -EPIPE);
	close_pair(&p);
}

static void test_no_protocol(void **state)
{
	enum tls_event c, s;
	struct pair p;
	bool any;

	open_pair(&p, NULL, 0, "a.test", 0);
	shake(&p, "a.test", 0, &c, &s);
	assert_int_equal(c, TLS_READY);
	assert_int_equal(tls_offered(p.s, &any), 0);
	assert_false(any);
	assert_int_equal(tls_protocol(p.c), 0);
	close_pair(&p);
}

/* A certificate for another name, and one that nobody vouches for. */
static void test_verifies(void **state)
{
	enum tls_event c, s;
	struct pair p, q;

	open_pair(&p, NULL, 0, "a.test", 0);
	shake(&p, "b.test", 0, &c, &s);
	assert_int_equal(c, TLS_FAILED);
	assert_string_equal(tls_why(p.c), "hostname mismatch");
	close_pair(&p);
	open_pair(&p, NULL, 0, "a.test", 0);
	open_pair(&q, NULL, 0, "a.test", 0);
	shake(&(struct pair){.ca = p.ca, .c = q.c, .s = p.s}, "a.test", 0, &c,
		&s);
	assert_int_equal(c, TLS_FAILED);
	assert_non_null(strstr(tls_why(q.c), "certificate"));
	close_pair(&p);
	close_pair(&q);
}

/* A signer that is bound to names cannot speak for others. */
static void test_bound(void **state)
{
	static const char *const names[] = {"a.test", "x.org"};
	enum tls_event c, s;
	struct pair p;

	open_pair(&p, names, 2, "sub.a.test", 0);
	shake(&p, "sub.a.test", 0, &c, &s);
	assert_int_equal(c, TLS_READY);
	close_pair(&p);
	open_pair(&p, names, 2, "b.test", 0);
	shake(&p, "b.test", 0, &c, &s);
	assert_int_equal(c, TLS_FAILED);
	assert_string_equal(tls_why(p.c), "permitted subtree violation");
	close_pair(&p);
}

/* A server that knows TLS 1.2 only, and no cipher of today's. */
static void test_old_server(void **state)
{
	enum tls_event c, s;
	struct pair p;

	open_pair(&p, NULL, 0, "a.test", 0);
	assert_true(SSL_set_max_proto_version(p.s->ssl, TLS1_2_VERSION) == 1 &&
		SSL_set_cipher_list(p.s->ssl, "ECDHE-ECDSA-AES256-SHA384"));
	shake(&p, "a.test", 0, &c, &s);
	assert_int_equal(c, TLS_READY);
	close_pair(&p);
}

static void test_ciphers(void **state)
{
	enum tls_event c, s;
	struct pair p;

	open_pair(&p, NULL, 0, "a.test", 0);
	shake(&p, "a.test", 0, &c, &s);
	assert_string_equal(
		SSL_get_cipher_name(p.c->ssl), "TLS_AES_128_GCM_SHA256");
	close_pair(&p);
}

/* A connection with a server that sends tickets; was the session resumed? */
static bool again(struct pair *p, const char *host, const char *peer)
{
	enum tls_event c, s;
	char got[8];
	bool hit;

	tls_free(p->c);
	tls_free(p->s);
	p->c = tls_client(p->roots, host, 0);
	p->s = tls_server(p->front);
	tls_resume(p->c, peer);
	shake(p, host, 0, &c, &s);
	assert_int_equal(c, TLS_READY);
	assert_int_equal(s, TLS_READY);
	assert_int_equal(tls_read(p->c, got, sizeof(got)), 0);
	hit = SSL_session_reused(p->c->ssl);
	assert_int_equal(hit, SSL_session_reused(p->s->ssl));
	return hit;
}

static void test_resume(void **state)
{
	struct pair p;

	open_pair(&p, NULL, 0, "a.test", 0);
	SSL_CTX_clear_options(p.front->ctx, SSL_OP_NO_TICKET);
	(void)SSL_CTX_set_num_tickets(p.front->ctx, 2);
	assert_false(again(&p, "a.test", "192.0.2.1 443"));
	assert_true(again(&p, "a.test", "192.0.2.1 443"));
	assert_true(again(&p, "a.test", "192.0.2.1 443"));
	/* Another name, another place, no place. */
	assert_false(again(&p, "b.test", "192.0.2.1 443"));
	assert_false(again(&p, "a.test", "192.0.2.2 443"));
	assert_false(again(&p, "a.test", "192.0.2.1 8443"));
	assert_true(again(&p, "a.test", "192.0.2.1 443"));
	close_pair(&p);
}

static void set_until(struct pair *p, time_t until)
{
	for (size_t i = 0; i < SLOTS; i++)
		for (size_t k = 0; k < EACH; k++)
			p->roots->resume->slots[i].until[k] = until;
}

/* What a session makes of itself does not outlive what was verified. */
static void test_resume_ends(void **state)
{
	time_t until = time(NULL) + 1000;
	const struct slot *s;
	struct pair p;

	open_pair(&p, NULL, 0, "a.test", 0);
	SSL_CTX_clear_options(p.front->ctx, SSL_OP_NO_TICKET);
	(void)SSL_CTX_set_num_tickets(p.front->ctx, 2);
	assert_false(again(&p, "a.test", "x"));
	s = &p.roots->resume->slots[tls_hash("a.test x") % SLOTS];
	assert_in_range(s->until[EACH - 1], time(NULL) + VERIFIED_S - 60,
		time(NULL) + VERIFIED_S);
	set_until(&p, until);
	assert_true(again(&p, "a.test", "x"));
	assert_int_equal(s->until[EACH - 1], until);
	set_until(&p, time(NULL) - 1);
	assert_false(again(&p, "a.test", "x"));
	assert_true(again(&p, "a.test", "x"));
	close_pair(&p);
}

static time_t *known_until(struct pair *p)
{
	for (size_t i = 0; i < CHAINS; i++)
		if (p->roots->verified->known[i].until)
			return &p->roots->verified->known[i].until;
	return NULL;
}

/* A chain is verified once an hour, the name each time. */
static void test_verified(void **state)
{
	time_t until = time(NULL) + 1000;
	enum tls_event c, s;
	struct pair p;

	open_pair(&p, NULL, 0, "a.test", 0);
	assert_null(known_until(&p));
	assert_false(again(&p, "a.test", "x"));
	assert_in_range(*known_until(&p), time(NULL) + VERIFIED_S - 60,
		time(NULL) + VERIFIED_S);
	*known_until(&p) = until;
	assert_false(again(&p, "a.test", "x"));
	assert_int_equal(*known_until(&p), until);
	assert_int_equal(p.c->until, until);
	tls_free(p.c);
	tls_free(p.s);
	p.c = tls_client(p.roots, "b.test", 0);
	p.s = tls_server(p.front);
	shake(&p, "a.test", 0, &c, &s);
	assert_int_equal(c, TLS_FAILED);
	assert_string_equal(tls_why(p.c), "hostname mismatch");
	*known_until(&p) = time(NULL) - 1;
	assert_false(again(&p, "a.test", "x"));
	assert_in_range(*known_until(&p), time(NULL) + VERIFIED_S - 60,
		time(NULL) + VERIFIED_S);
	close_pair(&p);
}

/* What a chain's failure costs is paid each time: nothing of it is kept. */
static void test_not_verified(void **state)
{
	enum tls_event c, s;
	struct pair p, q;

	open_pair(&p, NULL, 0, "a.test", 0);
	open_pair(&q, NULL, 0, "a.test", 0);
	shake(&(struct pair){.ca = p.ca, .c = q.c, .s = p.s}, "a.test", 0, &c,
		&s);
	assert_int_equal(c, TLS_FAILED);
	assert_null(known_until(&q));
	close_pair(&p);
	close_pair(&q);
}

/* The leaf of p for a.test with another key. */
static X509 *leaf_with(struct pair *p, EVP_PKEY *key)
{
	BIO *b = BIO_new_mem_buf(p->signer.key, -1);
	EVP_PKEY *by = PEM_read_bio_PrivateKey(b, NULL, NULL, NULL);
	X509 *x = X509_dup(ca_leaf(p->ca, "a.test"));

	assert_true(X509_set_pubkey(x, key) == 1);
	assert_true(X509_sign(x, by, EVP_sha256()) > 0);
	EVP_PKEY_free(by);
	BIO_free(b);
	return x;
}

/* Every kind of key that a server may have, with both versions. */
static void test_keys(void **state)
{
	static const char *const kinds[] = {"RSA", "ED25519", "ED448", "EC"};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(kinds); i++) {
		EVP_PKEY *key = i / 2 == 0 ? EVP_RSA_gen(2048)
			: i / 2 == 3
			? EVP_EC_gen("P-384")
			: EVP_PKEY_Q_keygen(NULL, NULL, kinds[i / 2]);
		enum tls_event c, s;
		struct pair p;
		X509 *x;

		open_pair(&p, NULL, 0, "a.test", 0);
		x = leaf_with(&p, key);
		assert_true(SSL_use_certificate(p.s->ssl, x) == 1);
		assert_true(SSL_use_PrivateKey(p.s->ssl, key) == 1);
		assert_true(
			SSL_add1_chain_cert(p.s->ssl, ca_signer(p.ca)) == 1);
		if (i % 2)
			assert_true(SSL_set_max_proto_version(
					    p.s->ssl, TLS1_2_VERSION) == 1);
		p.s->answered = true;
		shake(&p, "a.test", 0, &c, &s);
		assert_int_equal(c, TLS_READY);
		assert_int_equal(s, TLS_READY);
		X509_free(x);
		EVP_PKEY_free(key);
		close_pair(&p);
	}
}

static void test_garbage(void **state)
{
	struct pair p;

	open_pair(&p, NULL, 0, "a.test", 0);
	assert_int_equal(tls_feed(p.s, "GET / HTTP/1.1\r\n\r\n", 18), 0);
	assert_int_equal(tls_handshake(p.s), TLS_FAILED);
	assert_int_equal(tls_handshake(p.s), TLS_FAILED);
	assert_int_equal(tls_write(p.s, "x", 1), -EPROTO);
	assert_true(strlen(tls_why(p.s)) > 0);
	close_pair(&p);
}

static void test_texts(void **state)
{
	struct ca_text t = {xstrdup("x"), xstrdup("y")};
	struct tls_roots *roots;
	struct err err = {0};
	struct ca *ca = NULL;
	char hex[65];

	assert_int_equal(ca_open(&t, &ca, &err), -EBADMSG);
	assert_null(ca);
	assert_int_equal(ca_fingerprint(t.cert, hex), -EBADMSG);
	ca_text_free(&t);
	assert_int_equal(ca_make("X", &t, &err), 0);
	assert_int_equal(ca_fingerprint(t.cert, hex), 0);
	assert_int_equal(strlen(hex), 64);
	assert_int_equal(tls_roots_new(&roots, &err), 0);
	assert_int_equal(tls_roots_add(roots, "", 0, &err), 0);
	assert_int_equal(tls_roots_add(roots, t.cert, strlen(t.cert), &err), 0);
	assert_int_equal(tls_roots_add(roots, t.cert, strlen(t.cert), &err), 0);
	assert_int_equal(tls_roots_add(roots, t.cert, 200, &err), -EBADMSG);
	tls_roots_free(roots);
	ca_text_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_talk),
		cmocka_unit_test(test_no_protocol),
		cmocka_unit_test(test_verifies),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_old_server),
		cmocka_unit_test(test_ciphers),
		cmocka_unit_test(test_resume),
		cmocka_unit_test(test_resume_ends),
		cmocka_unit_test(test_verified),
		cmocka_unit_test(test_not_verified),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
