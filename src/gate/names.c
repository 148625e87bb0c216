/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/names.h"

#include "base/fd.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define BUCKETS (2u * NAMES_MAX) /* a power of two */
#define JOURNAL_MAX ((size_t)NAMES_MAX * (NAME_MAX_LEN + 1))
#define V4_BASE 0xc6120000u /* 198.18.0.0/15, RFC 2544 */

static const uint8_t v6_base[12] = {
	0xfd, 0xc0, 0x7e, 0, 0, 0, 0, 0, 0, 0, 0, 0};
static const uint8_t v4_mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct names {
	int fd;
	uint32_t count;
	struct hostname *list;     /* grows with count */
	uint32_t buckets[BUCKETS]; /* index + 1; 0 = free */
};

/* FNV-1a; the table is never more than half full. */
static uint32_t hash(const struct hostname *name)
{
	uint32_t h = 2166136261u;

	for (uint8_t i = 0; i < name->len; i++)
		h = (h ^ (uint8_t)name->s[i]) * 16777619u;
	return h;
}

/* The bucket that holds the name, or the free one where it belongs. */
static uint32_t *bucket(struct names *n, const struct hostname *name)
{
	uint32_t at = hash(name) & (BUCKETS - 1);

	while (n->buckets[at] &&
		!name_equal(&n->list[n->buckets[at] - 1], name))
		at = (at + 1) & (BUCKETS - 1);
	return &n->buckets[at];
}

static void remember(struct names *n, const struct hostname *name)
{
	if ((n->count & (n->count - 1)) == 0)
		n->list = xrealloc(
			n->list, MAX(2u * n->count, 16u), sizeof(*n->list));
	n->list[n->count] = *name;
	*bucket(n, name) = ++n->count;
}

static int load(struct names *n, const char *text, size_t len, struct err *err)
{
	struct hostname name;
	const char *end;

	for (; len > 0; len -= (size_t)(end + 1 - text), text = end + 1) {
		end = memchr(text, '\n', len);
		if (!end)
			break;
		if (n->count == NAMES_MAX ||
			name_parse(text, (size_t)(end - text), &name) < 0 ||
			*bucket(n, &name))
			return err_set(err, EBADMSG,
				"the journal of names is damaged at entry %u",
				n->count + 1);
		remember(n, &name);
	}
	/* What a crash left of a line goes, or the next name would join it. */
	return len == 0 ? 0 : 1;
}

static int read_journal(struct names *n, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t size, tail;
	const char *last;
	int r;

	if (fstat(n->fd, &st) < 0)
		return err_sys(err, errno, "the journal of names");
	if (st.st_size < 0 || (uint64_t)st.st_size > JOURNAL_MAX)
		return err_set(
			err, EBADMSG, "the journal of names is too long");
	size = (size_t)st.st_size;
	if (size == 0)
		return 0;
	text = xcalloc(1, size);
	if (pread(n->fd, text, size, 0) != (ssize_t)size)
		return err_sys(err, EIO, "read the journal of names");
	r = load(n, text, size, err);
	if (r <= 0)
		return r;
	last = memrchr(text, '\n', size);
	tail = last ? (size_t)(last + 1 - text) : 0;
	if (ftruncate(n->fd, (off_t)tail) < 0)
		return err_sys(err, errno, "repair the journal of names");
	return 0;
}

int names_open(int fd, struct names **ret, struct err *err)
{
	struct names *n = xnew(struct names);
	int r;

	n->fd = fd;
	r = read_journal(n, err);
	if (r < 0) {
		names_free(n);
		return r;
	}
	*ret = n;
	return 0;
}

void names_free(struct names *n)
{
	if (!n)
		return;
	closep(&n->fd);
	free(n->list);
	free(n);
}

static void put_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static void addresses(uint32_t index, struct address *v4, struct address *v6)
{
	uint32_t n = index + NAMES_FIRST;

	memcpy(v4->b, v4_mapped, sizeof(v4_mapped));
	put_be32(v4->b + 12, V4_BASE + n);
	memcpy(v6->b, v6_base, sizeof(v6_base));
	put_be32(v6->b + 12, n);
}

int names_assign(struct names *n, const struct hostname *name,
	struct address *ret_v4, struct address *ret_v6)
{
	uint32_t at = *bucket(n, name);
	char line[NAME_MAX_LEN + 1];
	int r;

	if (!at) {
		if (n->count == NAMES_MAX)
			return -ENOSPC;
		memcpy(line, name->s, name->len);
		line[name->len] = '\n';
		r = fd_write_all(n->fd, line, name->len + 1u);
		if (r < 0)
			return r;
		remember(n, name);
		at = n->count;
	}
	addresses(at - 1, ret_v4, ret_v6);
	return 0;
}

bool names_is_synthetic(const struct address *a)
{
	if (memcmp(a->b, v4_mapped, sizeof(v4_mapped)) == 0)
		return a->b[12] == 198 && (a->b[13] & 0xfe) == 18;
	return memcmp(a->b, v6_base, 8) == 0;
}

const struct hostname *names_find(
	const struct names *n, const struct address *a)
{
	uint32_t v = (uint32_t)a->b[12] << 24 | (uint32_t)a->b[13] << 16 |
		(uint32_t)a->b[14] << 8 | a->b[15];

	if (!names_is_synthetic(a))
		return NULL;
	if (address_is_v4(a))
		v -= V4_BASE;
	else if (memcmp(a->b, v6_base, sizeof(v6_base)) != 0)
		return NULL;
	if (v < NAMES_FIRST || v - NAMES_FIRST >= n->count)
		return NULL;
	return &n->list[v - NAMES_FIRST];
}
