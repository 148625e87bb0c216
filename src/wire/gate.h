/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate - what coved says to a running cove-gate on its control socket: one
 * frame (wire/frame.h) with a TLV body a record (SOCK_SEQPACKET), each answered
 * in order. The gate listens; the coved that comes after the one that started
 * it connects again. One client at a time: a new one replaces the old.
 *
 *   POLICY   comes with one descriptor, a file with the rules (policy.h) that
 *            speak of this sandbox. DONE when they are in force, also on open
 *            streams; FAILED leaves the old ones.
 *   LIMITS   GT_RATE_UP, GT_RATE_DOWN, GT_QUOTA; DONE
 *   STATS    STATS with GT_*
 *   PORTS    GT_PORT*, with one listening socket each: they take the place of
 *            the ones before. DONE
 *   PORTS_TAKE  PORTS with the listeners that are there, for a new coved
 *   ASK      from the gate, unasked: GT_TARGET GT_TARGET_PORT GT_UDP waits for
 *            GATE_ASK_MS; the same may come again while it does
 *   ANSWER   the same and GT_ALLOW, for what waits now; DONE
 *   KEYS     comes with one descriptor, a file with GK_*: the signer and the
 *            secrets of this sandbox. The gate wipes the file when it has read
 *            it. DONE, or FAILED leaves the old ones.
 *   NOTE     GT_TARGET GT_ALLOW GT_TEXT: goes into the log, path "ssh-agent".
 *            DONE
 *   EVENT    from the gate, unasked: GT_EVENT GT_TEXT
 */
#ifndef WIRE_GATE_H
#define WIRE_GATE_H

#include "wire/frame.h"
#include "wire/tlv.h"

enum gate_frame {
	GF_DONE = 1,
	GF_FAILED = 2, /* GT_ERRNO, GT_TEXT */
	GF_POLICY = 3,
	GF_LIMITS = 4,
	GF_STATS = 5,
	GF_EVENT = 6,
	GF_PORTS = 7,
	GF_PORTS_TAKE = 8,
	GF_ASK = 9,
	GF_ANSWER = 10,
	GF_KEYS = 11,
	GF_NOTE = 12,
};

enum gate_tag {
	GT_ERRNO = 1,     /* u32 */
	GT_TEXT = 2,      /* str */
	GT_EVENT = 3,     /* str */
	GT_RATE_UP = 4,   /* u64 bytes a second, 0 = no limit */
	GT_RATE_DOWN = 5, /* u64 */
	GT_QUOTA = 6,     /* u64 bytes both ways, 0 = no limit */
	/* STATS, all u64 */
	GT_STREAMS = 10, /* open now */
	GT_OPENED = 11,
	GT_DENIED = 12,
	GT_BYTES_UP = 13, /* from the guest */
	GT_BYTES_DOWN = 14,
	GT_QUERIES = 15,
	/* ASK, ANSWER */
	GT_TARGET = 16,      /* str: a name or an address */
	GT_TARGET_PORT = 17, /* u32 */
	GT_UDP = 18,         /* u32: 0 TCP, 1 UDP */
	GT_ALLOW = 19,       /* u32: 0 no, 1 yes */
	GT_PORT = 20,        /* nested, GP_*: a published port */
};

/* Inside GT_PORT. */
enum gate_port_tag {
	GP_FD = 1,    /* u32 fd index: listening TCP or bound UDP socket */
	GP_GUEST = 2, /* u32: the guest's port */
	GP_UDP = 3,   /* u32: 0 TCP, 1 UDP */
};

/* In the file of KEYS. */
enum gate_key_tag {
	GK_SIGNER_KEY = 1,  /* str, PEM */
	GK_SIGNER_CERT = 2, /* str, PEM */
	GK_SECRET = 3,      /* nested, GS_*, repeated */
};

/* Inside GK_SECRET. */
enum gate_secret_tag {
	GS_NAME = 1,        /* str, for the log */
	GS_HOST = 2,        /* str, a target of policy.h; repeated */
	GS_USE = 3,         /* str, repeated; see gate/vault.h */
	GS_PLACEHOLDER = 4, /* str, what stands for it in the guest */
	GS_VALUE = 5,       /* str */
	/* Kept by coved, skipped by the gate. */
	GS_ENV = 6,    /* str, repeated: variables that hold the placeholder */
	GS_CUSTOM = 7, /* u32 1: made by set-custom */
	GS_TIME = 8,   /* u64 ns since the epoch: when it was set */
};

#define GATE_KEYS_MAX (1u << 20) /* bytes of the file */
#define GATE_SECRETS_MAX 256u
#define GATE_SECRET_HOSTS 32u
#define GATE_SECRET_USES 16u
#define GATE_SECRET_MAX 8192u      /* bytes of a value */
#define GATE_CONTROL_MAX 4096u     /* a record */
#define GATE_PORTS_MAX 64u         /* listeners */
#define GATE_ASK_MS 60000u         /* a question that nobody answers */
#define GATE_POLICY_MAX (4u << 20) /* bytes of rules */

#endif
