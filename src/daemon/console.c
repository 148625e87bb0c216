/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/console.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define TAIL_BYTES 4096

/* Length of the escape sequence at s, 0 when there is none. */
static size_t escape_len(const char *s, size_t len)
{
	size_t n = 2;

	if (len < 2 || s[0] != 0x1b)
		return 0;
	if (s[1] != '[')
		return 2;
	while (n < len && (uint8_t)s[n] >= 0x20 && (uint8_t)s[n] < 0x40)
		n++;
	return MIN(n + 1, len);
}

/* Printable ASCII only; lines kept, empty ones not. Returns the length. */
static size_t clean(const char *s, size_t len, char *dst)
{
	size_t n = 0, esc;

	for (size_t i = 0; i < len; i++) {
		esc = escape_len(s + i, len - i);
		if (esc > 0) {
			i += esc - 1;
			continue;
		}
		if (s[i] == '\n' || s[i] == '\r') {
			if (n > 0 && dst[n - 1] != '\n')
				dst[n++] = '\n';
		} else if (s[i] >= 0x20 && s[i] < 0x7f) {
			dst[n++] = s[i];
		}
	}
	while (n > 0 && dst[n - 1] == '\n')
		n--;
	return n;
}

void console_clean_tail(const char *text, size_t len, unsigned max_lines,
	char *dst, size_t size)
{
	char work[TAIL_BYTES];
	size_t n, from, out = 0;
	unsigned lines = 0;

	if (len > sizeof(work)) {
		text += len - sizeof(work);
		len = sizeof(work);
	}
	n = clean(text, len, work);
	from = n;
	while (from > 0) {
		if (work[from - 1] == '\n' && ++lines == max_lines)
			break;
		from--;
	}
	for (; from < n && out + 4 < size; from++) {
		if (work[from] == '\n') {
			memcpy(dst + out, " | ", 3);
			out += 3;
		} else {
			dst[out++] = work[from];
		}
	}
	dst[out] = '\0';
}

void console_tail(
	const char *run_dir, unsigned max_lines, char *dst, size_t size)
{
	_cleanup_free_ char *path = xasprintf("%s/console.log", run_dir);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char text[TAIL_BYTES];
	struct stat st;
	ssize_t n = 0;

	dst[0] = '\0';
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	n = pread(fd, text, sizeof(text),
		st.st_size > TAIL_BYTES ? st.st_size - TAIL_BYTES : 0);
	if (n > 0)
		console_clean_tail(text, (size_t)n, max_lines, dst, size);
}
