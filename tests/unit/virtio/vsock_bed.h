/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock_bed - a vsock device between a guest that the test plays packet by
 * packet and a directory of real Unix sockets. Nothing waits for time: a few
 * rounds of the loop carry everything that is on its way to its end.
 */
#ifndef TESTS_VIRTIO_VSOCK_BED_H
#define TESTS_VIRTIO_VSOCK_BED_H

#include "driver.h"
#include "virtio/vsock.h"

#include <linux/virtio_vsock.h>

#define BED_RX_LEN (44u + 4096u)

struct bed {
	struct vdev_host host;
	struct loop loop;
	struct task stop;
	struct ram ram;
	struct driver rx, tx, ev;
	struct vsock *vs;
	char dir[64];
	int dir_fd;
	int listen_fd;
	unsigned notified[3];
	unsigned failed;
	uint64_t rx_buf[256]; /* guest address by head */
	uint64_t tx_buf;
};

struct packet {
	struct virtio_vsock_hdr h;
	uint8_t data[4096];
};

/* Starts all queues and offers n_rx receive buffers. */
void bed_init(struct bed *b, unsigned n_rx);
void bed_done(struct bed *b);
/* Runs the loop until nothing is left to do. */
void bed_run(struct bed *b);
/* Offers n more receive buffers and kicks. */
void bed_offer(struct bed *b, unsigned n);

/* Guest to device, from guest_port to host_port; credit of 1 MiB. */
void bed_send(struct bed *b, uint16_t op, uint32_t guest_port,
	uint32_t host_port, uint32_t flags, const void *data, uint32_t len);
/* The same with a header of the caller's own making. */
void bed_send_raw(struct bed *b, const void *head, uint32_t head_len,
	const void *data, uint32_t len);
/* The next packet for the guest; false when there is none. */
bool bed_recv(struct bed *b, struct packet *ret);
/* Receives one and asserts what it is. */
void bed_expect(struct bed *b, uint16_t op, struct packet *ret);
void bed_expect_nothing(struct bed *b);

/* A host socket that has written CONNECT port. */
int bed_dial(struct bed *b, uint32_t port);
/* The whole handshake with guest port; *ret_host_port names it. */
int bed_connect(struct bed *b, uint32_t port, uint32_t *ret_host_port);
/* A listener at vsock.sock_port. */
int bed_listen(struct bed *b, uint32_t port);
/* Reads what is there; -EAGAIN nothing, 0 end. */
ssize_t bed_read(int fd, void *p, size_t len);

#endif
