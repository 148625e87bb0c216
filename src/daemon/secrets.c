/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/secrets.h"

#include "daemon/authority.h"
#include "daemon/gate.h"
#include "daemon/policies.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "wire/gate.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>

#define SEALED_FILE "sealed"
#define OWN_FILE "secrets" /* in a sandbox's directory */
#define SECRET_DIR "secret"
#define KEY_FILE "key"
#define NAMES_MAX_BOUND 64u /* more names than this: the signer is not bound */

/* Open text: GK_SECRET records in locked memory that is wiped when freed. */
struct text {
	uint8_t *p;
	size_t len;
};

static void text_free(struct text *t)
{
	sodium_free(t->p);
	*t = (struct text){NULL, 0};
}

static uint8_t *locked(size_t len)
{
	uint8_t *p = sodium_init() < 0 ? NULL : sodium_malloc(MAX(len, 1ul));

	if (!p)
		abort(); /* as every allocation, see base/util.h */
	return p;
}

/* ---- files ---- */

/* make: when there is none. A key that is lost loses what it sealed. */
static int read_key(struct daemon *d, bool make,
	uint8_t key[crypto_secretbox_KEYBYTES], struct err *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int dir = -1;
	int r = daemon_open_dir(d, SECRET_DIR, NULL, &dir, err);
	ssize_t n;

	if (r < 0)
		return r;
	n = fd_slurp_at(dir, KEY_FILE, crypto_secretbox_KEYBYTES, &text);
	if (n == -ENOENT && make) {
		randombytes_buf(key, crypto_secretbox_KEYBYTES);
		r = fd_replace_at(
			dir, KEY_FILE, key, crypto_secretbox_KEYBYTES, 0600);
		return r < 0 ? err_sys(err, -r, "save the key of the secrets")
			     : 0;
	}
	if (n == (ssize_t)crypto_secretbox_KEYBYTES) {
		memcpy(key, text, (size_t)n);
		sodium_memzero(text, (size_t)n);
		return 0;
	}
	return err_set(err, EIO,
		"the key of the secrets (%s/secret/key) cannot be read; set "
		"the secrets again after removing %s/secret",
		d->paths.state, d->paths.state);
}

static int unseal(struct daemon *d, const uint8_t *box, size_t len,
	struct text *ret, struct err *err)
{
	const size_t head = crypto_secretbox_NONCEBYTES;
	uint8_t *key;
	struct text t;
	int r;

	if (len < head + crypto_secretbox_MACBYTES)
		return err_set(err, EIO, "the kept secrets are damaged");
	key = locked(crypto_secretbox_KEYBYTES);
	r = read_key(d, false, key, err);
	if (r == 0) {
		t.len = len - head - crypto_secretbox_MACBYTES;
		t.p = locked(t.len);
		if (crypto_secretbox_open_easy(
			    t.p, box + head, len - head, box, key) < 0) {
			text_free(&t);
			r = err_set(err, EIO,
				"the kept secrets are damaged, or sealed with "
				"another key");
		} else {
			*ret = t;
		}
	}
	sodium_free(key);
	return r;
}

static int load_file(struct daemon *d, const struct sandbox *sb,
	const char *name, struct text *ret, struct err *err)
{
	_cleanup_free_ char *box = NULL;
	_cleanup_close_ int dir = -1;
	int r = daemon_open_dir(d, SECRET_DIR, sb, &dir, err);
	ssize_t n;

	if (r < 0)
		return r;
	n = fd_slurp_at(dir, name, GATE_KEYS_MAX, &box);
	if (n == -ENOENT) {
		*ret = (struct text){locked(0), 0};
		return 0;
	}
	if (n < 0)
		return err_sys(err, (int)-n, "read the secrets");
	return unseal(d, (const uint8_t *)box, (size_t)n, ret, err);
}

static int load(struct daemon *d, const struct sandbox *sb, struct text *ret,
	struct err *err)
{
	return load_file(d, sb, sb ? OWN_FILE : SEALED_FILE, ret, err);
}

static int save_file(struct daemon *d, const struct sandbox *sb,
	const char *name, const struct text *t, struct err *err)
{
	const size_t head = crypto_secretbox_NONCEBYTES;
	size_t len = head + crypto_secretbox_MACBYTES + t->len;
	_cleanup_free_ uint8_t *box = xcalloc(1, len);
	uint8_t *key = locked(crypto_secretbox_KEYBYTES);
	_cleanup_close_ int dir = -1;
	int r = daemon_open_dir(d, SECRET_DIR, sb, &dir, err);

	r = r ? r : read_key(d, true, key, err);
	if (r == 0) {
		randombytes_buf(box, head);
		(void)crypto_secretbox_easy(box + head, t->p, t->len, box, key);
		r = fd_replace_at(dir, name, box, len, 0600);
		if (r < 0)
			(void)err_sys(err, -r, "save the secrets");
	}
	sodium_free(key);
	return r;
}

static int save(struct daemon *d, const struct sandbox *sb,
	const struct text *t, struct err *err)
{
	return save_file(d, sb, sb ? OWN_FILE : SEALED_FILE, t, err);
}

int secrets_keep(
	struct daemon *d, const char *name, const char *text, struct err *err)
{
	struct text t = {locked(strlen(text)), strlen(text)};
	int r;

	memcpy(t.p, text, t.len);
	r = save_file(d, NULL, name, &t, err);
	text_free(&t);
	return r;
}

int secrets_kept(
	struct daemon *d, const char *name, char **ret, struct err *err)
{
	struct text t;
	int r = load_file(d, NULL, name, &t, err);

	if (r < 0)
		return r;
	*ret = xstrndup((const char *)t.p, t.len);
	text_free(&t);
	return 0;
}

/* ---- records ---- */

static bool name_is(const struct tlv *record, const char *name)
{
	struct tlv_iter it = tlv_iter(record->p, record->len);
	struct tlv t;

	while (tlv_next(&it, &t) > 0)
		if (t.tag == GS_NAME)
			return t.len == strlen(name) &&
				memcmp(t.p, name, t.len) == 0;
	return false;
}

static bool has(const struct text *t, const char *name)
{
	struct tlv_iter it = tlv_iter(t->p, t->len);
	struct tlv record;

	while (tlv_next(&it, &record) > 0)
		if (name_is(&record, name))
			return true;
	return false;
}

/* The records of t but the one of that name, and room behind them. */
static struct text without(
	const struct text *t, const char *name, size_t room, unsigned *ret_gone)
{
	struct tlv_iter it = tlv_iter(t->p, t->len);
	struct text new = {locked(t->len + room), 0};
	struct tlv record;

	*ret_gone = 0;
	while (tlv_next(&it, &record) > 0) {
		size_t len = TLV_HEAD + record.len;

		if (name_is(&record, name)) {
			(*ret_gone)++;
			continue;
		}
		memcpy(new.p + new.len, record.p - TLV_HEAD, len);
		new.len += len;
	}
	return new;
}

static void put_list(
	struct buf *b, uint16_t tag, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)tlv_put_str(b, tag, list[i]);
}

/* The record into locked memory: buf never moves what it was given whole. */
static size_t put_record(const struct secret_spec *s, uint8_t *to, size_t room)
{
	struct buf b;
	size_t mark, n;

	buf_init(&b, room);
	(void)buf_reserve(&b, room);
	mark = tlv_begin(&b, GK_SECRET);
	(void)tlv_put_str(&b, GS_NAME, s->name);
	put_list(&b, GS_ENV, s->env, s->n_env);
	put_list(&b, GS_HOST, s->hosts, s->n_hosts);
	put_list(&b, GS_USE, s->uses, s->n_uses);
	(void)tlv_put_str(&b, GS_PLACEHOLDER, s->placeholder);
	(void)tlv_put_u32(&b, GS_CUSTOM, s->custom);
	(void)tlv_put_u64(&b, GS_TIME, now_real_ns());
	(void)tlv_put_str(&b, GS_VALUE, s->value);
	tlv_end(&b, mark);
	n = buf_len(&b);
	memcpy(to, buf_head(&b), n);
	sodium_memzero(b.data, b.cap);
	buf_done(&b);
	return n;
}

static void push(struct daemon *d, struct sandbox *only)
{
	list_for_each (it, &d->sandboxes) {
		struct sandbox *sb = list_entry(it, struct sandbox, link);

		if (!only || only == sb)
			gate_push_keys(sb);
	}
}

int secrets_set(struct daemon *d, struct sandbox *sb,
	const struct secret_spec *spec, struct err *err)
{
	const size_t room = SECRET_VALUE_MAX + 24576u;
	struct text old, new;
	unsigned gone;
	int r = load(d, sb, &old, err);

	if (r < 0)
		return r;
	new = without(&old, spec->name, room, &gone);
	new.len += put_record(spec, new.p + new.len, room);
	r = new.len > GATE_KEYS_MAX / 4
		? err_set(err, ENOSPC, "too many secrets")
		: save(d, sb, &new, err);
	text_free(&old);
	text_free(&new);
	if (r == 0)
		push(d, sb);
	return r;
}

int secrets_remove(
	struct daemon *d, struct sandbox *sb, const char *name, struct err *err)
{
	struct text old, new;
	unsigned gone;
	int r = load(d, sb, &old, err);

	if (r < 0)
		return r;
	new = without(&old, name, 0, &gone);
	r = gone ? save(d, sb, &new, err)
		 : err_set(err, ENOENT,
			   "no secret '%.64s' here; see: cove secret ls", name);
	text_free(&old);
	text_free(&new);
	if (r == 0)
		push(d, sb);
	return r;
}

/* ---- what holds ---- */

typedef void record_fn(void *arg, const struct tlv *record, bool own);

/* Own records, and those for all that they do not hide. */
static int each(struct daemon *d, struct sandbox *sb, record_fn *fn, void *arg,
	struct err *err)
{
	struct text all, own = {NULL, 0};
	struct tlv record, t;
	int r = load(d, NULL, &all, err);

	if (r == 0 && sb) {
		r = load(d, sb, &own, err);
		if (r < 0)
			text_free(&all);
	}
	if (r < 0)
		return r;
	for (struct tlv_iter it = tlv_iter(all.p, all.len);
		tlv_next(&it, &record) > 0;) {
		struct tlv_iter in = tlv_iter(record.p, record.len);
		char name[65] = "";

		while (tlv_next(&in, &t) > 0)
			if (t.tag == GS_NAME && t.len < sizeof(name))
				memcpy(name, t.p, t.len);
		if (!own.p || !has(&own, name))
			fn(arg, &record, false);
	}
	for (struct tlv_iter it = tlv_iter(own.p, own.len);
		own.p && tlv_next(&it, &record) > 0;)
		fn(arg, &record, true);
	text_free(&all);
	if (own.p)
		text_free(&own);
	return 0;
}

static void add_text(json_t *list, const struct tlv *t)
{
	json_array_append_new(list, json_stringn((const char *)t->p, t->len));
}

struct listing {
	json_t *list;
	const char *sandbox;
};

static void list_one(void *arg, const struct tlv *record, bool own)
{
	struct listing *l = arg;
	struct tlv_iter it = tlv_iter(record->p, record->len);
	json_t *o = json_object(), *env = json_array(), *hosts = json_array();
	uint32_t custom = 0;
	uint64_t time = 0;
	struct tlv t;

	while (tlv_next(&it, &t) > 0) {
		if (t.tag == GS_NAME)
			json_object_set_new(o, "name",
				json_stringn((const char *)t.p, t.len));
		else if (t.tag == GS_PLACEHOLDER)
			json_object_set_new(o, "placeholder",
				json_stringn((const char *)t.p, t.len));
		else if (t.tag == GS_ENV)
			add_text(env, &t);
		else if (t.tag == GS_HOST)
			add_text(hosts, &t);
		else if (t.tag == GS_CUSTOM)
			(void)tlv_u32(&t, &custom);
		else if (t.tag == GS_TIME)
			(void)tlv_u64(&t, &time);
	}
	json_object_set_new(
		o, "type", json_string(custom ? "custom" : "service"));
	json_object_set_new(o, "sandbox", json_string(own ? l->sandbox : ""));
	json_object_set_new(o, "env", env);
	json_object_set_new(o, "hosts", hosts);
	json_object_set_new(o, "set_at", json_time(time));
	json_array_append_new(l->list, o);
}

int secrets_list(
	struct daemon *d, struct sandbox *sb, json_t **ret, struct err *err)
{
	struct listing l = {json_array(), sb ? sb->row.name : ""};
	int r = each(d, sb, list_one, &l, err);

	if (r < 0)
		json_decref(l.list);
	else
		*ret = l.list;
	return r;
}

static void env_one(void *arg, const struct tlv *record, bool own)
{
	struct tlv_iter it = tlv_iter(record->p, record->len);
	char placeholder[129] = "";
	struct tlv t;

	while (tlv_next(&it, &t) > 0)
		if (t.tag == GS_PLACEHOLDER && t.len < sizeof(placeholder))
			memcpy(placeholder, t.p, t.len);
	it = tlv_iter(record->p, record->len);
	while (tlv_next(&it, &t) > 0) {
		_cleanup_free_ char *name = NULL;

		if (t.tag == GS_ENV && tlv_str(&t, 255, &name) == 0)
			json_object_set_new(
				arg, name, json_string(placeholder));
	}
}

json_t *secrets_env(struct daemon *d, struct sandbox *sb)
{
	json_t *o = json_object();
	struct err err = {0};

	if (each(d, sb, env_one, o, &err) < 0)
		log_error("no secrets: %s", err.text);
	return o;
}

/* ---- for the gate ---- */

/* Names that the gate must sign for; many or "everything" means no bound. */
struct bound {
	struct policy_target t[NAMES_MAX_BOUND];
	size_t n;
	bool open;
};

static void bind_name(struct bound *b, const struct hostname *name)
{
	if (b->n < NAMES_MAX_BOUND)
		b->t[b->n++].name = *name;
	else
		b->open = true;
}

static void bind_target(struct bound *b, const struct policy_target *t)
{
	struct hostname host;

	switch (t->kind) {
	case TARGET_NAME:
	case TARGET_ONE_LABEL:
	case TARGET_SUBTREE:
		bind_name(b, &t->name);
		break;
	case TARGET_HOST:
		if (name_parse(POLICY_HOST_NAME, strlen(POLICY_HOST_NAME),
			    &host) == 0)
			bind_name(b, &host);
		break;
	case TARGET_ANY:
		b->open = true;
		break;
	case TARGET_CIDR:
		break; /* no certificate names them */
	}
}

static void bind_record(void *arg, const struct tlv *record, bool own)
{
	struct tlv_iter it = tlv_iter(record->p, record->len);
	struct policy_target target;
	struct tlv t;

	while (tlv_next(&it, &t) > 0) {
		_cleanup_free_ char *text = NULL;

		if (t.tag == GS_HOST && tlv_str(&t, 512, &text) == 0 &&
			policy_target_parse(text, &target, NULL) == 0)
			bind_target(arg, &target);
	}
}

static void bind_rules(struct sandbox *sb, struct bound *b)
{
	_cleanup_(policies_done) struct policies p = {0};

	if (policies_all(sb->d, sb, &p, NULL) < 0)
		return;
	for (size_t i = 0; i < p.n; i++)
		if (p.rules[i].n_methods || p.rules[i].path[0])
			bind_target(b, &p.rules[i].target);
}

static void write_record(void *arg, const struct tlv *record, bool own)
{
	int *fd = arg;

	if (*fd >= 0 &&
		fd_write_all(
			*fd, record->p - TLV_HEAD, TLV_HEAD + record->len) < 0)
		closep(fd);
}

static int write_signer(
	struct sandbox *sb, const struct bound *b, int fd, struct err *err)
{
	const char *names[NAMES_MAX_BOUND];
	struct ca_text t = {NULL, NULL};
	struct buf out;
	int r;

	for (size_t i = 0; i < b->n; i++)
		names[i] = b->t[i].name.s;
	/* Nothing to open: a name that nobody can have. */
	if (!b->open && b->n == 0)
		names[0] = "nothing.invalid";
	r = authority_signer(sb->d, sb->row.name, names,
		b->open ? 0 : MAX(b->n, (size_t)1), &t, err);
	if (r < 0)
		return r;
	buf_init(&out, 262144);
	(void)buf_reserve(&out, 131072);
	(void)tlv_put_str(&out, GK_SIGNER_KEY, t.key);
	r = tlv_put_str(&out, GK_SIGNER_CERT, t.cert);
	r = r ? r : fd_write_all(fd, buf_head(&out), buf_len(&out));
	sodium_memzero(out.data, out.cap);
	buf_done(&out);
	ca_text_free(&t);
	return r < 0 ? err_sys(err, -r, "keys of the gate") : 0;
}

int secrets_keys_fd(struct sandbox *sb, int *ret, struct err *err)
{
	_cleanup_close_ int fd = memfd_create("keys", MFD_CLOEXEC);
	_cleanup_free_ struct bound *b = xnew(struct bound);
	int r;

	if (fd < 0)
		return err_sys(err, errno, "memfd");
	r = each(sb->d, sb, bind_record, b, err);
	bind_rules(sb, b);
	r = r ? r : write_signer(sb, b, fd, err);
	r = r ? r : each(sb->d, sb, write_record, &fd, err);
	if (r == 0 && fd < 0)
		r = err_set(err, EIO, "keys of the gate");
	if (r == 0)
		*ret = TAKE_FD(fd);
	return r;
}
