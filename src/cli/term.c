/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/term.h"
#include "base/fd.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

static struct {
	volatile sig_atomic_t raw;
	bool hooked;
	int fd;
	struct termios saved;
	struct termios wanted;
} term = {.fd = -1};

void term_restore(void)
{
	if (!term.raw)
		return;
	term.raw = 0;
	tcsetattr(term.fd, TCSANOW, &term.saved);
}

/* SA_RESETHAND: raising the signal again ends the process as it would have. */
static void on_crash(int signo)
{
	term_restore();
	raise(signo);
}

static void hook_exits(void)
{
	static const int crashes[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
	struct sigaction sa = {
		.sa_handler = on_crash, .sa_flags = SA_RESETHAND | SA_NODEFER};

	if (term.hooked)
		return;
	term.hooked = true;
	atexit(term_restore);
	for (size_t i = 0; i < ARRAY_SIZE(crashes); i++)
		sigaction(crashes[i], &sa, NULL);
}

int term_raw(int fd)
{
	if (tcgetattr(fd, &term.saved) < 0)
		return -errno;
	term.wanted = term.saved;
	cfmakeraw(&term.wanted);
	term.fd = fd;
	hook_exits();
	term.raw = 1;
	if (tcsetattr(fd, TCSANOW, &term.wanted) < 0) {
		term.raw = 0;
		return -errno;
	}
	return 0;
}

void term_raw_again(void)
{
	if (term.fd < 0)
		return;
	/* Unless it is ours already: then "saved" would become raw itself. */
	if (!term.raw)
		tcgetattr(term.fd, &term.saved);
	term.raw = 1;
	tcsetattr(term.fd, TCSANOW, &term.wanted);
}

void term_tidy(int fd)
{
	static const char undo[] =
		"\033[?1049l\033[?1000l\033[?1002l\033[?1003l\033[?1006l"
		"\033[?2004l\033[?25h\033[0m";

	if (isatty(fd))
		(void)fd_write_all(fd, undo, sizeof(undo) - 1);
}

int term_size(int fd, uint32_t *ret_rows, uint32_t *ret_cols)
{
	struct winsize ws;

	if (ioctl(fd, TIOCGWINSZ, &ws) < 0)
		return -errno;
	*ret_rows = ws.ws_row;
	*ret_cols = ws.ws_col;
	return 0;
}

/*
 * The families that ncurses-base carries. Anything newer calls itself something
 * else but understands what xterm does.
 */
const char *term_name(const char *host_term)
{
	static const char *const known[] = {"xterm", "screen", "tmux", "linux",
		"vt100", "vt102", "vt220", "rxvt", "ansi", "dumb"};

	for (size_t i = 0; host_term && i < ARRAY_SIZE(known); i++) {
		size_t n = strlen(known[i]);
		if (strncmp(host_term, known[i], n) != 0)
			continue;
		const char *rest = host_term + n;
		if (*rest == '\0' || streq(rest, "-256color") ||
			streq(rest, "-color") || streq(rest, "-unicode"))
			return host_term;
	}
	return "xterm-256color";
}
