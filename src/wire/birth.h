/* SPDX-License-Identifier: Apache-2.0 */
/*
 * birth - the one config message that coved sends a child over the socket at
 * descriptor BIRTH_FD: a TLV body in one SOCK_SEQPACKET record together with
 * the descriptors that the child will ever hold. A record names a descriptor
 * by its index in the passed array. The child answers BIRTH_OK (one byte 1)
 * when it is jailed and serving, or a text that says why not.
 */
#ifndef WIRE_BIRTH_H
#define WIRE_BIRTH_H

#include "wire/tlv.h"

#define BIRTH_FD 3
#define BIRTH_MAX (64u * 1024u)
#define BIRTH_OK 1u

enum birth_tag {
	BT_VERSION = 1, /* u32 */
	BT_NAME = 2,    /* str: sandbox name, for log lines */
	/* cove-devices */
	BT_FS_SOCKET = 10,    /* u32 fd index: connected vhost-user stream */
	BT_VSOCK_SOCKET = 11, /* u32 fd index: connected vhost-user stream */
	BT_VSOCK_LISTEN = 12, /* u32 fd index: listening vsock.sock */
	BT_RUN_DIR = 13,     /* u32 fd index: O_PATH dir holding vsock.sock_P */
	BT_CONSOLE = 14,     /* u32 fd index: the guest's serial output */
	BT_CONSOLE_LOG = 15, /* u32 fd index: capped log, opened O_RDWR */
	BT_EXPORT = 16,      /* nested, repeated, at most BIRTH_EXPORTS */
	BT_GUEST_UID = 17,   /* u32: how the caller's uid looks in the guest */
	BT_GUEST_GID = 18,
};

/* Inside BT_EXPORT. */
enum birth_export_tag {
	BE_FD = 1,    /* u32 fd index: O_PATH of the directory or file */
	BE_NAME = 2,  /* str: component below the share's root, "0", "1", ... */
	BE_FLAGS = 3, /* u32 AMF_RO, AMF_FILE */
};

#define BIRTH_EXPORTS 32u
#define CONSOLE_LOG_MAX (1024u * 1024u) /* bytes; the oldest half is dropped */

#endif
