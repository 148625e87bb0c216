/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A DNS stream: messages with a length before each (RFC 1035 section 4.2.2),
 * answered from the rules and the map of names; nothing travels further.
 */
#include "gate/dns.h"
#include "gate/stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define QUERY_IDLE_MS 30000u
#define QUERY_TTL 60u
#define QUERY_OUT_MAX (32u * 1024u)

struct query {
	struct list link;
	struct gate *g;
	struct watch w;
	struct buf in;
	struct buf out;
	struct timer timer;
	struct task free_task;
};

static void free_later(struct loop *l, struct task *t)
{
	struct query *q = container_of(t, struct query, free_task);

	buf_done(&q->in);
	buf_done(&q->out);
	free(q);
}

static void query_close(struct query *q)
{
	struct loop *l = &q->g->loop;

	loop_unwatch(l, &q->w);
	closep(&q->w.fd);
	loop_untimer(l, &q->timer);
	list_del(&q->link);
	q->g->n_streams--;
	loop_defer(l, &q->free_task, free_later);
}

static void note_denied(struct gate *g, const struct dns_query *m,
	const struct policy_rule *rule)
{
	const struct audit_entry e = {
		.proto = "dns",
		.target = m->name.s,
		.path = "dns",
		.verdict = "deny",
		.rule = rule ? rule->id : "",
		.reason = rule ? "a rule denies it" : "no rule allows it",
	};

	g->count.denied++;
	/* Clients ask for both families at once: one line is enough. */
	if (m->type != DNS_AAAA)
		audit_write(&g->audit, &e);
}

/* The address in the form the question wants; its length. */
static size_t pick(const struct dns_query *m, const struct address *v4,
	const struct address *v6, uint8_t out[16])
{
	if (m->type == DNS_A) {
		memcpy(out, v4->b + 12, 4);
		return 4;
	}
	if (m->type == DNS_AAAA) {
		memcpy(out, v6->b, 16);
		return 16;
	}
	return 0; /* the name is there, such a record is not */
}

static size_t answer(
	struct gate *g, const struct dns_query *m, uint8_t out[DNS_MESSAGE_MAX])
{
	struct policy_question q = {.sandbox = g->birth.name,
		.proto = POLICY_TCP,
		.name = &m->name};
	struct address v4, v6;
	struct policy_answer a, udp;
	uint8_t addr[16];

	if (!m->is_name)
		return dns_answer(m, DNS_NXDOMAIN, NULL, 0, 0, out);
	a = policy_ask_any_port(&g->policy, &q);
	if (a.verdict == POLICY_DENY) {
		q.proto = POLICY_UDP;
		udp = policy_ask_any_port(&g->policy, &q);
		q.proto = POLICY_TCP;
		if (udp.verdict != POLICY_DENY)
			a = udp;
	}
	if (a.verdict == POLICY_DENY &&
		!(g->birth.ask && policy_is_unknown(&g->policy, &q))) {
		note_denied(g, m, a.rule);
		return dns_answer(m, DNS_NXDOMAIN, NULL, 0, 0, out);
	}
	if (names_assign(g->names, &m->name, &v4, &v6) < 0)
		return dns_answer(m, DNS_SERVFAIL, NULL, 0, 0, out);
	return dns_answer(
		m, DNS_OK, addr, pick(m, &v4, &v6, addr), QUERY_TTL, out);
}

/* 1 a message was answered, 0 more is needed, -errno the end. */
static int one(struct query *q)
{
	const uint8_t *p = buf_head(&q->in);
	uint8_t out[2 + DNS_MESSAGE_MAX];
	struct dns_query m;
	size_t len, n;
	int r;

	if (buf_len(&q->in) < 2)
		return 0;
	len = (size_t)p[0] << 8 | p[1];
	if (len > DNS_MESSAGE_MAX)
		return -EMSGSIZE;
	if (buf_len(&q->in) < 2 + len)
		return 0;
	r = dns_query_parse(p + 2, len, &m);
	buf_consume(&q->in, 2 + len);
	q->g->count.queries++;
	if (r < 0)
		return r;
	n = r == DNS_OK
		? answer(q->g, &m, out + 2)
		: dns_answer(&m, (enum dns_rcode)r, NULL, 0, 0, out + 2);
	out[0] = (uint8_t)(n >> 8);
	out[1] = (uint8_t)n;
	r = buf_put(&q->out, out, n + 2);
	return r < 0 ? r : 1;
}

static void on_idle(struct loop *l, struct timer *t)
{
	query_close(container_of(t, struct query, timer));
}

static void on_event(struct loop *l, struct watch *w, uint32_t events)
{
	struct query *q = container_of(w, struct query, w);
	ssize_t n = 1;
	int r = 1;

	if (buf_len(&q->out) == 0)
		n = buf_read_fd(&q->in, w->fd, 2 + DNS_MESSAGE_MAX);
	if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR)) {
		query_close(q);
		return;
	}
	while (r == 1)
		r = one(q);
	n = buf_len(&q->out) ? send(w->fd, buf_head(&q->out), buf_len(&q->out),
				       MSG_NOSIGNAL | MSG_DONTWAIT)
			     : 0;
	if (r < 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		q->g->count.dropped += r < 0;
		query_close(q);
		return;
	}
	buf_consume(&q->out, (size_t)MAX(n, 0));
	loop_rewatch(l, w, buf_len(&q->out) ? EPOLLOUT : EPOLLIN);
	loop_timer(l, &q->timer, QUERY_IDLE_MS, on_idle);
}

void query_new(struct gate *g, int fd)
{
	struct query *q = xnew(struct query);

	q->g = g;
	buf_init(&q->in, 2 * (2 + DNS_MESSAGE_MAX));
	buf_init(&q->out, QUERY_OUT_MAX);
	if (loop_watch(&g->loop, &q->w, fd, EPOLLIN, on_event) < 0) {
		closep(&fd);
		free(q);
		return;
	}
	list_add_tail(&g->queries, &q->link);
	g->n_streams++;
	loop_timer(&g->loop, &q->timer, QUERY_IDLE_MS, on_idle);
}

void queries_done(struct gate *g)
{
	while (!list_empty(&g->queries))
		query_close(list_entry(g->queries.next, struct query, link));
}
