/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/ports.h"

#include "base/log.h"
#include "wire/gate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define PORTS_FILE "ports.json"
#define PORTS_FILE_MAX (16u * 1024u)
#define EPHEMERAL_TRIES 32u

/* One entry of the list, with up to two listeners: 127.0.0.1 and ::1. */
struct map {
	struct publish p;
	int fd[2];
};

struct ports {
	struct map map[SPEC_PORTS_MAX];
	size_t n;
};

/* ---- listeners ---- */

static socklen_t make_addr(
	const char *text, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *a4 = (void *)ret;
	struct sockaddr_in6 *a6 = (void *)ret;

	*ret = (struct sockaddr_storage){0};
	if (inet_pton(AF_INET, text, &a4->sin_addr) == 1) {
		a4->sin_family = AF_INET;
		a4->sin_port = htons(port);
		return sizeof(*a4);
	}
	(void)inet_pton(AF_INET6, text, &a6->sin6_addr);
	a6->sin6_family = AF_INET6;
	a6->sin6_port = htons(port);
	return sizeof(*a6);
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);

	if (fd < 0 || getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return 0;
	return ntohs(ss.ss_family == AF_INET6
			? ((struct sockaddr_in6 *)&ss)->sin6_port
			: ((struct sockaddr_in *)&ss)->sin_port);
}

/* With UDP a second socket could take the port over: no SO_REUSEADDR there. */
static int listen_at(const char *address, uint16_t port, int type, int *ret)
{
	struct sockaddr_storage ss;
	socklen_t len = make_addr(address, port, &ss);
	_cleanup_close_ int fd =
		socket(ss.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool udp = type == SOCK_DGRAM;
	int one = 1;

	if (fd < 0)
		return -errno;
	if (!udp)
		(void)setsockopt(
			fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (ss.ss_family == AF_INET6)
		(void)setsockopt(
			fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 ||
		(!udp && listen(fd, SOMAXCONN) < 0))
		return -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

/* The host has no IPv6 at all, or not on loopback: then without. */
static bool no_v6(int r)
{
	return r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT;
}

/* Both loopbacks with the same port; 0 is any that is free on both. */
static int listen_both(uint16_t port, int type, int fd[2])
{
	int r = -EADDRINUSE;

	for (unsigned i = 0; i < (port ? 1 : EPHEMERAL_TRIES); i++) {
		if (fd[0] < 0)
			r = listen_at("127.0.0.1", port, type, &fd[0]);
		else
			r = 0;
		if (r < 0)
			return r;
		if (fd[1] < 0)
			r = listen_at("::1", port_of(fd[0]), type, &fd[1]);
		if (r == 0 || no_v6(r))
			return 0;
		closep(&fd[0]);
		if (r != -EADDRINUSE)
			return r;
	}
	return r;
}

static bool is_open(const struct map *m)
{
	return m->fd[0] >= 0 || m->fd[1] >= 0;
}

static void map_close(struct map *m)
{
	closep(&m->fd[0]);
	closep(&m->fd[1]);
}

static int listen_port(struct map *m, uint16_t port)
{
	int type = m->p.udp ? SOCK_DGRAM : SOCK_STREAM;

	if (m->p.address[0])
		return listen_at(m->p.address, port, type, &m->fd[0]);
	return listen_both(port, type, m->fd);
}

static int refuse(const struct publish *p, int r, struct err *err)
{
	const char *where = p->address[0] ? p->address : "localhost";

	if (r == -EADDRINUSE)
		return err_set(err, EADDRINUSE,
			"%sport %u of %s is taken by another program (ss "
			"-l%cnp shows which); free it, or publish to another "
			"port",
			p->udp ? "UDP " : "", p->host_port, where,
			p->udp ? 'u' : 't');
	if (r == -EACCES)
		return err_set(err, EACCES,
			"port %u of %s may be opened by root only; publish to "
			"a port from 1024 on",
			p->host_port, where);
	if (r == -EADDRNOTAVAIL)
		return err_set(err, EADDRNOTAVAIL,
			"this host has no address %s; see: ip addr", where);
	return err_sys(err, -r, "publish port %u on %s port %u", p->port, where,
		p->host_port);
}

/* An ephemeral port stays the same as long as nobody else takes it. */
static int map_open(struct map *m, struct err *err)
{
	int r = -EADDRINUSE;

	if (is_open(m))
		return 0;
	if (m->p.host_port == 0 && m->p.last)
		r = listen_port(m, m->p.last);
	if (r < 0)
		r = listen_port(m, m->p.host_port);
	if (r < 0)
		return refuse(&m->p, r, err);
	m->p.last = port_of(m->fd[0]);
	return 0;
}

/* ---- the list ---- */

static int read_file(struct sandbox *sb, struct publish **ret, size_t *ret_n,
	struct err *err)
{
	_cleanup_free_ char *path = sandbox_dir(sb);
	_cleanup_free_ char *file = xasprintf("%s/" PORTS_FILE, path);
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ json_t *j = NULL;
	ssize_t n = fd_slurp_at(AT_FDCWD, file, PORTS_FILE_MAX, &text);
	int r;

	if (n == -ENOENT) { /* never changed */
		*ret = xcalloc(sb->spec.n_publish + 1, sizeof(**ret));
		*ret_n = sb->spec.n_publish;
		if (*ret_n)
			memcpy(*ret, sb->spec.publish, *ret_n * sizeof(**ret));
		return 0;
	}
	if (n < 0)
		return err_sys(err, (int)-n, "%s", file);
	r = json_read(text, (size_t)n, &j, err);
	r = r ? r : publish_read(j, ret, ret_n, err);
	return r < 0 ? err_wrap(err, "%s", file) : 0;
}

static int get(struct sandbox *sb, struct ports **ret, struct err *err)
{
	_cleanup_free_ struct publish *list = NULL;
	size_t n = 0;
	int r;

	if (!sb->ports) {
		r = read_file(sb, &list, &n, err);
		if (r < 0)
			return r;
		sb->ports = xnew(struct ports);
		for (size_t i = 0; i < n; i++)
			sb->ports->map[i] =
				(struct map){.p = list[i], .fd = {-1, -1}};
		sb->ports->n = n;
	}
	*ret = sb->ports;
	return 0;
}

static int save(struct sandbox *sb, const struct ports *p, struct err *err)
{
	struct publish list[SPEC_PORTS_MAX];
	_cleanup_free_ char *path = sandbox_dir(sb);
	_cleanup_close_ int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_json_ json_t *j = NULL;
	_cleanup_free_ char *text = NULL;
	int r;

	for (size_t i = 0; i < p->n; i++)
		list[i] = p->map[i].p;
	j = publish_json(list, p->n);
	text = json_dumps(j, JSON_COMPACT);
	r = dir < 0 ? -errno
		    : fd_replace_at(dir, PORTS_FILE, text, strlen(text), 0600);
	return r < 0 ? err_sys(err, -r, "%s/" PORTS_FILE, path) : 0;
}

static void close_all(struct ports *p)
{
	for (size_t i = 0; i < p->n; i++)
		map_close(&p->map[i]);
}

int ports_open(struct sandbox *sb, bool strict, struct err *err)
{
	struct ports *p;
	struct err why = {0};
	bool changed = false;
	int r = get(sb, &p, err);

	for (size_t i = 0; r == 0 && i < p->n; i++) {
		uint16_t last = p->map[i].p.last;

		r = map_open(&p->map[i], &why);
		changed = changed || last != p->map[i].p.last;
		if (r == 0 || strict)
			continue;
		sandbox_event(sb, "port.busy", why.text);
		r = 0;
	}
	if (r < 0 && strict && sb->ports) {
		close_all(sb->ports);
		if (why.code)
			*err = why;
		return err_wrap(err, "published ports of '%s'", sb->row.name);
	}
	/* Not to be lost at the next start, but nothing depends on it. */
	if (r == 0 && changed && save(sb, p, &why) < 0)
		log_warn("sandbox=%s: %s", sb->row.name, why.text);
	return r;
}

int ports_check(const struct publish *p, size_t n, struct err *err)
{
	struct ports all = {.n = 0};
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		all.map[i] = (struct map){.p = p[i], .fd = {-1, -1}};
		all.n = i + 1;
		r = map_open(&all.map[i], err);
	}
	close_all(&all);
	return r;
}

void ports_close(struct sandbox *sb)
{
	if (sb->ports)
		close_all(sb->ports);
}

void ports_free(struct sandbox *sb)
{
	ports_close(sb);
	free(TAKE_PTR(sb->ports));
}

/* ---- the gate ---- */

size_t ports_put(struct sandbox *sb, struct buf *b, int fds[])
{
	const struct ports *p = sb->ports;
	size_t n = 0;

	for (size_t i = 0; p && i < 2 * p->n; i++) {
		const struct map *m = &p->map[i / 2];
		size_t mark;

		if (m->fd[i % 2] < 0)
			continue;
		mark = tlv_begin(b, GT_PORT);
		(void)tlv_put_u32(b, GP_FD, (uint32_t)n);
		(void)tlv_put_u32(b, GP_GUEST, m->p.port);
		(void)tlv_put_u32(b, GP_UDP, m->p.udp);
		tlv_end(b, mark);
		fds[n++] = m->fd[i % 2];
	}
	return n;
}

/* The place of a listener that a gate has; NULL: it is not on the list. */
static int *place_of(struct ports *p, int fd, uint32_t guest)
{
	struct sockaddr_storage ss = {0}, want;
	socklen_t len = sizeof(ss);
	socklen_t int_len = sizeof(int);
	int type = 0;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0 ||
		getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &int_len) < 0)
		return NULL;
	for (size_t i = 0; i < 2 * p->n; i++) {
		struct map *m = &p->map[i / 2];
		const char *a = m->p.address[0] ? m->p.address
			: i % 2                 ? "::1"
						: "127.0.0.1";

		if (m->fd[i % 2] >= 0 || m->p.port != guest ||
			m->p.udp != (type == SOCK_DGRAM))
			continue;
		len = make_addr(a, m->p.last, &want);
		if (memcmp(&ss, &want, len) == 0)
			return &m->fd[i % 2];
	}
	return NULL;
}

static int read_port(const struct tlv *t, uint32_t *ret_fd, uint32_t *ret_guest)
{
	struct tlv_iter it = tlv_iter(t->p, t->len);
	struct tlv f;
	int r;

	while ((r = tlv_next(&it, &f)) > 0) {
		if (f.tag == GP_FD)
			r = tlv_u32(&f, ret_fd);
		else if (f.tag == GP_GUEST)
			r = tlv_u32(&f, ret_guest);
		if (r < 0)
			return r;
	}
	return r;
}

void ports_adopt(struct sandbox *sb, const void *body, size_t len, int fds[],
	size_t n_fds)
{
	struct tlv_iter it = tlv_iter(body, len);
	struct ports *p;
	struct tlv t;

	if (get(sb, &p, NULL) < 0)
		return;
	while (tlv_next(&it, &t) > 0) {
		uint32_t i = UINT32_MAX, guest = 0;
		int *place;

		if (t.tag != GT_PORT || read_port(&t, &i, &guest) < 0 ||
			i >= n_fds || fds[i] < 0)
			continue;
		place = place_of(p, fds[i], guest);
		if (place)
			*place = TAKE_FD(fds[i]);
	}
}

/* ---- changes ---- */

static bool same(const struct publish *a, const struct publish *b)
{
	return a->port == b->port && a->host_port == b->host_port &&
		a->udp == b->udp && streq(a->address, b->address);
}

/* What --unpublish names: a port of the guest, or one mapping of it. */
static bool named(const struct publish *p, const struct publish *what)
{
	if (p->port != what->port || p->udp != what->udp)
		return false;
	if (what->host_port && what->host_port != p->host_port &&
		what->host_port != p->last)
		return false;
	return !what->address[0] || streq(p->address, what->address);
}

/* The list as it will be; listeners stay with the entries that stay. */
static int plan(const struct ports *old, const struct publish *add,
	size_t n_add, const struct publish *del, size_t n_del,
	struct ports *ret, struct err *err)
{
	bool gone[SPEC_PORTS_MAX] = {false};

	ret->n = 0;
	for (size_t d = 0; d < n_del; d++) {
		bool any = false;

		for (size_t i = 0; i < old->n; i++)
			if (named(&old->map[i].p, &del[d]))
				any = gone[i] = true;
		if (!any)
			return err_set(err, ENOENT,
				"port %u is not published that way; see: cove "
				"ports NAME",
				del[d].port);
	}
	for (size_t i = 0; i < old->n; i++)
		if (!gone[i])
			ret->map[ret->n++] = old->map[i];
	for (size_t a = 0; a < n_add; a++) {
		bool there = false;

		for (size_t i = 0; i < ret->n; i++)
			there = there || same(&ret->map[i].p, &add[a]);
		if (there)
			continue;
		if (ret->n == SPEC_PORTS_MAX)
			return err_set(err, ENOSPC,
				"more than %u published ports", SPEC_PORTS_MAX);
		ret->map[ret->n++] = (struct map){.p = add[a], .fd = {-1, -1}};
	}
	return 0;
}

static bool holds(const struct ports *p, const struct map *m)
{
	for (size_t i = 0; i < p->n; i++)
		if (same(&p->map[i].p, &m->p))
			return true;
	return false;
}

/* Closes the listeners of p that are not in keep. */
static void close_others(struct ports *p, const struct ports *keep)
{
	for (size_t i = 0; i < p->n; i++)
		if (!holds(keep, &p->map[i]))
			map_close(&p->map[i]);
}

int ports_change(struct sandbox *sb, const struct publish *add, size_t n_add,
	const struct publish *del, size_t n_del, struct err *err)
{
	struct ports *old, next;
	int r = get(sb, &old, err);

	r = r ? r : plan(old, add, n_add, del, n_del, &next, err);
	if (r < 0)
		return r;
	/* A port that is given up may be the one that is asked for. */
	for (size_t i = 0; i < next.n && r == 0; i++)
		r = holds(old, &next.map[i]) ? 0 : map_open(&next.map[i], err);
	r = r ? r : save(sb, &next, err);
	if (r < 0) {
		close_others(&next, old);
		return r;
	}
	close_others(old, &next);
	*old = next;
	return 0;
}

json_t *ports_json(struct sandbox *sb)
{
	json_t *list = json_array();
	struct ports *p;

	if (get(sb, &p, NULL) < 0)
		return list;
	for (size_t i = 0; i < p->n; i++) {
		const struct map *m = &p->map[i];

		json_array_append_new(list,
			json_pack("{s:s, s:i, s:i, s:s, s:b}", "address",
				m->p.address[0] ? m->p.address : "localhost",
				"host_port",
				m->p.host_port       ? m->p.host_port
					: is_open(m) ? m->p.last
						     : 0,
				"port", m->p.port, "protocol",
				publish_protocol(&m->p), "open", is_open(m)));
	}
	return list;
}
