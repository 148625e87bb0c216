/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent - what coved, the CLI and cove-init say to each other over vsock.
 * Frames (wire/frame.h) whose payload is a TLV body (wire/tlv.h), except the
 * stdio frames, whose payload is raw bytes.
 *
 * Control stream: the guest dials port PORT_CONTROL when it is up and sends
 * HELLO; the host answers CONFIG; the guest applies it and answers READY or
 * FAILED. The stream then stays open for SHUTDOWN, PING, CLOCK and EVENT. After
 * coved was restarted it connects to PORT_EXEC and sends CTL_RESUME as first
 * frame: that stream then is the control stream (the older one is dropped). A
 * guest that has not been configured yet says HELLO on it.
 *
 * Exec stream: the host connects to PORT_EXEC and sends EXEC, ATTACH, SIGNAL,
 * LIST, GET or PUT as first frame. Exactly one request per stream.
 *
 *   EXEC   -> STARTED, then STDOUT/STDERR*, then EXIT as the last frame.
 *             The host may send STDIN*, STDIN_EOF, WINSIZE, DETACH.
 *             Closing the stream hangs the process up (SIGHUP) unless DETACH
 *             was sent or EX_DETACHED was set; then output is kept in a replay
 *             buffer of AGENT_REPLAY bytes (the newest).
 *   ATTACH -> STARTED, replay, and on like EXEC. A second client replaces the
 *             first one.
 *   SIGNAL -> DONE or FAILED; goes to the session's process group.
 *   GET/PUT: a file tree, see copy/tree.h for the frames.
 *
 * Flow control is the stream's own: a side that cannot take more stops reading.
 */
#ifndef WIRE_AGENT_H
#define WIRE_AGENT_H

#include "wire/frame.h"
#include "wire/tlv.h"

enum agent_frame {
	/* control */
	AF_HELLO = 1,  /* guest: AT_VERSION AT_KERNEL AT_UPTIME_MS */
	AF_CONFIG = 2, /* host */
	AF_READY = 3,  /* guest: AT_UPTIME_MS */
	AF_FAILED = 4, /* either: AT_ERRNO AT_TEXT; ends the request */
	/* host: AT_TIMEOUT_MS; TERM, wait, KILL, sync, power off */
	AF_SHUTDOWN = 5,
	AF_PING = 6,  /* host: AT_ID */
	AF_PONG = 7,  /* guest: AT_ID AT_UPTIME_MS AT_MEM_* */
	AF_CLOCK = 8, /* host: AT_REALTIME_NS */
	AF_EVENT = 9, /* guest: AT_EVENT AT_TEXT, e.g. "oom", "quota.disk" */
	AF_CTL_RESUME = 10,
	AF_DONE = 11,
	/* exec */
	AF_EXEC = 32,
	AF_ATTACH = 33,  /* AT_ID */
	AF_SIGNAL = 34,  /* AT_ID AT_SIGNO */
	AF_STARTED = 35, /* AT_ID AT_PID */
	AF_STDIN = 36,
	AF_STDIN_EOF = 37,
	AF_STDOUT = 38,
	AF_STDERR = 39,
	AF_WINSIZE = 40, /* AT_ROWS AT_COLS */
	AF_DETACH = 41,
	AF_EXIT = 42, /* AT_STATUS: 0-255, or 128+signal; AT_SIGNO if killed */
	AF_LIST = 43, /* -> one AF_SESSION per session, then DONE */
	AF_SESSION = 44, /* AT_ID AT_PID AT_ARG* AT_STATUS if it ended */
	/* file trees */
	AF_GET = 64,   /* AT_PATH AT_USER? */
	AF_PUT = 65,   /* AT_PATH AT_USER? */
	AF_ENTRY = 66, /* AT_NAME AT_MODE AT_SIZE AT_MTIME_NS AT_TARGET? */
	AF_DATA = 67,
	AF_TREE_END = 68, /* AT_SIZE: entries left out */
	AF_UP = 69,       /* ends the directory entered last */
};

enum agent_tag {
	AT_VERSION = 1, /* u32, WIRE_VERSION */
	AT_ID = 2,      /* u32 */
	AT_TEXT = 3,    /* str */
	AT_ERRNO = 4,   /* u32, Linux x86-64 numbers */
	AT_UPTIME_MS = 5,
	AT_KERNEL = 6, /* str: uname -r */
	AT_TIMEOUT_MS = 7,
	AT_REALTIME_NS = 8,
	AT_EVENT = 9,
	AT_MEM_TOTAL = 10, /* u64 bytes */
	AT_MEM_FREE = 11,
	AT_PID = 12,
	AT_SIGNO = 13,
	AT_STATUS = 14,
	AT_ROWS = 15, /* u32 */
	AT_COLS = 16,
	/* exec request */
	AT_ARG = 32, /* str, repeated: argv */
	AT_ENV = 33, /* str K=V, repeated: added to the sandbox's environment */
	AT_CWD = 34, /* str */
	AT_USER = 35,  /* str: name, uid, or either with :group */
	AT_FLAGS = 36, /* u32 EX_* */
	/* config */
	AT_NAME = 64,       /* str: sandbox name, also the host name */
	AT_SANDBOX = 65,    /* str: UUID */
	AT_ENTROPY = 66,    /* bytes: credited to the kernel's pool */
	AT_MOUNT = 67,      /* nested, repeated: AM_* */
	AT_PIDS_MAX = 68,   /* u32 */
	AT_WORKDIR = 69,    /* str: default cwd of exec */
	AT_PATH = 70,       /* str */
	AT_MODE = 71,       /* u32 st_mode with type bits */
	AT_SIZE = 72,       /* u64 */
	AT_MTIME_NS = 73,   /* u64 since the epoch */
	AT_TARGET = 74,     /* str: symlink target */
	AT_AGENT_USER = 75, /* str: default user of exec ("agent") */
	AT_TRUST = 76,      /* str, PEM: an authority for the system's bundle */
	AT_TRUST_HASH = 77, /* str, 8 hex digits: its name in OpenSSL's way */
	AT_SSH_AGENT = 78,  /* u32 1: listen on SSH_AGENT_SOCKET */
};

/* Inside AT_MOUNT. */
enum agent_mount_tag {
	AM_EXPORT = 1, /* str: name of the export below the share's root */
	AM_TARGET = 2, /* str: absolute path in the guest */
	AM_FLAGS = 3,  /* u32 AMF_* */
};
#define AMF_RO 1u
#define AMF_FILE 2u /* the export is one file, not a directory */

/* In the guest; leads to PORT_SSH. */
#define SSH_AGENT_SOCKET "/run/ssh-agent.sock"

#define EX_TTY 1u
#define EX_STDIN 2u    /* keep stdin open; otherwise /dev/null */
#define EX_DETACHED 4u /* survive the stream, keep output for ATTACH */

#define AGENT_REPLAY (256u * 1024u)
#define AGENT_ARGV_MAX 4096u /* arguments, and environment entries */
#define AGENT_STR_MAX (32u * 1024u)
#define AGENT_NAME_MAX 255u /* one path component */
#define AGENT_PATH_MAX 4096u

/* Tag of the one virtio-fs device, and where init mounts it in the guest. */
#define SHARE_TAG "cove"
#define SHARE_DIR "/run/cove/share"
/* Serial numbers of the disks (VIRTIO_BLK_T_GET_ID, 20 bytes at most). */
#define DISK_ROOT "cove-root"     /* EROFS template, read-only */
#define DISK_UPPER "cove-disk"    /* ext4: overlay upper */
#define DISK_DOCKER "cove-docker" /* ext4: /var/lib/docker */

#endif
