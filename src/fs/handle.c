/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define HANDLES_GROW 64u

const char *fd_name(int fd, char buf[16])
{
	snprintf(buf, 16, "%d", fd);
	return buf;
}

const char *fd_path(int fd, char buf[32])
{
	snprintf(buf, 32, FD_DIR "/%d", fd);
	return buf;
}

int fd_reopen(const struct fs *fs, int fd, int flags)
{
	struct stat st;
	char name[16];
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	/* A fifo would block, a device would do what devices do. */
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return -ENXIO;
	r = openat(fs->proc_fd, fd_name(fd, name),
		flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return r < 0 ? -errno : r;
}

/* A free slot, or 0; with the lock held. */
static uint32_t slot_find(struct fs *fs)
{
	if (fs->n_handles >= fs->max_handles)
		return 0;
	if (fs->n_handles + 1 >= fs->handles_cap) {
		uint32_t cap = fs->handles_cap * 2 + HANDLES_GROW;

		fs->handles = xrealloc(fs->handles, cap, sizeof(void *));
		for (uint32_t i = fs->handles_cap; i < cap; i++)
			fs->handles[i] = NULL;
		fs->handles_cap = cap;
	}
	for (;;) {
		fs->next_handle = (fs->next_handle + 1) % fs->handles_cap;
		if (fs->next_handle && !fs->handles[fs->next_handle])
			return fs->next_handle;
	}
}

int handle_add(struct fs *fs, struct node *n, int fd, uint64_t *ret_fh)
{
	struct handle *h = xnew(struct handle);
	uint32_t slot;

	fs_lock(fs);
	slot = slot_find(fs);
	if (!slot) {
		fs_unlock(fs);
		closep(&fd);
		free(h);
		return -ENFILE;
	}
	h->fh = slot | (uint64_t)++fs->generation << 32;
	h->fd = fd;
	h->node = n;
	n->refs++;
	list_add_tail(&n->handles, &h->of_node);
	fs->handles[slot] = h;
	fs->n_handles++;
	*ret_fh = h->fh;
	fs_unlock(fs);
	return 0;
}

int handle_make(struct fs *fs, uint64_t fh, struct node *n, int fd)
{
	uint32_t slot = (uint32_t)fh;
	struct handle *h;

	if (!slot || slot > fs->max_handles || fs->n_handles >= fs->max_handles)
		return -EINVAL;
	if (slot >= fs->handles_cap) {
		uint32_t cap = slot + HANDLES_GROW;

		fs->handles = xrealloc(fs->handles, cap, sizeof(void *));
		for (uint32_t i = fs->handles_cap; i < cap; i++)
			fs->handles[i] = NULL;
		fs->handles_cap = cap;
	}
	if (fs->handles[slot])
		return -EEXIST;
	h = xnew(struct handle);
	h->fh = fh;
	h->fd = fd;
	h->node = n;
	n->refs++;
	list_add_tail(&n->handles, &h->of_node);
	fs->handles[slot] = h;
	fs->n_handles++;
	return 0;
}

/* Nobody uses h: takes it out. Returns true if the caller must free it. */
static bool handle_gone(struct fs *fs, struct handle *h)
{
	if (h->users || !h->closing)
		return false;
	list_del(&h->of_node);
	fs->handles[(uint32_t)h->fh] = NULL;
	fs->n_handles--;
	return true;
}

static void handle_free(struct fs *fs, struct handle *h)
{
	closep(&h->fd);
	node_put(fs, h->node);
	free(h);
}

struct handle *handle_get(struct fs *fs, uint64_t fh)
{
	uint32_t slot = (uint32_t)fh;
	struct handle *h;

	fs_lock(fs);
	h = slot < fs->handles_cap ? fs->handles[slot] : NULL;
	if (h && (h->fh != fh || h->closing))
		h = NULL;
	if (h)
		h->users++;
	fs_unlock(fs);
	return h;
}

void handle_put(struct fs *fs, struct handle *h)
{
	bool gone;

	fs_lock(fs);
	h->users--;
	gone = handle_gone(fs, h);
	fs_unlock(fs);
	if (gone)
		handle_free(fs, h);
}

void handle_close(struct fs *fs, struct handle *h)
{
	fs_lock(fs);
	h->closing = true;
	fs_unlock(fs);
}

void handle_drop_all(struct fs *fs)
{
	for (uint32_t i = 1; i < fs->handles_cap; i++) {
		struct handle *h = fs->handles[i];

		if (!h)
			continue;
		h->users++;
		handle_close(fs, h);
		handle_put(fs, h);
	}
}

void href_done(struct href *r)
{
	if (r->h)
		handle_put(r->fs, r->h);
}

int href_get(struct href *r, uint64_t fh)
{
	r->h = handle_get(r->fs, fh);
	return r->h ? 0 : -EBADF;
}
