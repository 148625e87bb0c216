/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssh - requests to an SSH agent (draft-ietf-sshm-ssh-agent, section 3), as far
 * as a sandbox may make them: list the keys, sign with one. Pure; the input
 * comes from a guest and is hostile.
 */
#ifndef WIRE_SSH_H
#define WIRE_SSH_H

#include "base/util.h"

#define SSH_HEAD 4u                /* the length, big-endian */
#define SSH_MSG_MAX (256u * 1024u) /* as OpenSSH's agent: without the length */
#define SSH_FAILURE 5u             /* the answer to what is refused */
#define SSH_KEY_MAX (16u * 1024u)  /* a public key, certificates as well */

enum ssh_request_kind {
	SSH_REFUSED, /* known or not: it is not passed on */
	SSH_LIST,
	SSH_SIGN,
};

struct ssh_request {
	enum ssh_request_kind kind;
	uint8_t type;
	const uint8_t *key; /* SSH_SIGN: the public key; in the message */
	size_t key_len;
};

/* The length of the message behind these SSH_HEAD bytes; 0: not possible. */
size_t ssh_length(const uint8_t *head);
/* A whole message without its length. */
struct ssh_request ssh_request_read(const uint8_t *p, size_t len);

#endif
