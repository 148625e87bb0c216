/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/conlog.h"

#include <string.h>
#include <sys/stat.h>

void conlog_init(struct conlog *c, int fd, uint64_t max)
{
	struct stat st;

	*c = (struct conlog){.fd = fd, .max = max};
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		c->size = (uint64_t)st.st_size;
}

/* Moves the newer half to the front; a failure only costs old lines. */
static void drop_older_half(struct conlog *c)
{
	uint64_t from = c->size - c->size / 2, to = 0;
	uint8_t chunk[4096];

	for (;;) {
		ssize_t n = pread(c->fd, chunk, sizeof(chunk), (off_t)from);
		if (n <= 0 || pwrite(c->fd, chunk, (size_t)n, (off_t)to) != n)
			break;
		from += (uint64_t)n;
		to += (uint64_t)n;
	}
	if (ftruncate(c->fd, (off_t)to) == 0)
		c->size = to;
}

void conlog_flush(struct conlog *c)
{
	ssize_t n;

	if (c->n_pending == 0 || c->fd < 0) {
		c->n_pending = 0;
		return;
	}
	if (c->max > 0 && c->size + c->n_pending > c->max)
		drop_older_half(c);
	n = pwrite(c->fd, c->pending, c->n_pending, (off_t)c->size);
	if (n < 0) /* not seekable: a pipe or a terminal */
		n = write(c->fd, c->pending, c->n_pending);
	if (n > 0)
		c->size += (uint64_t)n;
	c->n_pending = 0;
}

static void put_byte(struct conlog *c, uint8_t b)
{
	c->tail[c->n_total++ % CONLOG_TAIL] = b;
	c->pending[c->n_pending++] = b;
	if (b == '\n' || c->n_pending == CONLOG_PENDING)
		conlog_flush(c);
}

void conlog_put(struct conlog *c, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		put_byte(c, p[i]);
}

/* The tail in order, printable, NUL-terminated. */
static void copy_tail(const struct conlog *c, char text[CONLOG_TAIL + 1])
{
	uint64_t n = MIN(c->n_total, (uint64_t)CONLOG_TAIL);

	for (uint64_t i = 0; i < n; i++) {
		uint8_t b = c->tail[(c->n_total - n + i) % CONLOG_TAIL];
		if (b == '\r')
			b = '\n';
		text[i] = (char)((b >= ' ' && b < 127) || b == '\n' ? b : '?');
	}
	text[n] = '\0';
}

void conlog_last(
	const struct conlog *c, const char *word, char *buf, size_t len)
{
	char text[CONLOG_TAIL + 1];
	char *save = NULL;
	bool found = false;

	copy_tail(c, text);
	buf[0] = '\0';
	for (char *line = strtok_r(text, "\n", &save); line;
		line = strtok_r(NULL, "\n", &save)) {
		bool has = word && strstr(line, word) != NULL;
		if (found && !has)
			continue;
		found = found || has;
		strncpy(buf, line, len - 1);
		buf[len - 1] = '\0';
	}
}
