/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream - one connection of the guest to the world: header, verdict, address,
 * dial, relay. The verdict is taken once, and again when the rules change: a
 * stream that is not allowed any more is reset.
 *
 *   HEAD -> [ASK ->] (DENY | LOOKUP -> DIAL -> RELAY) -> freed by the loop
 *
 * A connection to a published port is one as well (ports.h): KNOCK -> RELAY.
 *
 * Nothing is buffered while both sides keep up: bytes go through the gate's
 * one scratch buffer, and only what a slow reader left over is kept (at most
 * GATE_SCRATCH each way), while nothing more is read for it. Loop thread only.
 */
#ifndef GATE_STREAM_H
#define GATE_STREAM_H

#include "base/buf.h"
#include "gate/dial.h"
#include "gate/gate.h"
#include "gate/request.h"
#include "gate/sni.h"
#include "wire/egress.h"

#define STREAM_HEAD_MS 10000u
#define STREAM_DENY_MS 5000u /* for a denied client to say what it speaks */

enum stream_state {
	ST_HEAD,
	ST_LOOKUP,
	ST_DIAL,
	ST_RELAY,
	ST_OPEN, /* its requests are read: open.h */
	ST_DENY,
	ST_PROXY, /* the host's proxy is asked (through.h) */
	ST_UDP,   /* datagrams (udp.h) */
	ST_ASK,   /* a person decides (ask.h) */
	ST_KNOCK, /* a published port: the guest is being asked */
	ST_DRAIN, /* the refusal was written; until the guest closes */
	ST_DEAD,
};

/* One side. out: what must still be written to it. */
struct side {
	struct watch w; /* fd -1: not there */
	struct buf out;
	bool eof;  /* nothing more comes from it */
	bool shut; /* it was told that nothing more comes */
};

struct stream {
	struct list link; /* gate.streams */
	struct gate *g;
	enum stream_state state;
	struct side guest, net;
	uint8_t head[EGRESS_HEAD];
	uint8_t head_len;
	bool by_name;
	bool inbound;  /* from a published port; addr is who connected */
	bool sniffing; /* the first bytes of the guest are not judged yet */
	bool judged;   /* rules look at its methods or paths */
	bool throttled;
	bool through;    /* the host's proxy */
	unsigned step;   /* ST_PROXY: of the talk */
	bool approved;   /* by a person, only this once */
	bool no_rule;    /* refused because no rule allows it */
	uint16_t status; /* of the HTTP answer to a refused stream */
	uint16_t port;
	struct address addr; /* that the guest dialled, then the real one */
	struct hostname name;
	struct buf first;   /* sniffing: the guest's first bytes */
	struct open *open;  /* ST_OPEN; owned */
	struct asked asked; /* by the newest judged request */
	char rule[POLICY_ID_LEN];
	char reason[160];
	uint64_t up, down;
	uint64_t active_ms;  /* ST_UDP: the last datagram */
	struct limit *limit; /* of its rule; NULL: none */
	struct peer *peer;   /* sender to a published UDP port; owned */
	struct lookup lookup;
	struct dial *dial;
	struct timer timer;
	struct task free_task;
};

/* Takes the descriptor of the guest's side over; NULL: it could not. */
struct stream *stream_new(struct gate *g, int fd);
/* Resets it at once; verdict for the log, or NULL for none. */
void stream_reset(struct stream *s, const char *verdict, const char *reason);
/* Tokens may be there again. */
void streams_wake(struct gate *g);
void streams_done(struct gate *g);

/* Between stream.c and judge.c. */
void stream_wait(struct stream *s, enum stream_state state);
void stream_relay(struct stream *s, int fd); /* takes the connection over */
void stream_refuse(struct stream *s);
void stream_drop_net(struct stream *s);
void stream_note(struct stream *s, const char *verdict, const char *reason);

/* For open.c: what a side waits for; tokens; the end after the last word. */
void stream_want(struct stream *s, struct side *side, uint32_t events);
/* Bytes that may move now, at most want; 0: it was put to wait for tokens. */
size_t stream_may_move(struct stream *s, bool up, size_t want);
/* Counts what moved: true when a quota is used up. */
bool stream_moved(struct stream *s, bool up, size_t n);
bool stream_over_quota(const struct stream *s);
void stream_drain(struct stream *s, const char *verdict);

/* deny.c: bytes of an HTTP answer that says no, in words. */
void deny_answer(const struct stream *s, bool keep, struct buf *out);
void deny_body(const struct stream *s, struct buf *out);
const char *deny_rule(const struct stream *s);
bool deny_speaks_http(const uint8_t *p, size_t len);
/* "example.com:443"; returns buf. */
const char *stream_target(const struct stream *s, char *buf, size_t len);

/* query.c: a DNS stream. */
void query_new(struct gate *g, int fd);
void queries_done(struct gate *g);

#endif
