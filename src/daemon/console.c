/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/console.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define TAIL_BYTES 4096
#define FIND_BYTES 12288 /* a panic prints registers after its reason */

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

/* The end of the log; bytes read, 0 when there is nothing. */
static size_t read_end(const char *run_dir, char *text, size_t size)
{
	_cleanup_free_ char *path = xasprintf("%s/console.log", run_dir);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return 0;
	n = pread(fd, text, size,
		st.st_size > (off_t)size ? st.st_size - (off_t)size : 0);
	return n > 0 ? (size_t)n : 0;
}

void console_tail(
	const char *run_dir, unsigned max_lines, char *dst, size_t size)
{
	char text[TAIL_BYTES];
	size_t n = read_end(run_dir, text, sizeof(text));

	console_clean_tail(text, n, max_lines, dst, size);
}

void console_find(
	const char *run_dir, const char *needle, char *dst, size_t size)
{
	char text[FIND_BYTES];
	size_t n = read_end(run_dir, text, sizeof(text));
	size_t len = strlen(needle);
	const char *line = text, *nl;

	dst[0] = '\0';
	for (; n > 0; n -= (size_t)(nl - line), line = nl) {
		nl = memchr(line, '\n', n);
		nl = nl ? nl + 1 : line + n;
		if (memmem(line, (size_t)(nl - line), needle, len))
			console_clean_tail(
				line, (size_t)(nl - line), 1, dst, size);
	}
}
