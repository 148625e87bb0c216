/* SPDX-License-Identifier: Apache-2.0 */
#include "image/cpio.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void put(struct cpio *c, const void *p, size_t len)
{
	static const uint8_t zero[4];
	size_t pad = -len & 3;

	if (c->cap - c->out.len < len + pad) {
		c->cap = (c->out.len + len + pad) * 2;
		c->out.p = xrealloc(c->out.p, c->cap, 1);
	}
	if (len)
		memcpy(c->out.p + c->out.len, p, len);
	c->out.len += len;
	memcpy(c->out.p + c->out.len, zero, pad);
	c->out.len += pad;
}

static void entry(struct cpio *c, const char *name, uint32_t mode,
	uint32_t links, const void *p, size_t len)
{
	size_t name_len = strlen(name) + 1;
	/* name directly after the 110 bytes of header; the sum is padded */
	_cleanup_free_ char *head = xasprintf(
		"070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s",
		c->ino, mode, 0u, 0u, links, 0u, (uint32_t)len, 0u, 0u, 0u, 0u,
		(uint32_t)name_len, 0u, name);

	assert(len <= UINT32_MAX);
	put(c, head, 110 + name_len);
	put(c, p, len);
	c->ino++;
}

void cpio_dir(struct cpio *c, const char *name)
{
	entry(c, name, S_IFDIR | 0755, 2, NULL, 0);
}

void cpio_file(struct cpio *c, const char *name, uint32_t perm, const void *p,
	size_t len)
{
	entry(c, name, S_IFREG | perm, 1, p, len);
}

void cpio_end(struct cpio *c)
{
	c->ino = 0;
	entry(c, "TRAILER!!!", 0, 1, NULL, 0);
}
