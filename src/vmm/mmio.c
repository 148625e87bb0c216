/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/mmio.h"

#include "wire/wire.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_mmio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#define MAGIC 0x74726976u  /* "virt" */
#define VENDOR 0x45564f43u /* "COVE" */
#define NONE 0xffffffffu   /* there is no shared memory region */

#define S_ACK VIRTIO_CONFIG_S_ACKNOWLEDGE
#define S_DRIVER VIRTIO_CONFIG_S_DRIVER
#define S_FEATURES VIRTIO_CONFIG_S_FEATURES_OK
#define S_RUNNING VIRTIO_CONFIG_S_DRIVER_OK
#define S_BROKEN VIRTIO_CONFIG_S_NEEDS_RESET
#define S_FAILED VIRTIO_CONFIG_S_FAILED

/* --- the page ------------------------------------------------------------ */

static uint32_t *reg(struct mmio *m, uint32_t off)
{
	return (uint32_t *)(void *)(m->page + off);
}

static void show(struct mmio *m, uint32_t off, uint32_t v)
{
	__atomic_store_n(reg(m, off), v, __ATOMIC_RELEASE);
}

static uint32_t status(struct mmio *m)
{
	return __atomic_load_n(reg(m, VIRTIO_MMIO_STATUS), __ATOMIC_ACQUIRE);
}

static void show_features(struct mmio *m)
{
	uint32_t sel = m->s.features_sel;

	show(m, VIRTIO_MMIO_DEVICE_FEATURES,
		sel < 2 ? (uint32_t)(m->dev->features >> (32 * sel)) : 0);
}

static struct mmio_queue *selected(struct mmio *m)
{
	return m->s.queue_sel < m->dev->n_queues ? &m->s.q[m->s.queue_sel]
						 : NULL;
}

static void show_queue(struct mmio *m)
{
	const struct mmio_queue *q = selected(m);

	show(m, VIRTIO_MMIO_QUEUE_NUM_MAX, q ? m->dev->ops->queue_size : 0);
	show(m, VIRTIO_MMIO_QUEUE_READY, q && q->ready);
}

static void show_config(struct mmio *m)
{
	uint8_t config[MMIO_CONFIG_MAX];
	uint32_t len = MIN(m->dev->config_len, MMIO_CONFIG_MAX);

	if (vdev_config_read(m->dev, 0, config, len) == 0)
		memcpy(m->page + VIRTIO_MMIO_CONFIG, config, len);
}

static void show_all(struct mmio *m)
{
	show(m, VIRTIO_MMIO_MAGIC_VALUE, MAGIC);
	show(m, VIRTIO_MMIO_VERSION, 2);
	show(m, VIRTIO_MMIO_DEVICE_ID, m->dev->ops->id);
	show(m, VIRTIO_MMIO_VENDOR_ID, VENDOR);
	show(m, VIRTIO_MMIO_SHM_LEN_LOW, NONE);
	show(m, VIRTIO_MMIO_SHM_LEN_HIGH, NONE);
	show(m, VIRTIO_MMIO_SHM_BASE_LOW, NONE);
	show(m, VIRTIO_MMIO_SHM_BASE_HIGH, NONE);
	show_features(m);
	show_queue(m);
	show_config(m);
}

/* --- interrupts: any thread ---------------------------------------------- */

static void interrupt(struct mmio *m)
{
	uint64_t one = 1;

	(void)!write(m->irq_fd, &one, sizeof(one));
}

/*
 * The used-buffer bit is set when the queues start and stays: the driver then
 * looks at its rings, which costs less than clearing the bit, and the
 * acknowledgement need not leave the kernel.
 */
static void on_notify(struct vdev_host *h, unsigned q)
{
	interrupt(container_of(h, struct mmio, host));
}

static void on_failed(struct vdev_host *h, unsigned q)
{
	struct mmio *m = container_of(h, struct mmio, host);

	__atomic_fetch_or(
		reg(m, VIRTIO_MMIO_STATUS), S_BROKEN, __ATOMIC_SEQ_CST);
	__atomic_fetch_or(reg(m, VIRTIO_MMIO_INTERRUPT_STATUS),
		VIRTIO_MMIO_INT_CONFIG, __ATOMIC_SEQ_CST);
	interrupt(m);
}

/* --- doorbells: loop's thread --------------------------------------------- */

static void kick_all(struct mmio *m)
{
	for (unsigned q = 0; q < m->dev->n_queues; q++)
		vdev_kick(m->dev, q);
}

/* One bell serves all queues: watch 0 only. */
static void on_bell(struct loop *l, struct watch *w, uint32_t events)
{
	struct mmio *m = container_of(w, struct mmio, bell[0]);
	uint64_t n;

	(void)!read(w->fd, &n, sizeof(n));
	kick_all(m);
}

/* --- on the loop's thread, asked for by a vCPU ---------------------------- */

static int start_queues(struct mmio *m)
{
	bool own = m->dev->ops->own_kicks;
	int r = 0;

	for (unsigned i = 0; i < m->dev->n_queues && r == 0; i++) {
		const struct mmio_queue *q = &m->s.q[i];
		struct vq_config cfg = {.desc = q->desc,
			.avail = q->avail,
			.used = q->used,
			.size = q->size};
		if (q->ready)
			r = vdev_queue_start(m->dev, i, m->bank->gm, &cfg,
				q->last_avail, own ? m->bell_fd[i] : -1);
	}
	return r;
}

static int do_start(void *arg)
{
	struct mmio *m = arg;
	int r = start_queues(m);

	if (r < 0) {
		vdev_reset(m->dev);
		on_failed(&m->host, 0);
	} else {
		kick_all(m); /* what came before the queues were live */
	}
	return r;
}

static int do_ack_features(void *arg)
{
	struct mmio *m = arg;
	int r = vdev_ack_features(m->dev, m->s.driver_features);

	if (r == 0)
		show_config(m); /* may depend on the features */
	return r;
}

static int do_reset(void *arg)
{
	struct mmio *m = arg;

	vdev_reset(m->dev);
	show_config(m);
	return 0;
}

struct config_write {
	struct mmio *m;
	uint32_t off;
	uint8_t data[8];
	uint32_t len;
};

static int do_config_write(void *arg)
{
	struct config_write *w = arg;
	int r = vdev_config_write(w->m->dev, w->off, w->data, w->len);

	show_config(w->m);
	return r;
}

/* --- register writes: vCPU threads, under the lock ------------------------ */

static void refuse(struct mmio *m)
{
	m->n_refused++;
}

static void forget(struct mmio *m)
{
	memset(&m->s, 0, sizeof(m->s));
	show(m, VIRTIO_MMIO_INTERRUPT_STATUS, 0);
	show(m, VIRTIO_MMIO_STATUS, 0);
	show_features(m);
	show_queue(m);
}

static void write_reset(struct mmio *m)
{
	if (status(m) != 0)
		(void)calls_run(m->bank->calls, do_reset, m);
	forget(m);
}

static void run_queues(struct mmio *m)
{
	__atomic_fetch_or(reg(m, VIRTIO_MMIO_INTERRUPT_STATUS),
		VIRTIO_MMIO_INT_VRING, __ATOMIC_SEQ_CST);
	__atomic_fetch_or(
		reg(m, VIRTIO_MMIO_STATUS), S_RUNNING, __ATOMIC_SEQ_CST);
	(void)calls_run(m->bank->calls, do_start, m);
}

/*
 * One bit at a time, in the order of virtio 1.2 section 3.1.1. A bit is only
 * ever set; FAILED may come at any time.
 */
static void write_status(struct mmio *m, uint32_t v)
{
	uint32_t old = status(m), bit = v & ~old;

	if (v == 0) {
		write_reset(m);
		return;
	}
	old &= ~(S_BROKEN | S_FAILED);
	if (bit == S_ACK && old == 0)
		show(m, VIRTIO_MMIO_STATUS, S_ACK);
	else if (bit == S_DRIVER && old == S_ACK)
		show(m, VIRTIO_MMIO_STATUS, S_ACK | S_DRIVER);
	else if (bit == S_FEATURES && old == (S_ACK | S_DRIVER) &&
		calls_run(m->bank->calls, do_ack_features, m) == 0)
		show(m, VIRTIO_MMIO_STATUS, S_ACK | S_DRIVER | S_FEATURES);
	else if (bit == S_RUNNING && old == (S_ACK | S_DRIVER | S_FEATURES))
		run_queues(m);
	else if (bit == S_FAILED)
		__atomic_fetch_or(
			reg(m, VIRTIO_MMIO_STATUS), S_FAILED, __ATOMIC_SEQ_CST);
	else if (bit != 0)
		refuse(m);
}

static void set_half(uint64_t *v, bool high, uint32_t half)
{
	if (high)
		*v = (*v & 0xffffffffu) | (uint64_t)half << 32;
	else
		*v = (*v & ~0xffffffffull) | half;
}

static void write_features(struct mmio *m, uint32_t v)
{
	if ((status(m) & ~S_FAILED) != (S_ACK | S_DRIVER))
		refuse(m);
	else if (m->s.driver_sel < 2)
		set_half(&m->s.driver_features, m->s.driver_sel == 1, v);
}

/* Only between FEATURES_OK and DRIVER_OK, and not once a queue is ready. */
static struct mmio_queue *open_queue(struct mmio *m)
{
	struct mmio_queue *q = selected(m);

	if (status(m) != (S_ACK | S_DRIVER | S_FEATURES) || !q) {
		refuse(m);
		return NULL;
	}
	return q;
}

static void write_queue(struct mmio *m, uint32_t off, uint32_t v)
{
	struct mmio_queue *q = open_queue(m);

	if (!q)
		return;
	if (off == VIRTIO_MMIO_QUEUE_READY) {
		q->ready = v & 1;
		show_queue(m);
		return;
	}
	if (q->ready) {
		refuse(m);
		return;
	}
	switch (off) {
	case VIRTIO_MMIO_QUEUE_NUM:
		q->size = v > m->dev->ops->queue_size ? 0 : (uint16_t)v;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_half(&q->desc, off == VIRTIO_MMIO_QUEUE_DESC_HIGH, v);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_half(&q->avail, off == VIRTIO_MMIO_QUEUE_AVAIL_HIGH, v);
		break;
	default:
		set_half(&q->used, off == VIRTIO_MMIO_QUEUE_USED_HIGH, v);
		break;
	}
}

/* Comes here only where the kernel takes no doorbells. */
static void write_notify(struct mmio *m, uint32_t v)
{
	bool own = m->dev->ops->own_kicks;
	unsigned i = own ? v : 0;
	uint64_t one = 1;

	if (v < m->dev->n_queues)
		(void)!write(m->bell_fd[i], &one, sizeof(one));
}

static void write_reg(struct mmio *m, uint32_t off, uint32_t v)
{
	switch (off) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		m->s.features_sel = v;
		show_features(m);
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		write_features(m, v);
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		m->s.driver_sel = v;
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		m->s.queue_sel = v;
		show_queue(m);
		break;
	case VIRTIO_MMIO_QUEUE_NUM:
	case VIRTIO_MMIO_QUEUE_READY:
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		write_queue(m, off, v);
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		write_notify(m, v);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
	case VIRTIO_MMIO_SHM_SEL:
		break;
	case VIRTIO_MMIO_STATUS:
		write_status(m, v);
		break;
	default:
		refuse(m);
		break;
	}
}

static void write_config(
	struct mmio *m, uint32_t off, const uint8_t *data, unsigned len)
{
	struct config_write w = {.m = m, .off = off, .len = len};

	if (!(status(m) & S_DRIVER) || len > sizeof(w.data)) {
		refuse(m);
		return;
	}
	memcpy(w.data, data, len);
	(void)calls_run(m->bank->calls, do_config_write, &w);
}

static void mmio_read(void *dev, uint64_t off, uint8_t *data, unsigned len)
{
	struct mmio *m = dev;

	/* The same bytes that the guest sees where it maps the page. */
	memcpy(data, m->page + off, len);
}

static void mmio_write(
	void *dev, uint64_t off, const uint8_t *data, unsigned len)
{
	struct mmio *m = dev;

	pthread_mutex_lock(&m->lock);
	if (off >= VIRTIO_MMIO_CONFIG)
		write_config(m, (uint32_t)off - VIRTIO_MMIO_CONFIG, data, len);
	else if (len == 4 && off % 4 == 0)
		write_reg(m, (uint32_t)off, get_le32(data));
	else
		refuse(m);
	pthread_mutex_unlock(&m->lock);
}

const struct bus_ops mmio_ops = {mmio_read, mmio_write};

/* --- the bank ------------------------------------------------------------- */

int mmio_bank_init(struct mmio_bank *b, struct loop *l, struct calls *calls,
	struct kvm *kvm, struct gmem *gm, struct err *err)
{
	void *p = mmap(NULL, VIRTIO_MAX * PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*b = (struct mmio_bank){
		.loop = l, .calls = calls, .kvm = kvm, .gm = gm};
	if (p == MAP_FAILED)
		return err_sys(err, errno, "cannot map device registers");
	b->pages = p;
	return 0;
}

static int open_eventfd(int *ret)
{
	*ret = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return *ret < 0 ? -errno : 0;
}

/* A device with workers has a bell for each queue, the others one for all. */
static int make_bells(struct mmio *m, uint64_t gpa)
{
	bool own = m->dev->ops->own_kicks;
	unsigned n = own ? m->dev->n_queues : 1;
	int r = 0;

	for (unsigned i = 0; i < n && r == 0; i++) {
		r = open_eventfd(&m->bell_fd[i]);
		if (r == 0 && m->bank->kvm)
			r = kvm_doorbell(m->bank->kvm,
				gpa + VIRTIO_MMIO_QUEUE_NOTIFY, m->bell_fd[i],
				own ? (int)i : -1);
	}
	if (r == 0 && !own)
		r = loop_watch(m->bank->loop, &m->bell[0], m->bell_fd[0],
			EPOLLIN, on_bell);
	return r;
}

static int make_events(struct mmio *m, uint64_t gpa)
{
	struct kvm *k = m->bank->kvm;
	int r = open_eventfd(&m->irq_fd);

	if (r == 0)
		r = open_eventfd(&m->ack_fd);
	if (r == 0 && k)
		r = kvm_irqfd(k, m->gsi, m->irq_fd);
	if (r == 0 && k)
		r = kvm_doorbell(
			k, gpa + VIRTIO_MMIO_INTERRUPT_ACK, m->ack_fd, -1);
	return r < 0 ? r : make_bells(m, gpa);
}

int mmio_add(
	struct mmio_bank *b, struct bus *bus, struct vdev *dev, struct err *err)
{
	struct mmio *m = &b->dev[b->n];
	uint64_t gpa = GPA_VIRTIO + b->n * PAGE;
	int r;

	if (b->n == VIRTIO_MAX)
		return err_set(err, ENOSPC, "too many devices");
	assert(dev->config_len <= MMIO_CONFIG_MAX);
	*m = (struct mmio){.host = {on_notify, on_failed},
		.bank = b,
		.dev = dev,
		.page = b->pages + b->n * PAGE,
		.gsi = GSI_VIRTIO + (uint32_t)b->n,
		.irq_fd = -1,
		.ack_fd = -1};
	for (unsigned i = 0; i < VDEV_QUEUES; i++)
		m->bell_fd[i] = -1;
	pthread_mutex_init(&m->lock, NULL);
	dev->host = &m->host;
	b->where[b->n] =
		(struct acpi_mmio){(uint32_t)gpa, (uint32_t)PAGE, m->gsi};
	b->n++;
	r = make_events(m, gpa);
	if (r < 0)
		return err_sys(
			err, -r, "cannot connect device %s", dev->ops->name);
	show_all(m);
	bus_add(bus, gpa, PAGE, &mmio_ops, m);
	return 0;
}

int mmio_bank_seal(struct mmio_bank *b, struct err *err)
{
	if (b->n == 0)
		return 0;
	return kvm_add_readonly(b->kvm, GPA_VIRTIO, b->pages, b->n * PAGE, err);
}

void mmio_bank_done(struct mmio_bank *b)
{
	for (size_t i = 0; i < b->n; i++) {
		struct mmio *m = &b->dev[i];
		vdev_reset(m->dev);
		if (m->bell[0].active)
			loop_unwatch(b->loop, &m->bell[0]);
		for (unsigned q = 0; q < VDEV_QUEUES; q++)
			closep(&m->bell_fd[q]);
		closep(&m->irq_fd);
		closep(&m->ack_fd);
	}
	if (b->pages)
		munmap(b->pages, VIRTIO_MAX * PAGE);
	b->pages = NULL;
	b->n = 0;
}

/* --- snapshots ------------------------------------------------------------- */

void mmio_save(struct mmio *m, struct mmio_state *ret)
{
	for (unsigned i = 0; i < m->dev->n_queues; i++)
		if (m->dev->q[i].vq.live)
			m->s.q[i].last_avail = vdev_queue_stop(m->dev, i);
	m->s.status = status(m);
	m->s.isr = __atomic_load_n(
		reg(m, VIRTIO_MMIO_INTERRUPT_STATUS), __ATOMIC_ACQUIRE);
	*ret = m->s;
}

int mmio_continue(struct mmio *m)
{
	int r = 0;

	if ((m->s.status & S_RUNNING) && !(m->s.status & S_BROKEN))
		r = start_queues(m);
	if (r < 0)
		return r;
	kick_all(m);
	/* An interrupt may have been lost with the old machine. */
	if (m->s.status & S_RUNNING)
		interrupt(m);
	return 0;
}

int mmio_restore(struct mmio *m, const struct mmio_state *s)
{
	uint32_t st = s->status & ~(S_BROKEN | S_FAILED);
	bool sane = st == 0 || st == S_ACK || st == (S_ACK | S_DRIVER) ||
		st == (S_ACK | S_DRIVER | S_FEATURES) ||
		st == (S_ACK | S_DRIVER | S_FEATURES | S_RUNNING);

	if (!sane)
		return -EINVAL;
	if ((st & S_FEATURES) &&
		vdev_ack_features(m->dev, s->driver_features) < 0)
		return -EINVAL;
	m->s = *s;
	show(m, VIRTIO_MMIO_STATUS, s->status);
	show(m, VIRTIO_MMIO_INTERRUPT_STATUS, s->isr);
	show_features(m);
	show_queue(m);
	show_config(m);
	return mmio_continue(m);
}
