/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/resolve.h"

#include "base/fd.h"
#include <ares.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#define SOCKS_MAX 32u
#define HOSTS_MAX (1024u * 1024u)
#define TRY_MS 2000
#define TRIES 3
#define KNOWN_MAX 32u
#define KNOWN_S 60 /* no answer is believed for longer */

/* An answer for as long as its time to live says. */
struct known {
	struct hostname name;
	struct address addrs[RESOLVE_MAX];
	size_t n;
	uint64_t until_ms;
};

struct slot {
	struct watch w;
	struct resolver *r;
	bool used;
};

struct resolver {
	struct loop *loop;
	ares_channel channel;
	char *hosts;
	struct known known[KNOWN_MAX];
	size_t next_known; /* the slot that is used next */
	struct slot slots[SOCKS_MAX];
	struct timer timer;
};

/* Survives its asker: c-ares has no cancel for one query. */
struct lookup_ticket {
	struct lookup *lookup; /* NULL: nobody waits any more */
	struct resolver *r;
	struct hostname name;
};

static const uint8_t v4_mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void arm(struct resolver *r);

static void on_timer(struct loop *l, struct timer *t)
{
	struct resolver *r = container_of(t, struct resolver, timer);

	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	arm(r);
}

static void arm(struct resolver *r)
{
	struct timeval tv, *due = ares_timeout(r->channel, NULL, &tv);

	if (!due)
		loop_untimer(r->loop, &r->timer);
	else
		loop_timer(r->loop, &r->timer,
			(uint64_t)due->tv_sec * 1000u +
				(uint64_t)due->tv_usec / 1000u + 1,
			on_timer);
}

static void on_socket(struct loop *l, struct watch *w, uint32_t events)
{
	struct slot *s = container_of(w, struct slot, w);
	struct resolver *r = s->r;
	ares_socket_t fd = w->fd;

	ares_process_fd(r->channel,
		events & (EPOLLIN | EPOLLHUP | EPOLLERR) ? fd : ARES_SOCKET_BAD,
		events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
	arm(r);
}

static struct slot *slot_of(struct resolver *r, ares_socket_t fd)
{
	struct slot *unused = NULL;

	for (size_t i = 0; i < SOCKS_MAX; i++) {
		if (r->slots[i].used && r->slots[i].w.fd == fd)
			return &r->slots[i];
		if (!r->slots[i].used && !unused)
			unused = &r->slots[i];
	}
	return unused;
}

static void on_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct resolver *r = arg;
	struct slot *s = slot_of(r, fd);
	uint32_t events =
		(readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);

	if (!s)
		return; /* more sockets than resolvers: it times out */
	if (events == 0) {
		loop_unwatch(r->loop, &s->w);
		s->used = false;
		return;
	}
	if (s->w.active) {
		loop_rewatch(r->loop, &s->w, events);
		return;
	}
	s->r = r;
	s->used = loop_watch(r->loop, &s->w, fd, events, on_socket) == 0;
}

int resolver_new(struct loop *loop, struct resolver **ret, struct err *err)
{
	static char dns_only[] = "b";
	struct resolver *r = xnew(struct resolver);
	struct ares_options o = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
		.timeout = TRY_MS,
		.tries = TRIES,
		.lookups = dns_only,
		.sock_state_cb = on_state,
		.sock_state_cb_data = r,
	};
	int rc = ares_library_init(ARES_LIB_INIT_ALL);

	r->loop = loop;
	if (rc == ARES_SUCCESS)
		rc = ares_init_options(&r->channel, &o,
			ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
				ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);
	if (rc != ARES_SUCCESS) {
		free(r);
		return err_set(err, EIO, "resolver: %s", ares_strerror(rc));
	}
	if (fd_slurp_at(AT_FDCWD, "/etc/hosts", HOSTS_MAX, &r->hosts) < 0)
		r->hosts = xstrdup("");
	*ret = r;
	return 0;
}

void resolver_free(struct resolver *r)
{
	if (!r)
		return;
	loop_untimer(r->loop, &r->timer);
	ares_destroy(r->channel);
	ares_library_cleanup();
	free(r->hosts);
	free(r);
}

/* hosts(5): an address and names on a line. */
static bool line_has(
	char *line, const struct hostname *name, struct address *ret)
{
	char *save = NULL, *w;
	struct hostname n;

	line[strcspn(line, "#")] = '\0';
	w = strtok_r(line, " \t\r", &save);
	if (!w || address_parse(w, strlen(w), ret) < 0)
		return false;
	while ((w = strtok_r(NULL, " \t\r", &save)))
		if (name_parse(w, strlen(w), &n) == 0 && name_equal(&n, name))
			return true;
	return false;
}

size_t hosts_find(const char *text, const struct hostname *name,
	struct address *out, size_t max)
{
	size_t n = 0;

	while (*text && n < max) {
		size_t len = strcspn(text, "\n");
		_cleanup_free_ char *line = xstrndup(text, len);

		n += line_has(line, name, &out[n]);
		text += len + (text[len] == '\n');
	}
	return n;
}

static const struct known *known_find(
	const struct resolver *r, const struct hostname *name)
{
	for (size_t i = 0; i < KNOWN_MAX; i++)
		if (name_equal(&r->known[i].name, name))
			return now_ms() < r->known[i].until_ms ? &r->known[i]
							       : NULL;
	return NULL;
}

static void known_keep(struct resolver *r, const struct hostname *name,
	const struct address *addrs, size_t n, int ttl_s)
{
	struct known *k = NULL;

	for (size_t i = 0; i < KNOWN_MAX && !k; i++)
		if (name_equal(&r->known[i].name, name))
			k = &r->known[i];
	if (!k)
		k = &r->known[r->next_known++ % KNOWN_MAX];
	k->name = *name;
	k->n = n;
	memcpy(k->addrs, addrs, n * sizeof(*addrs));
	k->until_ms = now_ms() + 1000u * (uint64_t)MIN(ttl_s, KNOWN_S);
}

/* *ret_ttl_s: the shortest. */
static size_t take_addresses(const struct ares_addrinfo *info,
	struct address out[RESOLVE_MAX], int *ret_ttl_s)
{
	size_t n = 0;
	int ttl = KNOWN_S;

	for (const struct ares_addrinfo_node *i = info ? info->nodes : NULL;
		i && n < RESOLVE_MAX; i = i->ai_next) {
		ttl = MIN(ttl, i->ai_ttl);
		if (i->ai_family == AF_INET) {
			const struct sockaddr_in *sa = (const void *)i->ai_addr;

			memcpy(out[n].b, v4_mapped, 12);
			memcpy(out[n++].b + 12, &sa->sin_addr, 4);
		} else if (i->ai_family == AF_INET6) {
			const struct sockaddr_in6 *sa =
				(const void *)i->ai_addr;

			memcpy(out[n++].b, &sa->sin6_addr, 16);
		}
	}
	*ret_ttl_s = ttl;
	return n;
}

static void on_answer(
	void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	struct lookup_ticket *t = arg;
	struct lookup *l = t->lookup;
	struct address addrs[RESOLVE_MAX];
	size_t n = 0;
	int ttl_s = 0;

	if (status == ARES_SUCCESS)
		n = take_addresses(info, addrs, &ttl_s);
	if (n > 0 && ttl_s > 0)
		known_keep(t->r, &t->name, addrs, n, ttl_s);
	if (info)
		ares_freeaddrinfo(info);
	free(t);
	if (!l)
		return;
	l->ticket = NULL;
	l->fn(l, addrs, n,
		status == ARES_SUCCESS ? "no address" : ares_strerror(status));
}

void lookup_begin(struct resolver *r, struct lookup *l,
	const struct hostname *name, lookup_fn *fn)
{
	struct ares_addrinfo_hints hints = {
		.ai_flags = ARES_AI_NOSORT, .ai_family = AF_UNSPEC};
	struct address addrs[RESOLVE_MAX];
	size_t n = hosts_find(r->hosts, name, addrs, RESOLVE_MAX);
	const struct known *k = n ? NULL : known_find(r, name);

	if (k) {
		n = k->n;
		memcpy(addrs, k->addrs, sizeof(addrs));
	}
	l->fn = fn;
	if (n > 0) {
		fn(l, addrs, n, "");
		return;
	}
	l->ticket = xnew(struct lookup_ticket);
	*l->ticket = (struct lookup_ticket){l, r, *name};
	ares_getaddrinfo(
		r->channel, name->s, NULL, &hints, on_answer, l->ticket);
	arm(r);
}

void lookup_cancel(struct lookup *l)
{
	if (!l->ticket)
		return;
	l->ticket->lookup = NULL;
	l->ticket = NULL;
}
