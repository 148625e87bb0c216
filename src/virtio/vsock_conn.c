/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/vsock_internal.h"

#include <assert.h>
#include <errno.h>

/* Host ports of connections that the host began, as Firecracker counts. */
#define FIRST_PORT (1u << 30)

static struct vsock_conn **bucket(
	struct vsock *vs, uint32_t guest_port, uint32_t host_port)
{
	uint32_t h = (guest_port ^ host_port * 0x9e3779b1u) * 0x85ebca6bu;

	return &vs->bucket[(h >> 16) % VSOCK_BUCKETS];
}

struct vsock_conn *conn_find(
	struct vsock *vs, uint32_t guest_port, uint32_t host_port)
{
	struct vsock_conn *c = *bucket(vs, guest_port, host_port);

	while (c && (c->guest_port != guest_port || c->host_port != host_port))
		c = c->next;
	return c;
}

void conn_enter(struct vsock_conn *c, uint32_t guest_port, uint32_t host_port,
	enum vsock_state state)
{
	struct vsock_conn **b = bucket(c->vs, guest_port, host_port);

	assert(!c->hashed && !conn_find(c->vs, guest_port, host_port));
	c->guest_port = guest_port;
	c->host_port = host_port;
	c->state = state;
	c->hashed = true;
	c->next = *b;
	*b = c;
}

static void conn_leave(struct vsock_conn *c)
{
	struct vsock_conn **p;

	vsock_forget_held(c);
	if (!c->hashed)
		return;
	p = bucket(c->vs, c->guest_port, c->host_port);
	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	c->next = NULL;
	c->hashed = false;
}

uint32_t conn_port(struct vsock *vs, uint32_t guest_port)
{
	uint32_t port;

	/* There are far more ports than connections. */
	do {
		if (vs->next_port < FIRST_PORT)
			vs->next_port = FIRST_PORT;
		port = vs->next_port++;
	} while (conn_find(vs, guest_port, port));
	return port;
}

static struct vsock_conn *take_slot(struct vsock *vs)
{
	struct vsock_conn *c;

	/* A guest that lets closed ones linger: the oldest makes room. */
	if (!vs->free && vs->n_touched == VSOCK_CONNS &&
		!list_empty(&vs->closing))
		conn_free(list_entry(
			vs->closing.next, struct vsock_conn, closing));
	c = vs->free;
	if (c)
		vs->free = c->next;
	else if (vs->n_touched < VSOCK_CONNS)
		c = &vs->conn[vs->n_touched++];
	return c;
}

static uint32_t choose_credit(struct vsock *vs)
{
	if (vs->promised + VSOCK_LARGE > VSOCK_LARGE_TOTAL)
		return VSOCK_SMALL;
	vs->promised += VSOCK_LARGE;
	return VSOCK_LARGE;
}

int conn_new(struct vsock *vs, int fd, struct vsock_conn **ret)
{
	struct vsock_conn *c = take_slot(vs);

	if (!c) {
		close(fd);
		return -ENFILE;
	}
	*c = (struct vsock_conn){.vs = vs,
		.fd = fd,
		.state = VC_HANDSHAKE,
		.burst = 1,
		.alloc = choose_credit(vs)};
	list_init(&c->run);
	list_init(&c->closing);
	vs->stats.conns++;
	/* Edges: what is readable is remembered, and read when there is room. */
	if (loop_watch(vs->loop, &c->watch, fd, EPOLLIN | EPOLLRDHUP | EPOLLET,
		    host_event) < 0) {
		conn_free(c);
		return -ENFILE;
	}
	*ret = c;
	return 0;
}

static void close_socket(struct vsock_conn *c)
{
	loop_unwatch(c->vs->loop, &c->watch);
	closep(&c->fd);
	free(c->ring);
	c->ring = NULL;
	c->ring_len = 0;
	c->readable = false;
}

void conn_free(struct vsock_conn *c)
{
	struct vsock *vs = c->vs;

	assert(c->state != VC_FREE);
	conn_leave(c);
	close_socket(c);
	list_del(&c->run);
	list_del(&c->closing);
	vs->n_locals -= c->local;
	if (c->alloc == VSOCK_LARGE)
		vs->promised -= VSOCK_LARGE;
	c->state = VC_FREE;
	c->next = vs->free;
	vs->free = c;
	vs->stats.conns--;
}

void conn_settle(struct vsock_conn *c)
{
	if (c->state != VC_DRAIN || c->owes)
		return;
	if (!c->ring_len)
		conn_free(c);
}

void conn_drain(struct vsock_conn *c, uint8_t owes)
{
	conn_leave(c);
	list_del(&c->closing);
	list_del(&c->run);
	c->state = VC_DRAIN;
	c->owes = 0;
	c->readable = false;
	if (!c->ring_len)
		close_socket(c);
	if (owes)
		vsock_owe(c, owes);
	else
		conn_settle(c);
}

void conn_reset(struct vsock_conn *c)
{
	close_socket(c);
	conn_drain(c, OWE_RST);
}

void conn_close_host(struct vsock_conn *c)
{
	close_socket(c);
	c->state = VC_CLOSING;
	c->host_eof = true;
	list_del(&c->closing);
	list_add_tail(&c->vs->closing, &c->closing);
	vsock_owe(c, OWE_SHUTDOWN);
}
