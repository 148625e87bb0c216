/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost-user: the input is a sequence of messages of a front end that a guest
 * has taken over, with descriptors of every kind beside them.
 *
 * A message is: request, flags (1 wants a reply, 2 kicks all queues after it),
 * number of descriptors and their kind (two nibbles), payload length (le16),
 * payload.
 */
#include "base/log.h"
#include "devices/vhu.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define MEM (1u << 20)
#define MESSAGES 100

static int memory = -1;

static void config_read(struct vdev *d, uint32_t off, void *p, uint32_t len)
{
	static const char config[16] = "0123456789abcde";

	memcpy(p, config + off, len);
}

/* Uses what it finds as a device would. */
static void on_kick(struct vdev *d, unsigned q)
{
	struct iovec iov[VQ_IOV_MAX];
	struct vq_chain c;
	uint8_t b[64];

	for (int i = 0; i < 64; i++) {
		if (vq_pop(&d->q[q].vq, iov, VQ_IOV_MAX, &c) <= 0)
			break;
		(void)vq_iov_read(c.rd, c.n_rd, b, sizeof(b));
		(void)vq_iov_write(c.wr, c.n_wr, b, sizeof(b));
		(void)vq_push(&d->q[q].vq, &c, 0);
	}
	if (vq_should_notify(&d->q[q].vq))
		vdev_notify(d, q);
}

static const struct vdev_ops ops = {
	.name = "fuzz",
	.id = VIRTIO_ID_VSOCK,
	.queue_size = VQ_SIZE_MAX,
	.config_read = config_read,
	.kick = on_kick,
};

static void on_gone(struct vhu *v)
{
}

static int make_fd(unsigned kind)
{
	switch (kind & 3) {
	case 0:
		return fcntl(memory, F_DUPFD_CLOEXEC, 0);
	case 1:
		return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	case 2:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	default:
		return eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	}
}

/* Fills v->msg; the bytes used, or 0 when there is no message left. */
static size_t next_message(
	struct vhu *v, const uint8_t *p, size_t left, bool *ret_kick)
{
	size_t len;

	if (left < 5)
		return 0;
	memset(&v->msg, 0, sizeof(v->msg));
	len = MIN((size_t)(p[3] | p[4] << 8), left - 5);
	len = MIN(len, VHU_PAYLOAD_MAX);
	v->msg.head = (struct vhu_head){p[0],
		VHU_VERSION | (p[1] & 1 ? VHU_NEED_REPLY : 0), (uint32_t)len};
	memcpy((uint8_t *)&v->msg + sizeof(v->msg.head), p + 5, len);
	*ret_kick = p[1] & 2;
	v->n_fds = MIN(p[2] & 15, (int)VHU_REGIONS);
	for (size_t i = 0; i < v->n_fds; i++)
		v->fds[i] = make_fd(p[2] >> 4);
	return 5 + len;
}

static void on_stop(struct loop *l, struct task *t)
{
	loop_stop(l, 0);
}

static void run(struct loop *l)
{
	static struct task stop;

	loop_defer(l, &stop, on_stop);
	(void)loop_run(l);
}

static void play(struct vhu *v, const uint8_t *p, size_t left)
{
	bool kick;
	size_t n;

	for (int i = 0; i < MESSAGES; i++) {
		int r;

		n = next_message(v, p, left, &kick);
		if (!n)
			return;
		p += n;
		left -= n;
		r = vhu_handle(v);
		assert(v->n_fds == 0);
		assert(r <= 0 || v->msg.head.size <= VHU_PAYLOAD_MAX);
		/* A real one ends here; more is found by going on. */
		for (unsigned q = 0; kick && q < v->dev->n_queues; q++)
			vdev_kick(v->dev, q);
		run(v->loop);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vdev dev = {.ops = &ops,
		.features = VDEV_FEATURES,
		.config_len = 16,
		.n_queues = 3};
	static struct vhu v;
	struct loop l;
	int sv[2], r;

	if (memory < 0) {
		log_init("fuzz", LOG_L_ERROR);
		memory = memfd_create("ram", MFD_CLOEXEC);
		r = ftruncate(memory, MEM);
		assert(memory >= 0 && r == 0);
	}
	r = loop_init(&l);
	assert(r == 0);
	r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv);
	assert(r == 0);
	r = vhu_init(&v, &l, sv[0], &dev, on_gone);
	assert(r == 0);
	play(&v, data, size);
	vhu_done(&v);
	close(sv[1]);
	loop_done(&l);
	return 0;
}
