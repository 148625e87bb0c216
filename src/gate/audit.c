/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/audit.h"

#include "base/fd.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define SEQ_KEY "{\"seq\":"

static int open_log(struct audit *a)
{
	struct stat st;
	int fd = openat(a->dir, AUDIT_FILE,
		O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		closep(&fd);
		return -EINVAL;
	}
	a->fd = fd;
	a->size = (uint64_t)st.st_size;
	return 0;
}

/* The last whole line; what a crash left behind it is cut off. */
static int read_tail(struct audit *a)
{
	char text[2 * AUDIT_LINE_MAX + 1];
	size_t want = MIN((uint64_t)sizeof(text) - 1, a->size);
	ssize_t n = pread(a->fd, text, want, (off_t)(a->size - want));
	char *end, *line;

	if (n != (ssize_t)want)
		return -EIO;
	end = memrchr(text, '\n', want);
	if (!end)
		return want ? -EBADMSG : 0;
	a->size -= want - (size_t)(end + 1 - text);
	if (ftruncate(a->fd, (off_t)a->size) < 0)
		return -errno;
	line = memrchr(text, '\n', (size_t)(end - text));
	line = line ? line + 1 : text;
	*end = '\0';
	digest_of(line, (size_t)(end - line), a->last);
	if (strncmp(line, SEQ_KEY, strlen(SEQ_KEY)) == 0)
		a->seq = strtoull(line + strlen(SEQ_KEY), NULL, 10);
	return 0;
}

int audit_open(struct audit *a, int dir, const char *sandbox, struct err *err)
{
	int r;

	*a = (struct audit){.dir = dir, .fd = -1, .sandbox = sandbox};
	memset(a->last, '0', SHA256_HEX - 1);
	r = open_log(a);
	if (r == 0 && a->size > 0)
		r = read_tail(a);
	return r < 0 ? err_sys(err, -r, "the network log " AUDIT_FILE) : 0;
}

void audit_close(struct audit *a)
{
	closep(&a->fd);
}

static void turn_over(struct audit *a)
{
	int r;

	if (renameat(a->dir, AUDIT_FILE, a->dir, AUDIT_OLD) < 0) {
		a->broken = true;
		return;
	}
	closep(&a->fd);
	r = open_log(a);
	a->broken = r < 0;
	if (r < 0)
		log_error("network log: %s", strerror(-r));
}

static void put_text(char *dst, size_t size, const char *s)
{
	size_t n = 0;

	for (; *s && n + 3 < size; s++) {
		if (*s == '"' || *s == '\\')
			dst[n++] = '\\';
		dst[n++] = (uint8_t)*s >= 0x20 && (uint8_t)*s < 0x7f ? *s : '?';
	}
	dst[n] = '\0';
}

static void put_time(char *dst, size_t size)
{
	uint64_t ns = now_real_ns();
	time_t t = (time_t)(ns / 1000000000u);
	struct tm tm;
	char day[32];

	(void)gmtime_r(&t, &tm);
	(void)strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(
		dst, size, "%s.%03uZ", day, (unsigned)(ns / 1000000u % 1000u));
}

void audit_write(struct audit *a, const struct audit_entry *e)
{
	char target[300], reason[400], when[48];
	char line[AUDIT_LINE_MAX];
	int n;

	if (a->fd < 0 || a->size > AUDIT_SIZE_MAX)
		turn_over(a);
	if (a->fd < 0)
		return;
	put_text(target, sizeof(target), e->target);
	put_text(reason, sizeof(reason), e->reason);
	put_time(when, sizeof(when));
	n = snprintf(line, sizeof(line),
		SEQ_KEY "%" PRIu64
			",\"time\":\"%s\",\"sandbox\":\"%s\",\"proto\":\"%s\","
			"\"target\":\"%s\",\"port\":%u,\"path\":\"%s\","
			"\"verdict\":\"%s\",\"rule\":\"%s\",\"reason\":\"%s\","
			"\"up\":%" PRIu64 ",\"down\":%" PRIu64 "," CHAIN_KEY
			"%s\"}\n",
		a->seq + 1, when, a->sandbox, e->proto, target, e->port,
		e->path, e->verdict, e->rule, reason, e->up, e->down, a->last);
	if (n < 0 || (size_t)n >= sizeof(line)) {
		a->broken = true;
		return;
	}
	a->broken = fd_write_all(a->fd, line, (size_t)n) < 0;
	if (a->broken)
		return;
	a->seq++;
	a->size += (size_t)n;
	digest_of(line, (size_t)n - 1, a->last);
}
