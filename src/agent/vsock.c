/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/vsock.h"

#include "wire/wire.h"
#include <errno.h>
#include <sys/socket.h>

#include <linux/vm_sockets.h>

#define BACKLOG 128

static int open_socket(int *ret)
{
	int fd =
		socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	*ret = fd;
	return 0;
}

int vsock_listen(uint32_t port, int *ret_fd)
{
	struct sockaddr_vm sa = {
		.svm_family = AF_VSOCK,
		.svm_port = port,
		.svm_cid = VMADDR_CID_ANY,
	};
	_cleanup_close_ int fd = -1;
	int r = open_socket(&fd);

	if (r < 0)
		return r;
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
		listen(fd, BACKLOG) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int vsock_dial(uint32_t port, int *ret_fd)
{
	struct sockaddr_vm sa = {
		.svm_family = AF_VSOCK,
		.svm_port = port,
		.svm_cid = VSOCK_HOST_CID,
	};
	_cleanup_close_ int fd = -1;
	int r = open_socket(&fd);

	if (r < 0)
		return r;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 &&
		errno != EINPROGRESS)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}
