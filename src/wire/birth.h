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

#include "base/err.h"
#include "base/fd.h"
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
	/*
	 * cove-vmm; it also takes BT_VSOCK_LISTEN, BT_RUN_DIR, BT_CONSOLE_LOG,
	 * BT_EXPORT, BT_GUEST_UID and BT_GUEST_GID.
	 */
	BT_VMM_KVM = 40,     /* u32 fd index: /dev/kvm, O_RDWR */
	BT_VMM_KERNEL = 41,  /* u32 fd index: uncompressed vmlinux */
	BT_VMM_INITRD = 42,  /* u32 fd index, optional */
	BT_VMM_CMDLINE = 43, /* str */
	BT_VMM_MEMORY = 44,  /* u64 bytes, a multiple of 1 MiB */
	BT_VMM_CPUS = 45,    /* u32 */
	BT_VMM_DISK = 46,    /* nested, repeated, at most BIRTH_DISKS */
	BT_VMM_BOOT = 47,    /* u32: 0 64-bit Linux entry (default), 1 PVH */
	BT_VMM_CONTROL = 48, /* u32 fd index: listening SEQPACKET, wire/vmm.h */
	BT_VMM_STATUS = 49,  /* u32 fd index: gets one line, how it ended */
	/* Continue a snapshot instead of booting; both, as SAVE wrote them. */
	BT_VMM_STATE = 50,     /* u32 fd index, O_RDONLY */
	BT_VMM_STATE_RAM = 51, /* u32 fd index, O_RDONLY; never changes */
	/* cove-gate */
	BT_GATE_EGRESS = 60, /* u32 fd index: listening vsock.sock_3128 */
	BT_GATE_DNS = 61,    /* u32 fd index: listening vsock.sock_53 */
	BT_GATE_CONTROL =
		62,       /* u32 fd index: listening SEQPACKET, wire/gate.h */
	BT_GATE_DIR = 63, /* u32 fd index: O_PATH dir of names and net.log */
	BT_GATE_POLICY = 64,    /* u32 fd index: file with the rules */
	BT_GATE_RATE_UP = 65,   /* u64 bytes a second, 0 = no limit */
	BT_GATE_RATE_DOWN = 66, /* u64 */
	BT_GATE_QUOTA = 67,     /* u64 bytes, 0 = no limit */
	BT_GATE_PROXY = 70,     /* str: the host's proxy; see gate/upstream.h */
	BT_GATE_NO_PROXY = 71,  /* str */
	BT_GATE_ASK = 69,       /* u32: 1 = ask about what no rule speaks of */
	BT_GATE_RUN = 68,       /* u32 fd index: O_PATH dir with vsock.sock */
	BT_GATE_KEYS = 72,      /* u32 fd index, optional: as in KEYS, gate.h */
	BT_GATE_ROOTS = 73,     /* u32 fd index, at most 2: trusted CAs, PEM */
};

/* Inside BT_EXPORT. */
enum birth_export_tag {
	BE_FD = 1,    /* u32 fd index: O_PATH of the directory or file */
	BE_NAME = 2,  /* str: component below the share's root, "0", "1", ... */
	BE_FLAGS = 3, /* u32 AMF_RO, AMF_FILE */
};

/* Inside BT_VMM_DISK, in the guest's order: /dev/vda, /dev/vdb, ... */
enum birth_disk_tag {
	BD_FD = 1,     /* u32 fd index: a regular file, O_RDONLY or O_RDWR */
	BD_SERIAL = 2, /* str, at most 20 bytes: DISK_* in wire/agent.h */
	BD_FLAGS = 3,  /* u32 BDF_* */
};
#define BDF_RO 1u /* the device refuses writes */

#define BIRTH_DISKS 8u
#define BIRTH_EXPORTS 32u
#define CONSOLE_LOG_MAX (1024u * 1024u) /* bytes; the oldest half is dropped */

/* ---- the child's side ---- */

/*
 * For main() of a program that only coved starts: it takes --help and
 * --version. -1 when it may go on, else its exit status.
 */
int birth_arguments(const char *program, int argc, char **argv);

/* The descriptors of the message; what nobody claims is closed. */
struct birth_fds {
	int fd[FD_PASS_MAX];
	size_t n;
};
#define _cleanup_birth_fds_ _cleanup_(birth_fds_done)
void birth_fds_done(struct birth_fds *p);
/*
 * The descriptor whose index the record holds is the caller's; *ret was -1.
 * -EBADMSG when there is none, or it or *ret was taken before.
 */
int birth_claim(const struct tlv *t, struct birth_fds *p, int *ret);

/* A record of BT_EXPORT. */
struct birth_export {
	int fd; /* O_PATH */
	char *name;
	uint32_t flags; /* AMF_RO, AMF_FILE */
};
/*
 * Reads one more into list, which has room for BIRTH_EXPORTS and *n of them so
 * far. What it read is the caller's also after a failure. 0 or -EBADMSG.
 */
int birth_export(const struct tlv *t, struct birth_fds *p,
	struct birth_export *list, size_t *n);
void birth_exports_done(struct birth_export *list, size_t *n);
/* A string that may come once. 0 or -EBADMSG. */
int birth_str(const struct tlv *t, size_t max, char **ret);

/*
 * Receives the message on sock and gives every field of it to fn, which returns
 * 0, also for a tag that it does not know (of a newer coved), or -errno. The
 * version is checked here. program names us in texts. 0 or -errno with text.
 */
typedef int birth_field_fn(void *arg, const struct tlv *t, struct birth_fds *p);
int birth_read(int sock, const char *program, birth_field_fn *fn, void *arg,
	struct err *err);
/* Tells the parent that the child serves, or why it does not. */
void birth_answer(int sock, const struct err *err);

#endif
