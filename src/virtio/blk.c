/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/blk.h"

#include "virtio/blk_io.h"
#include "wire/wire.h"

#include <errno.h>
#include <linux/fs.h>
#include <linux/virtio_blk.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define WORKER_STACK (128u * 1024u)
#define QUEUE_SIZE 256u
/* Two descriptors of a chain are header and status. */
#define SEG_MAX (QUEUE_SIZE - 2u)
/* One call of fallocate: 1 GiB at most, so that a stop never waits long. */
#define DISCARD_SECTORS (2u * 1024u * 1024u)

struct blk {
	struct vdev dev;
	struct blk_io io;
	struct virtio_blk_config config;
	int epfd; /* the doorbell and wake_fd */
	int wake_fd;
	pthread_mutex_t lock; /* held while requests are served */
	/* Cleared first and without the lock, so that a stop need not wait
	 * for a driver that never stops offering. */
	atomic_bool open;
	bool quit;
	bool started;
	pthread_t thread;
	struct iovec iov[VQ_IOV_MAX];
};

static struct blk *from_vdev(struct vdev *d)
{
	return container_of(d, struct blk, dev);
}

static void wake(struct blk *b)
{
	uint64_t one = 1;

	(void)!write(b->wake_fd, &one, sizeof(one));
}

/* Serves what is offered; true to interrupt the driver. Under the lock. */
static bool serve(struct blk *b)
{
	struct vq *vq = &b->dev.q[0].vq;
	struct vq_chain c;
	int r = 0;

	while (b->open && (r = vq_pop(vq, b->iov, VQ_IOV_MAX, &c)) > 0)
		(void)vq_push(vq, &c, blk_io_serve(&b->io, &c));
	if (r < 0) {
		b->open = false;
		vdev_failed(&b->dev, 0);
		return false;
	}
	return vq_should_notify(vq);
}

/* The driver need not kick while we look, and is told once the ring is empty. */
static void serve_all(struct blk *b)
{
	bool again = true;

	while (again) {
		bool notify = false;

		pthread_mutex_lock(&b->lock);
		again = false;
		if (b->open) {
			vq_kicks_off(&b->dev.q[0].vq);
			notify = serve(b);
		}
		if (b->open)
			again = vq_kicks_on(&b->dev.q[0].vq);
		pthread_mutex_unlock(&b->lock);
		if (notify)
			vdev_notify(&b->dev, 0);
	}
}

static bool wait_for_kick(struct blk *b)
{
	struct epoll_event ev;
	bool quit;

	(void)epoll_wait(b->epfd, &ev, 1, -1);
	pthread_mutex_lock(&b->lock);
	quit = b->quit;
	pthread_mutex_unlock(&b->lock);
	return !quit;
}

static void *work(void *arg)
{
	struct blk *b = arg;

	(void)pthread_setname_np(pthread_self(), "disk");
	while (wait_for_kick(b))
		serve_all(b);
	return NULL;
}

static void queue_start(struct vdev *d, unsigned q)
{
	struct blk *b = from_vdev(d);
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET};

	pthread_mutex_lock(&b->lock);
	b->open = true;
	pthread_mutex_unlock(&b->lock);
	if (d->q[q].kick_fd >= 0)
		(void)epoll_ctl(b->epfd, EPOLL_CTL_ADD, d->q[q].kick_fd, &ev);
	wake(b); /* for what was offered before */
}

static void queue_stop(struct vdev *d, unsigned q)
{
	struct blk *b = from_vdev(d);

	if (d->q[q].kick_fd >= 0)
		(void)epoll_ctl(b->epfd, EPOLL_CTL_DEL, d->q[q].kick_fd, NULL);
	b->open = false;
	pthread_mutex_lock(&b->lock); /* the request in hand is done */
	pthread_mutex_unlock(&b->lock);
}

static void kick(struct vdev *d, unsigned q)
{
	wake(from_vdev(d));
}

static void config_read(struct vdev *d, uint32_t off, void *p, uint32_t len)
{
	memcpy(p, (const uint8_t *)&from_vdev(d)->config + off, len);
}

static const struct vdev_ops blk_ops = {
	.name = "blk",
	.id = VIRTIO_ID_BLOCK,
	.queue_size = QUEUE_SIZE,
	.own_kicks = true,
	.config_read = config_read,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.kick = kick,
};

/* The sizes and limits that the driver is shown; little-endian. */
static void fill_config(struct blk *b)
{
	struct virtio_blk_config *c = &b->config;

	put_le64((uint8_t *)&c->capacity, b->io.sectors);
	put_le32((uint8_t *)&c->seg_max, SEG_MAX);
	put_le32((uint8_t *)&c->blk_size, 512);
	put_le32((uint8_t *)&c->max_discard_sectors, DISCARD_SECTORS);
	put_le32((uint8_t *)&c->max_discard_seg, BLK_RANGES_MAX);
	put_le32((uint8_t *)&c->discard_sector_alignment, 8);
	put_le32((uint8_t *)&c->max_write_zeroes_sectors, DISCARD_SECTORS);
	put_le32((uint8_t *)&c->max_write_zeroes_seg, BLK_RANGES_MAX);
	c->write_zeroes_may_unmap = 1;
}

static uint64_t offered(const struct blk *b)
{
	uint64_t f = VDEV_FEATURES | 1ull << VIRTIO_BLK_F_SEG_MAX |
		1ull << VIRTIO_BLK_F_BLK_SIZE | 1ull << VIRTIO_BLK_F_FLUSH;

	if (b->io.read_only)
		return f | 1ull << VIRTIO_BLK_F_RO;
	return f | 1ull << VIRTIO_BLK_F_DISCARD |
		1ull << VIRTIO_BLK_F_WRITE_ZEROES;
}

static int disk_size(int fd, uint64_t *ret_sectors, struct err *err)
{
	struct stat st;
	uint64_t bytes;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "cannot look at the disk");
	if (S_ISREG(st.st_mode))
		bytes = (uint64_t)st.st_size;
	else if (!S_ISBLK(st.st_mode) || ioctl(fd, BLKGETSIZE64, &bytes) < 0)
		return err_set(err, EINVAL,
			"a disk must be a regular file or a block device");
	*ret_sectors = bytes / BLK_SECTOR;
	return 0;
}

/* Signals are the loop's. */
static int start_worker(struct blk *b)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
	pthread_attr_t attr;
	sigset_t all, old;
	int r;

	b->epfd = epoll_create1(EPOLL_CLOEXEC);
	b->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->epfd < 0 || b->wake_fd < 0 ||
		epoll_ctl(b->epfd, EPOLL_CTL_ADD, b->wake_fd, &ev) < 0)
		return -errno;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK);
	r = pthread_create(&b->thread, &attr, work, b);
	b->started = r == 0;
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -r;
}

int blk_new(int fd, const char *serial, bool read_only, struct blk **ret,
	struct err *err)
{
	uint64_t sectors = 0;
	struct blk *b;
	int r = disk_size(fd, &sectors, err);

	if (r < 0)
		return r;
	if (strlen(serial) > BLK_SERIAL_MAX)
		return err_set(err, EINVAL,
			"a disk's serial is at most %u bytes", BLK_SERIAL_MAX);
	b = xnew(struct blk);
	b->io = (struct blk_io){
		.fd = fd, .sectors = sectors, .read_only = read_only};
	memcpy(b->io.serial, serial, strlen(serial));
	b->dev = (struct vdev){.ops = &blk_ops,
		.features = offered(b),
		.config_len = sizeof(b->config),
		.n_queues = 1};
	b->epfd = b->wake_fd = -1;
	fill_config(b);
	pthread_mutex_init(&b->lock, NULL);
	r = start_worker(b);
	if (r < 0) {
		blk_free(b);
		return err_sys(err, -r, "cannot start a disk's thread");
	}
	*ret = b;
	return 0;
}

void blk_free(struct blk *b)
{
	if (!b)
		return;
	if (b->started) {
		pthread_mutex_lock(&b->lock);
		b->quit = true;
		pthread_mutex_unlock(&b->lock);
		wake(b);
		pthread_join(b->thread, NULL);
	}
	pthread_mutex_destroy(&b->lock);
	closep(&b->wake_fd);
	closep(&b->epfd);
	free(b);
}

struct vdev *blk_dev(struct blk *b)
{
	return &b->dev;
}

void blk_stats(const struct blk *b, struct blk_stats *ret)
{
	*ret = b->io.stats;
}
