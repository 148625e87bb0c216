/* SPDX-License-Identifier: Apache-2.0 */
#include "image/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#define OUT_MAX (64 * MIB)

void tar_open(struct tar *t, const char *filter)
{
	int r;

	assert(layer_locale(NULL) == 0);
	*t = (struct tar){.a = archive_write_new(), .e = archive_entry_new()};
	t->len = OUT_MAX;
	t->out = mmap(NULL, t->len, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert(t->out != MAP_FAILED);
	r = archive_write_set_format_pax(t->a);
	assert(r == ARCHIVE_OK);
	if (filter) {
		r = archive_write_add_filter_by_name(t->a, filter);
		assert(r == ARCHIVE_OK);
	}
	r = archive_write_open_memory(t->a, t->out, t->len, &t->used);
	assert(r == ARCHIVE_OK);
}

struct archive_entry *tar_entry(struct tar *t, const char *path, uint32_t mode)
{
	archive_entry_clear(t->e);
	archive_entry_set_pathname(t->e, path);
	archive_entry_set_mode(t->e, mode);
	archive_entry_set_mtime(t->e, 1000, 0);
	return t->e;
}

void tar_put(struct tar *t, const void *data, size_t len)
{
	int r;

	if (!archive_entry_size_is_set(t->e))
		archive_entry_set_size(t->e, (la_int64_t)len);
	r = archive_write_header(t->a, t->e);
	assert(r == ARCHIVE_OK);
	if (len)
		assert(archive_write_data(t->a, data, len) == (la_ssize_t)len);
}

void tar_file(struct tar *t, const char *path, const char *text)
{
	tar_entry(t, path, S_IFREG | 0644);
	tar_put(t, text, strlen(text));
}

void tar_dir(struct tar *t, const char *path)
{
	tar_entry(t, path, S_IFDIR | 0755);
	tar_put(t, NULL, 0);
}

void tar_link(struct tar *t, const char *path, const char *target)
{
	archive_entry_set_hardlink(tar_entry(t, path, S_IFREG | 0644), target);
	tar_put(t, NULL, 0);
}

void tar_symlink(struct tar *t, const char *path, const char *target)
{
	archive_entry_set_symlink(tar_entry(t, path, S_IFLNK | 0777), target);
	tar_put(t, NULL, 0);
}

void tar_close(struct tar *t)
{
	int r = archive_write_close(t->a);

	assert(r == ARCHIVE_OK);
}

void tar_done(struct tar *t)
{
	archive_entry_free(t->e);
	archive_write_free(t->a);
	munmap(t->out, t->len);
}

/* The image. */

void image_init(
	struct image *i, const struct tree_limits *limits, uint64_t max_bytes)
{
	static const struct tree_limits wide = {100000, 64 * MIB};

	assert(layer_locale(NULL) == 0);
	*i = (struct image){.fd = memfd_create("image", MFD_CLOEXEC)};
	assert(i->fd >= 0);
	i->opts = (struct layer_opts){.whiteouts = true, .devices = true};
	tree_init(&i->tree, limits ? limits : &wide, 5000);
	erofs_init(&i->erofs, i->fd, max_bytes ? max_bytes : 64 * MIB);
}

void image_done(struct image *i)
{
	if (i->map)
		munmap(i->map, i->map_len);
	erofs_done(&i->erofs);
	tree_done(&i->tree);
	closep(&i->fd);
}

struct source {
	const uint8_t *p;
	size_t left;
};

/* In pieces of an awkward size, as a pipe would give them. */
static ssize_t give(void *arg, const void **ret_p)
{
	struct source *s = arg;
	size_t n = MIN(s->left, (size_t)7777);

	*ret_p = s->p;
	s->p += n;
	s->left -= n;
	return (ssize_t)n;
}

int image_layer(struct image *i, const void *p, size_t len, struct err *err)
{
	struct source s = {p, len};

	if (i->tree.entries > 1)
		tree_next_layer(&i->tree);
	return layer_apply(
		&i->tree, &i->erofs, &i->opts, give, &s, &i->stats, err);
}

int image_tar(struct image *i, const struct tar *t, struct err *err)
{
	return image_layer(i, t->out, t->used, err);
}

int image_finish(struct image *i, struct err *err)
{
	uint64_t bytes = 0;
	int r = erofs_finish(&i->erofs, &i->tree, "test", &bytes, err);

	if (r < 0)
		return r;
	i->map_len = bytes;
	i->map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, i->fd, 0);
	assert(i->map != MAP_FAILED);
	er_open(&i->er, i->map, i->map_len);
	return 0;
}
