/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

int tty_open(uint32_t rows, uint32_t cols, int *ret_master, int *ret_slave)
{
	_cleanup_close_ int master =
		open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int unlock = 0;
	int slave;

	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return -errno;
	/* By descriptor: whatever the workload mounted on /dev/pts. */
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return -errno;
	if (rows && cols)
		tty_set_size(master, rows, cols);
	*ret_master = TAKE_FD(master);
	*ret_slave = slave;
	return 0;
}

void tty_set_size(int master, uint32_t rows, uint32_t cols)
{
	struct winsize ws = {
		.ws_row = (unsigned short)rows,
		.ws_col = (unsigned short)cols,
	};

	(void)ioctl(master, TIOCSWINSZ, &ws);
}

void tty_send_eof(int master)
{
	struct termios t;
	ssize_t n;

	if (master < 0 || tcgetattr(master, &t) < 0 || !(t.c_lflag & ICANON))
		return;
	n = write(master, &t.c_cc[VEOF], 1);
	(void)n;
}
