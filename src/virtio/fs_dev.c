/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/fs_dev.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_fs.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define WORKER_STACK (256u * 1024u)
#define WAKE_ALL UINT32_MAX

static_assert(FS_DEV_WORKERS <= FS_WORKERS_MAX, "one fs worker a thread");
static_assert(VQ_IOV_MAX <= FS_IOV_MAX, "a chain must fit the server");

struct worker {
	struct fs_dev *fd;
	pthread_t thread;
	unsigned number;
	struct iovec iov[VQ_IOV_MAX];
};

struct fs_dev {
	struct vdev dev;
	struct fs *fs;
	struct virtio_fs_config config;
	int epfd; /* doorbells and wake_fd, all edge-triggered */
	int wake_fd;
	/* The lock guards the rings of open queues and all below. */
	pthread_mutex_t lock;
	pthread_cond_t settled; /* some queue has nothing in hand */
	bool open[VDEV_QUEUES];
	unsigned in_hand[VDEV_QUEUES];
	unsigned idle; /* workers that sleep */
	bool quit;
	unsigned n_workers;
	struct worker worker[FS_DEV_WORKERS];
};

static struct fs_dev *from_vdev(struct vdev *d)
{
	return container_of(d, struct fs_dev, dev);
}

static void wake(struct fs_dev *fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd->wake_fd, &one, sizeof(one));

	(void)n; /* cannot fill up in this universe */
}

/* Takes a request from queue q; wakes a colleague when there are more. */
static bool take(
	struct fs_dev *fd, unsigned q, struct worker *w, struct vq_chain *ret)
{
	struct vq *vq = &fd->dev.q[q].vq;
	bool more = false;
	int r = 0;

	pthread_mutex_lock(&fd->lock);
	if (fd->open[q])
		r = vq_pop(vq, w->iov, VQ_IOV_MAX, ret);
	if (r > 0)
		fd->in_hand[q]++;
	/* Kicks stay on: while this one is served, the next finds a worker. */
	if (r >= 0 && fd->open[q])
		more = vq_kicks_on(vq);
	more = more && (r == 0 || fd->idle);
	if (r < 0) {
		fd->open[q] = false;
		vdev_failed(&fd->dev, q);
	}
	pthread_mutex_unlock(&fd->lock);
	if (more)
		wake(fd);
	return r > 0;
}

/* Told under the lock: after a stop nobody calls the transport any more. */
static void give_back(
	struct fs_dev *fd, unsigned q, const struct vq_chain *c, uint32_t len)
{
	struct vq *vq = &fd->dev.q[q].vq;

	pthread_mutex_lock(&fd->lock);
	if (vq_push(vq, c, len) && vq_should_notify(vq))
		vdev_notify(&fd->dev, q);
	if (--fd->in_hand[q] == 0)
		pthread_cond_broadcast(&fd->settled);
	pthread_mutex_unlock(&fd->lock);
}

static bool serve_one(struct worker *w, unsigned q)
{
	struct fs_dev *fd = w->fd;
	struct vq_chain c;
	size_t len;

	if (!take(fd, q, w, &c))
		return false;
	len = fs_request(fd->fs, w->number, c.rd, c.n_rd, c.wr, c.n_wr);
	assert(len <= c.wr_len);
	give_back(fd, q, &c, (uint32_t)len);
	return true;
}

/* Until no queue has anything; the urgent one goes first each time. */
static void serve(struct worker *w)
{
	bool any;

	do {
		any = false;
		for (unsigned q = 0; q < w->fd->dev.n_queues; q++)
			any |= serve_one(w, q);
	} while (any);
}

/* Something was offered since we looked, and its kick went to a colleague. */
static bool any_pending(const struct fs_dev *fd)
{
	for (unsigned q = 0; q < fd->dev.n_queues; q++)
		if (fd->open[q] && vq_pending(&fd->dev.q[q].vq))
			return true;
	return false;
}

static bool sleep_until_kick(struct fs_dev *fd)
{
	struct epoll_event ev;
	bool awake, quit;

	pthread_mutex_lock(&fd->lock);
	awake = fd->quit || any_pending(fd);
	fd->idle++;
	pthread_mutex_unlock(&fd->lock);
	if (!awake)
		(void)epoll_wait(fd->epfd, &ev, 1, -1);
	pthread_mutex_lock(&fd->lock);
	fd->idle--;
	quit = fd->quit;
	pthread_mutex_unlock(&fd->lock);
	return !quit;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	(void)pthread_setname_np(pthread_self(), "share");
	while (sleep_until_kick(w->fd))
		serve(w);
	wake(w->fd); /* pass the end on */
	return NULL;
}

static void queue_start(struct vdev *d, unsigned q)
{
	struct fs_dev *fd = from_vdev(d);
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u32 = q};

	pthread_mutex_lock(&fd->lock);
	fd->open[q] = true;
	pthread_mutex_unlock(&fd->lock);
	if (d->q[q].kick_fd >= 0)
		(void)epoll_ctl(fd->epfd, EPOLL_CTL_ADD, d->q[q].kick_fd, &ev);
	wake(fd); /* for what was offered before */
}

static void queue_stop(struct vdev *d, unsigned q)
{
	struct fs_dev *fd = from_vdev(d);

	if (d->q[q].kick_fd >= 0)
		(void)epoll_ctl(fd->epfd, EPOLL_CTL_DEL, d->q[q].kick_fd, NULL);
	pthread_mutex_lock(&fd->lock);
	fd->open[q] = false;
	while (fd->in_hand[q])
		pthread_cond_wait(&fd->settled, &fd->lock);
	pthread_mutex_unlock(&fd->lock);
}

/* For transports without doorbell descriptors. */
static void kick(struct vdev *d, unsigned q)
{
	wake(from_vdev(d));
}

static void reset(struct vdev *d)
{
	fs_reset(from_vdev(d)->fs);
}

static void config_read(struct vdev *d, uint32_t off, void *p, uint32_t len)
{
	memcpy(p, (const uint8_t *)&from_vdev(d)->config + off, len);
}

static const struct vdev_ops fs_ops = {
	.name = "fs",
	.id = VIRTIO_ID_FS,
	.queue_size = VQ_SIZE_MAX,
	.own_kicks = true,
	.config_read = config_read,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.kick = kick,
	.reset = reset,
};

static int make_worker(struct fs_dev *fd, const pthread_attr_t *attr)
{
	struct worker *w = &fd->worker[fd->n_workers];
	int r;

	w->fd = fd;
	w->number = fd->n_workers;
	r = pthread_create(&w->thread, attr, work, w);
	if (r)
		return -r;
	fd->n_workers++;
	return 0;
}

/* Signals are the loop's. */
static int start_workers(struct fs_dev *fd, unsigned n)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int r = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK);
	while (r == 0 && fd->n_workers < n)
		r = make_worker(fd, &attr);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

static int open_doorbells(struct fs_dev *fd)
{
	struct epoll_event ev = {
		.events = EPOLLIN | EPOLLET, .data.u32 = WAKE_ALL};

	fd->epfd = epoll_create1(EPOLL_CLOEXEC);
	fd->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd->epfd < 0 || fd->wake_fd < 0)
		return -errno;
	if (epoll_ctl(fd->epfd, EPOLL_CTL_ADD, fd->wake_fd, &ev) < 0)
		return -errno;
	return 0;
}

int fs_dev_new(struct fs *fs, const char *tag, unsigned n_queues,
	unsigned n_workers, struct fs_dev **ret)
{
	struct fs_dev *fd;
	int r;

	if (strlen(tag) > FS_DEV_TAG_MAX || n_queues >= VDEV_QUEUES ||
		!n_queues || !n_workers || n_workers > FS_DEV_WORKERS)
		return -EINVAL;
	fd = xnew(struct fs_dev);
	fd->fs = fs;
	memcpy(fd->config.tag, tag, strlen(tag));
	fd->config.num_request_queues = n_queues;
	fd->dev = (struct vdev){.ops = &fs_ops,
		.features = VDEV_FEATURES,
		.config_len = sizeof(fd->config),
		.n_queues = 1 + n_queues};
	pthread_mutex_init(&fd->lock, NULL);
	pthread_cond_init(&fd->settled, NULL);
	r = open_doorbells(fd);
	r = r ? r : start_workers(fd, n_workers);
	if (r < 0) {
		fs_dev_free(fd);
		return r;
	}
	*ret = fd;
	return 0;
}

void fs_dev_free(struct fs_dev *fd)
{
	if (!fd)
		return;
	pthread_mutex_lock(&fd->lock);
	fd->quit = true;
	pthread_mutex_unlock(&fd->lock);
	wake(fd);
	for (unsigned i = 0; i < fd->n_workers; i++)
		pthread_join(fd->worker[i].thread, NULL);
	pthread_cond_destroy(&fd->settled);
	pthread_mutex_destroy(&fd->lock);
	closep(&fd->wake_fd);
	closep(&fd->epfd);
	free(fd);
}

struct vdev *fs_dev_vdev(struct fs_dev *fd)
{
	return &fd->dev;
}
