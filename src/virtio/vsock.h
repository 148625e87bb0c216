/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock - the virtio socket device (virtio 1.2 section 5.10): stream sockets
 * between the guest (CID 3) and Unix sockets on the host (CID 2), in the
 * convention that Firecracker documents.
 *
 *   host to guest   connect to vsock.sock, write "CONNECT <port>\n", read
 *                   "OK <n>\n"; the socket closes when nobody listens inside
 *   guest to host   a connection to port P arrives at vsock.sock_P
 *
 * Bytes go straight between the rings and the sockets. What a host reader does
 * not take is kept in a ring of the connection, never more than the credit the
 * guest was given, so one slow reader costs the others nothing; what the guest
 * does not take stays in the host's socket. Half close passes both ways.
 *
 * Everything runs on the loop's thread. The guest is hostile: packets are
 * copied, checked and counted; a packet that breaks the rules costs its
 * connection, a broken ring the device.
 */
#ifndef VIRTIO_VSOCK_H
#define VIRTIO_VSOCK_H

#include "base/loop.h"
#include "virtio/dev.h"

#define VSOCK_CONNS 4096u
#define VSOCK_Q_RX 0u
#define VSOCK_Q_TX 1u
#define VSOCK_Q_EVENT 2u /* never live behind vhost-user: QEMU keeps it */

struct vsock;

struct vsock_stats {
	uint64_t rx_packets; /* to the guest */
	uint64_t rx_bytes;
	uint64_t tx_packets; /* from the guest */
	uint64_t tx_bytes;
	uint64_t dropped;    /* malformed, or addressed to nobody */
	uint64_t violations; /* connections reset for breaking the rules */
	uint32_t conns;
};

/*
 * listen_fd: the listening vsock.sock, run_dir: the directory of vsock.sock_P,
 * or AT_FDCWD for the working directory. Both stay the caller's and open.
 * Either may be -1: nobody comes in, every dial is refused.
 */
int vsock_new(struct loop *l, int listen_fd, int run_dir, struct vsock **ret);
/* Closes all connections. Outside of loop_run() only. */
void vsock_free(struct vsock *vs);
struct vdev *vsock_dev(struct vsock *vs);
const struct vsock_stats *vsock_stats(const struct vsock *vs);

/*
 * A stream to a guest port, without the CONNECT handshake: returns a socket
 * (close-on-exec, non-blocking) that the caller owns. It ends with end of file
 * when the guest refuses. -ENOTCONN before the driver is up, -ENFILE when the
 * table is full. Loop's thread only.
 */
int vsock_connect_local(struct vsock *vs, uint32_t port);

/*
 * Optional, to be set before the first kick. Loop's thread.
 *
 * opened: a connection became usable; from_guest tells who began it. It may
 * call vsock_connect_local().
 *
 * hold: asked when host bytes were read and before the guest gets them. True
 * holds all bytes of the host but those of local connections until
 * vsock_release(); control packets still pass.
 */
struct vsock_hooks {
	void (*opened)(void *arg, bool from_guest, uint32_t port);
	bool (*hold)(void *arg);
	void *arg;
};
void vsock_set_hooks(struct vsock *vs, const struct vsock_hooks *h);
void vsock_release(struct vsock *vs);
/* How many local connections are open or being opened. */
unsigned vsock_locals(const struct vsock *vs);

/*
 * Resets every connection and tells the driver so (after a restore). Until it
 * has taken note, new connections of the host wait to be accepted.
 */
void vsock_transport_reset(struct vsock *vs);

#endif
