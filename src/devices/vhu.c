/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/vhu.h"

#include "base/fd.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>

/* QEMU keeps the file system's config space itself. */
static uint64_t our_protocol(const struct vhu *v)
{
	uint64_t p = VHU_P_MQ | VHU_P_REPLY_ACK | VHU_P_RESET_DEVICE;

	return v->dev->ops->id == VIRTIO_ID_FS ? p : p | VHU_P_CONFIG;
}

static void drop_fds(struct vhu *v)
{
	for (size_t i = 0; i < v->n_fds; i++)
		closep(&v->fds[i]);
	v->n_fds = 0;
}

/* The one descriptor of a message, or -1. */
static int take_fd(struct vhu *v)
{
	return v->n_fds == 1 ? TAKE_FD(v->fds[0]) : -1;
}

static void signal_fd(int fd)
{
	uint64_t one = 1;
	ssize_t n = fd < 0 ? 0 : write(fd, &one, sizeof(one));

	(void)n; /* full: the other side has not looked yet, and will */
}

static void on_notify(struct vdev_host *h, unsigned q)
{
	struct vhu *v = container_of(h, struct vhu, host);

	signal_fd(v->ring[q].call_fd);
}

static void on_failed(struct vdev_host *h, unsigned q)
{
	struct vhu *v = container_of(h, struct vhu, host);

	log_warn("%s: the guest broke queue %u; it needs a reset",
		v->dev->ops->name, q);
	signal_fd(v->ring[q].err_fd);
}

const struct vdev_host vhu_host = {.notify = on_notify, .failed = on_failed};

/* Edge-triggered: the count in the doorbell says nothing, so it stays. */
static void on_kick(struct loop *l, struct watch *w, uint32_t events)
{
	struct vhu_ring *r = container_of(w, struct vhu_ring, kick);

	vdev_kick(r->vhu->dev, (unsigned)(r - r->vhu->ring));
}

/*
 * The front end passes on what the driver wrote into registers. Nonsense there
 * costs the guest that ring, not everybody the connection.
 */
#define GUESTS_CHOICE (-ENXIO)

static int ring_start(struct vhu *v, unsigned i)
{
	struct vhu_ring *r = &v->ring[i];
	int ret;

	if (v->dev->q[i].vq.live || !r->enabled || r->kick_fd < 0 ||
		!r->has_addr || !r->cfg.size || !v->gm || v->no_driver)
		return 0;
	if (vdev_queue_start(v->dev, i, v->gm, &r->cfg, r->base, r->kick_fd) <
		0)
		return GUESTS_CHOICE;
	if (v->dev->ops->own_kicks)
		return 0;
	/* A kick from before now is an edge, too. */
	ret = loop_watch(
		v->loop, &r->kick, r->kick_fd, EPOLLIN | EPOLLET, on_kick);
	if (ret < 0)
		r->base = vdev_queue_stop(v->dev, i);
	return ret;
}

static void ring_stop(struct vhu *v, unsigned i)
{
	struct vhu_ring *r = &v->ring[i];

	loop_unwatch(v->loop, &r->kick);
	if (v->dev->q[i].vq.live)
		r->base = vdev_queue_stop(v->dev, i);
}

static void stop_all(struct vhu *v)
{
	for (unsigned i = 0; i < v->dev->n_queues; i++)
		ring_stop(v, i);
}

static void reset_device(struct vhu *v)
{
	stop_all(v);
	vdev_reset(v->dev);
}

/* Bit i is set while ring i runs. */
static unsigned live_rings(const struct vhu *v)
{
	unsigned live = 0;

	for (unsigned i = 0; i < v->dev->n_queues; i++)
		live |= (unsigned)v->dev->q[i].vq.live << i;
	return live;
}

/* The rings of the mask go on where they stopped. */
static int go_on(struct vhu *v, unsigned live)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < v->dev->n_queues; i++)
		if (live & 1u << i)
			r = ring_start(v, i);
	return r;
}

/* A new driver on rings of which some may run already: those go on. */
static void new_driver(struct vhu *v)
{
	unsigned live = live_rings(v);

	reset_device(v);
	for (unsigned i = 0; i < v->dev->n_queues; i++)
		if (!(live & 1u << i))
			v->ring[i].base = 0; /* once is enough */
	(void)go_on(v, live);
}

static struct vhu_ring *ring_at(struct vhu *v, uint64_t index)
{
	return index < v->dev->n_queues ? &v->ring[index] : NULL;
}

/* A stopped ring that the message may configure, or NULL. */
static struct vhu_ring *idle_ring(struct vhu *v, uint32_t index)
{
	if (!ring_at(v, index) || v->dev->q[index].vq.live)
		return NULL;
	return &v->ring[index];
}

static int reply(struct vhu *v, uint32_t size)
{
	v->msg.head.flags = VHU_VERSION | VHU_REPLY;
	v->msg.head.size = size;
	return 1;
}

static int reply_u64(struct vhu *v, uint64_t value)
{
	v->msg.u64 = value;
	return reply(v, sizeof(v->msg.u64));
}

/* A driver that took no sensible set of features gets no running ring. */
static int set_features(struct vhu *v)
{
	v->no_driver =
		vdev_ack_features(v->dev, v->msg.u64 & ~VHU_F_PROTOCOL) < 0;
	return v->no_driver ? GUESTS_CHOICE : 0;
}

static int map_memory(struct vhu *v, struct gmem *gm)
{
	const struct vhu_memory *m = &v->msg.memory;

	if (m->n > VHU_REGIONS || m->n != v->n_fds ||
		v->msg.head.size < 8 + m->n * sizeof(m->region[0]))
		return -EINVAL;
	for (uint32_t i = 0; i < m->n; i++) {
		const struct vhu_region *r = &m->region[i];
		uint64_t end;
		int ret;

		if (!add_ok(r->user, r->size, &end))
			return -EINVAL;
		ret = gmem_add_fd(gm, r->gpa, r->size, v->fds[i], r->offset);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int set_memory(struct vhu *v)
{
	_cleanup_(gmem_unrefp) struct gmem *gm = gmem_new();
	unsigned live = live_rings(v);
	int r = map_memory(v, gm);

	if (r < 0)
		return r;
	stop_all(v);
	gmem_unref(v->gm);
	v->gm = TAKE_PTR(gm);
	v->memory = v->msg.memory;
	return go_on(v, live);
}

/* Addresses come as the front end sees them; only numbers change hands. */
static int to_gpa(const struct vhu *v, uint64_t user, uint64_t *ret)
{
	for (uint32_t i = 0; i < v->memory.n; i++) {
		const struct vhu_region *r = &v->memory.region[i];

		if (user >= r->user && user - r->user < r->size) {
			*ret = r->gpa + (user - r->user);
			return 0;
		}
	}
	return -EFAULT;
}

static int set_addr(struct vhu *v)
{
	const struct vhu_vring_addr *a = &v->msg.addr;
	struct vhu_ring *r = idle_ring(v, a->index);
	struct vq_config cfg;
	int ret;

	if (!r)
		return -EINVAL;
	cfg = r->cfg;
	ret = to_gpa(v, a->desc, &cfg.desc);
	ret = ret ? ret : to_gpa(v, a->avail, &cfg.avail);
	ret = ret ? ret : to_gpa(v, a->used, &cfg.used);
	/* The guest chose them: a ring outside of its memory never runs. */
	r->has_addr = ret == 0;
	if (!r->has_addr)
		return GUESTS_CHOICE;
	r->cfg = cfg;
	return 0;
}

static int set_num(struct vhu *v)
{
	struct vhu_ring *r = idle_ring(v, v->msg.state.index);

	if (!r)
		return -EINVAL;
	r->cfg.size = 0;
	if (!v->msg.state.num || v->msg.state.num > VQ_SIZE_MAX)
		return GUESTS_CHOICE;
	r->cfg.size = (uint16_t)v->msg.state.num;
	return 0;
}

/*
 * Stopping looks the same for a paused machine and for a driver that starts
 * anew; a ring that was used and begins at zero again is the latter.
 */
static int set_base(struct vhu *v)
{
	struct vhu_ring *r = idle_ring(v, v->msg.state.index);

	if (!r || v->msg.state.num > UINT16_MAX)
		return -EINVAL;
	if (r->base && !v->msg.state.num)
		new_driver(v);
	r->base = (uint16_t)v->msg.state.num;
	return 0;
}

static int get_base(struct vhu *v)
{
	struct vhu_ring *r = ring_at(v, v->msg.state.index);

	if (!r)
		return -EINVAL;
	ring_stop(v, v->msg.state.index);
	closep(&r->kick_fd);
	v->msg.state.num = r->base;
	return reply(v, sizeof(v->msg.state));
}

static int set_kick(struct vhu *v)
{
	struct vhu_ring *r = ring_at(v, v->msg.u64 & VHU_VRING_MASK);
	int fd = take_fd(v);

	if (!r || (fd < 0) != !!(v->msg.u64 & VHU_VRING_NOFD) ||
		(fd >= 0 && fd_nonblock(fd, true) < 0)) {
		closep(&fd);
		return -EINVAL;
	}
	ring_stop(v, (unsigned)(r - v->ring));
	closep(&r->kick_fd);
	r->kick_fd = fd;
	/* Without a doorbell the rings would have to be polled: refused. */
	return fd < 0 ? -EOPNOTSUPP : ring_start(v, (unsigned)(r - v->ring));
}

/* The number stays, so that workers may write to it at any moment. */
static int set_call(struct vhu *v)
{
	struct vhu_ring *r = ring_at(v, v->msg.u64 & VHU_VRING_MASK);
	_cleanup_close_ int fd = take_fd(v);

	if (!r)
		return -EINVAL;
	if (fd < 0)
		fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0 || fd_nonblock(fd, true) < 0 ||
		dup3(fd, r->call_fd, O_CLOEXEC) < 0)
		return -errno;
	return 0;
}

static int set_err(struct vhu *v)
{
	struct vhu_ring *r = ring_at(v, v->msg.u64 & VHU_VRING_MASK);
	int fd = take_fd(v);

	if (!r || (fd >= 0 && fd_nonblock(fd, true) < 0)) {
		closep(&fd);
		return -EINVAL;
	}
	closep(&r->err_fd);
	r->err_fd = fd;
	return 0;
}

static int set_enable(struct vhu *v)
{
	struct vhu_ring *r = ring_at(v, v->msg.state.index);

	if (!r)
		return -EINVAL;
	r->enabled = v->msg.state.num;
	if (r->enabled)
		return ring_start(v, v->msg.state.index);
	ring_stop(v, v->msg.state.index);
	return 0;
}

/* A reply of size 0 means "failed" (QEMU checks the size it asked for). */
static int get_config(struct vhu *v)
{
	struct vhu_config *c = &v->msg.config;
	uint32_t len = c->size;

	if (len > VHU_CONFIG_MAX || v->msg.head.size < VHU_CONFIG_HEAD)
		return -EINVAL;
	if (vdev_config_read(v->dev, c->offset, c->data, len) < 0)
		return reply(v, 0);
	return reply(v, VHU_CONFIG_HEAD + len);
}

static int set_config(struct vhu *v)
{
	struct vhu_config *c = &v->msg.config;

	if (c->size > VHU_CONFIG_MAX ||
		v->msg.head.size < VHU_CONFIG_HEAD + c->size)
		return -EINVAL;
	return vdev_config_write(v->dev, c->offset, c->data, c->size);
}

static int dispatch(struct vhu *v)
{
	switch ((enum vhu_request)v->msg.head.request) {
	case VHU_GET_FEATURES:
		return reply_u64(v, v->dev->features | VHU_F_PROTOCOL);
	case VHU_SET_FEATURES:
		return set_features(v);
	case VHU_GET_PROTOCOL_FEATURES:
		return reply_u64(v, our_protocol(v));
	case VHU_SET_PROTOCOL_FEATURES:
		v->protocol = v->msg.u64 & our_protocol(v);
		return v->msg.u64 & ~our_protocol(v) ? -EINVAL : 0;
	case VHU_GET_QUEUE_NUM:
		return reply_u64(v, v->dev->n_queues);
	case VHU_SET_OWNER:
		return 0;
	case VHU_RESET_OWNER:
	case VHU_RESET_DEVICE:
		reset_device(v);
		return 0;
	case VHU_SET_MEM_TABLE:
		return set_memory(v);
	case VHU_SET_VRING_NUM:
		return set_num(v);
	case VHU_SET_VRING_ADDR:
		return set_addr(v);
	case VHU_SET_VRING_BASE:
		return set_base(v);
	case VHU_GET_VRING_BASE:
		return get_base(v);
	case VHU_SET_VRING_KICK:
		return set_kick(v);
	case VHU_SET_VRING_CALL:
		return set_call(v);
	case VHU_SET_VRING_ERR:
		return set_err(v);
	case VHU_SET_VRING_ENABLE:
		return set_enable(v);
	case VHU_GET_CONFIG:
		return get_config(v);
	case VHU_SET_CONFIG:
		return set_config(v);
	}
	return -EOPNOTSUPP;
}

int vhu_handle(struct vhu *v)
{
	bool ack = (v->protocol & VHU_P_REPLY_ACK) &&
		(v->msg.head.flags & VHU_NEED_REPLY);
	int r = dispatch(v);

	drop_fds(v);
	if (r == GUESTS_CHOICE && !ack)
		return 0;
	if (r > 0 || !ack)
		return r;
	if (r < 0)
		log_debug("vhost-user %s: request %u refused: %s",
			v->dev->ops->name, v->msg.head.request, strerror(-r));
	return reply_u64(v, r < 0);
}
