/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/stdfds.h"

#include "agent/tty.h"
#include "base/fd.h"
#include "wire/agent.h"
#include <errno.h>
#include <fcntl.h>

#define PIPE_SIZE (256 * 1024)

void stdfds_done(struct stdfds *io)
{
	closep(&io->child.in);
	if (!io->child.tty) {
		closep(&io->child.out);
		closep(&io->child.err);
	}
	closep(&io->in);
	closep(&io->out[0]);
	closep(&io->out[1]);
}

static int open_pipe(int *ret_read, int *ret_write)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	*ret_read = p[0];
	*ret_write = p[1];
	/* Fewer switches between writer and agent; refused to ordinary users. */
	(void)fcntl(p[0], F_SETPIPE_SZ, PIPE_SIZE);
	return 0;
}

static int open_pipes(const struct request *req, struct stdfds *io)
{
	int r;

	if (req->flags & EX_STDIN) {
		r = open_pipe(&io->child.in, &io->in);
	} else {
		io->child.in = open("/dev/null", O_RDONLY | O_CLOEXEC);
		r = io->child.in < 0 ? -errno : 0;
	}
	r = r ? r : open_pipe(&io->out[0], &io->child.out);
	return r ? r : open_pipe(&io->out[1], &io->child.err);
}

static int open_tty(const struct request *req, struct stdfds *io)
{
	int r = tty_open(req->rows, req->cols, &io->out[0], &io->child.in);

	if (r < 0)
		return r;
	io->child.tty = true;
	io->child.out = io->child.err = io->child.in;
	/* Input and output are watched apart: epoll wants two descriptors. */
	io->in = fcntl(io->out[0], F_DUPFD_CLOEXEC, 3);
	return io->in < 0 ? -errno : 0;
}

int stdfds_open(const struct request *req, struct stdfds *io)
{
	int r = req->flags & EX_TTY ? open_tty(req, io) : open_pipes(req, io);

	if (r == 0 && io->in >= 0)
		r = fd_nonblock(io->in, true);
	if (r == 0)
		r = fd_nonblock(io->out[0], true);
	if (r == 0 && io->out[1] >= 0)
		r = fd_nonblock(io->out[1], true);
	return r;
}
