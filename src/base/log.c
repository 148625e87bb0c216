/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_ 1024

static const char *log_name;
static enum log_level log_max = LOG_L_WARN;
static bool log_prefix;

static const char *const level_names[] = {"error", "warn", "info", "debug"};
/* Priorities of syslog(3), as sd-daemon(3) expects them on stderr. */
static const char level_prio[] = {'3', '4', '6', '7'};

void log_init(const char *name, enum log_level level)
{
	const char *want = getenv("COVE_LOG");

	log_name = name;
	log_max = level;
	log_prefix = !isatty(STDERR_FILENO);
	if (!want)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++)
		if (streq(want, level_names[i]))
			log_max = (enum log_level)i;
}

static size_t cap(int n, size_t room)
{
	if (n < 0)
		return 0;
	return MIN((size_t)n, room);
}

/*
 * A message may quote a guest or a client: it must not be able to start a
 * second line or move the cursor of the terminal that shows the log.
 */
static void make_printable(char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < 0x20 || c == 0x7f)
			s[i] = ' ';
	}
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char line[LINE_MAX_];
	size_t room = sizeof(line) - 2; /* the NUL of snprintf, the newline */
	int saved = errno;
	size_t len = 0;
	va_list ap;
	ssize_t r;

	if (level > log_max)
		return;
	if (log_prefix)
		len = cap(snprintf(line, room + 1, "<%c>", level_prio[level]),
			room);
	if (log_name)
		len += cap(
			snprintf(line + len, room - len + 1, "%s: ", log_name),
			room - len);
	va_start(ap, fmt);
	len += cap(vsnprintf(line + len, room - len + 1, fmt, ap), room - len);
	va_end(ap);
	make_printable(line, len);
	line[len++] = '\n';
	/* One write, so that lines of processes sharing stderr do not mix. */
	r = write(STDERR_FILENO, line, len);
	(void)r;
	errno = saved;
}
