/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the vsock device among themselves:
 *   vsock.c       the device: queues, packets from the guest
 *   vsock_conn.c  the table of connections and their host sockets
 *   vsock_rx.c    packets to the guest, in turns
 *
 * A connection's life. Every state but FREE has a slot; HASHED ones are found
 * by their two ports.
 *
 *   HANDSHAKE  host socket accepted, its CONNECT line not complete
 *   REQUEST    hashed; REQUEST owed or sent, the guest has not answered
 *   OPEN       hashed; bytes flow
 *   CLOSING    hashed; the host side is gone, SHUTDOWN owed or sent, waiting
 *              for the guest's RST; no socket
 *   DRAIN      not hashed: over for the guest, but an RST is still owed to it
 *              or kept bytes still go to the host
 */
#ifndef VIRTIO_VSOCK_INTERNAL_H
#define VIRTIO_VSOCK_INTERNAL_H

#include "virtio/vsock.h"

#include "wire/wire.h"
#include <linux/virtio_vsock.h>

/*
 * Credit given to a connection, which is also the most we keep for it. Early
 * ones get the large one; together they stay below 2 * VSOCK_LARGE_TOTAL.
 */
#define VSOCK_LARGE (256u * 1024u)
#define VSOCK_SMALL (16u * 1024u)
#define VSOCK_LARGE_TOTAL (64u * 1024u * 1024u)
#define VSOCK_BUCKETS 2048u
#define VSOCK_STRAYS 128u
#define VSOCK_HDR sizeof(struct virtio_vsock_hdr)
/* Chains filled by one read of a host socket. */
#define VSOCK_BURST 64u
#define VSOCK_IOV 1024u

enum vsock_state {
	VC_FREE,
	VC_HANDSHAKE,
	VC_REQUEST,
	VC_OPEN,
	VC_CLOSING,
	VC_DRAIN,
};

/* Control packets that a connection still has to send. */
#define OWE_REQUEST 1u
#define OWE_RESPONSE 2u
#define OWE_CREDIT 4u
#define OWE_SHUTDOWN 8u
#define OWE_RST 16u

struct vsock_conn {
	struct watch watch; /* the host socket; edge-triggered */
	struct vsock *vs;
	struct list run;     /* in vs->run while there is something to send */
	struct list closing; /* in vs->closing while CLOSING */
	struct vsock_conn *next; /* in its bucket, or in vs->free */
	int fd;
	uint32_t guest_port;
	uint32_t host_port;
	enum vsock_state state;
	uint8_t owes;
	uint8_t shut_sent;  /* VIRTIO_VSOCK_SHUTDOWN_* told to the guest */
	uint8_t shut_guest; /* told by the guest */
	bool hashed;
	bool local;     /* no handshake on the host socket */
	bool readable;  /* the socket may hold bytes or an end of file */
	bool host_eof;  /* nothing more to read from the host */
	bool host_gone; /* the host closed both directions */
	uint8_t burst;  /* chains to try next time */
	/* towards the guest */
	uint32_t peer_alloc;
	uint32_t peer_fwd;
	uint32_t sent;
	/* from the guest */
	uint32_t alloc;
	uint32_t fwd;
	uint32_t fwd_told;
	uint8_t *ring; /* alloc bytes, there while the host is slow */
	uint32_t ring_at;
	uint32_t ring_len;
};

/* A reset for a packet that belongs to no connection. */
struct vsock_stray {
	uint32_t guest_port;
	uint32_t host_port;
	uint16_t type;
};

/* What one turn has collected: chains and the room for data in them. */
struct vsock_burst {
	struct vsock_conn *conn;
	unsigned n_chains;
	unsigned n_iov;  /* used of chain_iov */
	unsigned n_data; /* used of data_iov */
	uint32_t room;
	uint32_t len; /* read from the host */
	struct vq_chain chain[VSOCK_BURST];
	struct iovec chain_iov[VSOCK_IOV];
	struct iovec data_iov[VSOCK_IOV];
};

struct vsock {
	struct vdev dev;
	struct vsock_hooks hooks;
	struct loop *loop;
	struct watch listener;
	struct timer accept_timer;
	struct task rx_task;   /* serves the line after the events in hand */
	struct task tx_task;   /* goes on with the tx queue in the next round */
	bool tx_blocked;       /* no room for another reset */
	struct task fail_task; /* a ring is broken: ends all connections */
	int listen_fd;
	int run_dir;
	uint32_t next_port;
	uint64_t promised; /* sum of large credits */
	struct vsock_stats stats;
	struct list run;         /* connections in turn */
	struct list closing;     /* oldest first */
	struct vsock_conn *conn; /* VSOCK_CONNS slots, touched as needed */
	uint32_t n_touched;
	struct vsock_conn *free; /* by next */
	struct vsock_conn **bucket;
	unsigned n_strays;
	unsigned first_stray;
	struct vsock_stray stray[VSOCK_STRAYS];
	unsigned n_locals;
	bool holding;
	/* A transport reset was sent and not seen yet: nobody may come in. */
	bool resetting;
	uint16_t event_offered; /* when it was sent */
	/* Scratch of one turn; the second one while the first is held. */
	struct vsock_burst *burst;
	struct vsock_burst *held;
};

static inline struct vq *vsock_vq(struct vsock *vs, unsigned q)
{
	return &vs->dev.q[q].vq;
}
/* Both rings run and make sense. */
static inline bool vsock_up(struct vsock *vs)
{
	const struct vq *rx = vsock_vq(vs, VSOCK_Q_RX);
	const struct vq *tx = vsock_vq(vs, VSOCK_Q_TX);

	return rx->live && !rx->broken && tx->live && !tx->broken;
}
static inline uint32_t vsock_credit(const struct vsock_conn *c)
{
	uint32_t flying = c->sent - c->peer_fwd;

	return flying < c->peer_alloc ? c->peer_alloc - flying : 0;
}

/* vsock_conn.c: the table */
struct vsock_conn *conn_find(
	struct vsock *vs, uint32_t guest_port, uint32_t host_port);
/* In state HANDSHAKE. Takes fd over, also on failure (-ENFILE: full). */
int conn_new(struct vsock *vs, int fd, struct vsock_conn **ret);
void conn_free(struct vsock_conn *c);
/* Gives the connection its ports, which no other one has, and a new state. */
void conn_enter(struct vsock_conn *c, uint32_t guest_port, uint32_t host_port,
	enum vsock_state state);
/* A host port that no connection to guest_port uses. */
uint32_t conn_port(struct vsock *vs, uint32_t guest_port);
/*
 * Over for the guest, which may still be owed a packet: kept bytes go on to
 * the host, then the connection is freed.
 */
void conn_drain(struct vsock_conn *c, uint8_t owes);
/* Over for both: the guest is sent an RST. */
void conn_reset(struct vsock_conn *c);
/* Frees a draining connection that has nothing left to do. */
void conn_settle(struct vsock_conn *c);
/* The host side is done: closes the socket, tells the guest, waits for RST. */
void conn_close_host(struct vsock_conn *c);

/* vsock_host.c: the host's sockets */
void host_event(struct loop *l, struct watch *w, uint32_t events);
void host_accept(struct loop *l, struct watch *w, uint32_t events);
int host_listen(struct vsock *vs);
/* Connects to vsock.sock_P; a socket or -errno. */
int host_dial(struct vsock *vs, uint32_t port);
/* Takes len bytes from the guest, which fit the credit. */
void host_take(
	struct vsock_conn *c, struct iovec *iov, unsigned n_iov, uint32_t len);
/* The guest accepted: tells the host and opens. */
void host_established(struct vsock_conn *c);
/* Passes the guest's end of data on, once nothing is kept. */
void host_end_of_data(struct vsock_conn *c);
/* Nothing more comes from the host: owes the guest the word. */
void host_eof(struct vsock_conn *c);

/* vsock_rx.c: packets to the guest */
/* The connection has something for the guest. */
void vsock_wake(struct vsock_conn *c);
/* Owes a control packet. */
void vsock_owe(struct vsock_conn *c, uint8_t what);
void vsock_reset_stray(struct vsock *vs, uint32_t guest_port,
	uint32_t host_port, uint16_t type);
/* Serves the line once the events in hand are done. */
void vsock_rx_later(struct vsock *vs);
void vsock_rx_task(struct loop *l, struct task *t);

/* The connection of a held burst is going: its chains stay unused. */
void vsock_forget_held(struct vsock_conn *c);

/* vsock.c: packets from the guest */
/* The guest broke a ring: nobody on the host shall wait for it. */
void vsock_fail(struct vsock *vs, unsigned q);
void vsock_tx_task(struct loop *l, struct task *t);

#endif
