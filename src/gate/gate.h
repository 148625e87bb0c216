/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate - what every part of cove-gate shares: one sandbox, one loop, one
 * thread. Streams come from the guest and are hostile from the first byte;
 * control messages come from coved. Everything that fails is a denial.
 */
#ifndef GATE_GATE_H
#define GATE_GATE_H

#include "base/loop.h"
#include "gate/audit.h"
#include "gate/birth.h"
#include "gate/names.h"
#include "gate/rate.h"
#include "gate/resolve.h"
#include "gate/upstream.h"
#include "gate/vault.h"
#include "policy/policy.h"
#include "tls/conn.h"
#include "wire/gate.h"

#define GATE_STREAMS_MAX 16384u
#define GATE_TLS_MAX 2048u /* opened streams: some ten KiB of TLS each */
#define GATE_SCRATCH (64u * 1024u)

struct counters {
	uint64_t opened;
	uint64_t denied;
	uint64_t up;
	uint64_t down;
	uint64_t queries;
	uint64_t dropped; /* malformed, or more than we take */
};

struct gate {
	struct loop loop;
	struct birth birth;
	struct policy_rule *rules; /* owned */
	struct policy policy;      /* looks at rules */
	struct names *names;
	struct vault *vault; /* NULL: no TLS is opened */
	/* Made when the first stream is opened. */
	struct tls_front *front;
	struct tls_roots *roots;
	size_t n_tls;
	struct audit audit;
	struct resolver *resolver;
	struct upstream upstream; /* the host's proxy */
	bool upstream_bad;        /* its setting is not understood */
	struct watch egress;
	struct watch dns;
	struct watch control;
	struct watch client; /* coved; fd -1 */
	uid_t uid;           /* whose coved it must be */
	struct list streams; /* struct stream.link */
	struct list queries; /* struct query.link: DNS streams */
	struct list limits;  /* struct limit.link: see limit.h */
	int limits_fd;       /* where they are kept for the next gate */
	uint32_t n_limit_lines;
	struct list ports; /* struct port.link: see ports.h */
	struct list peers; /* struct peer.link: see peer.h */
	size_t n_peers;
	size_t n_streams;
	struct timer throttle; /* wakes streams that wait for tokens */
	struct timer accept_again;
	struct rate up, down;
	uint64_t quota; /* bytes both ways; 0 = none */
	bool over_quota;
	int used_fd;        /* where the bytes are kept for the next gate */
	uint64_t used_kept; /* count of bytes when that was written */
	struct counters count;
	uint8_t *scratch; /* GATE_SCRATCH; within one callback only */
};

/* Before the jail: what must be opened by name. */
int gate_open(struct gate *g, struct err *err);
/* In the jail: log, journal, rules, listeners. */
int gate_build(struct gate *g, struct err *err);
int gate_jail(struct gate *g, int birth_fd, struct err *err);
void gate_done(struct gate *g);

/* Replaces the rules; the old ones stay when the text is refused. */
int gate_set_policy(struct gate *g, int fd, struct err *err);
/* Replaces signer and secrets, in the same way. */
int gate_set_keys(struct gate *g, int fd, struct err *err);
/* What opening TLS needs is there. */
int gate_ready_tls(struct gate *g, struct err *err);
void gate_limits(struct gate *g, uint64_t up, uint64_t down, uint64_t quota);
/* The byte counters grew: true when the quota is used up (and then all is). */
bool gate_spend(struct gate *g, uint64_t up, uint64_t down);

/* Out of descriptors: nothing is accepted for a moment. */
void gate_pause(struct gate *g);
/* ports.c */
void ports_listen(struct gate *g, bool on);

/* control.c */
int control_init(struct gate *g, struct err *err);
void control_done(struct gate *g);
/* -ENOTCONN when no coved listens. */
int control_send(struct gate *g, uint8_t type, const struct buf *body);
void control_event(struct gate *g, const char *event, const char *text);

#endif
