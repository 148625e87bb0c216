/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ssh.h"

#include "base/fd.h"
#include "base/log.h"
#include "wire/agent.h"
#include "wire/wire.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_connect(struct loop *l, struct watch *w, uint32_t events)
{
	struct ssh *s = container_of(w, struct ssh, listen);
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		net_dial(s->net, fd, PORT_SSH);
}

void ssh_init(struct ssh *s, struct loop *l, struct net *net,
	const struct account *who)
{
	_cleanup_close_ int fd = -1;

	if (s->net || !net->scratch) /* without a network nothing carries it */
		return;
	(void)unlink(SSH_AGENT_SOCKET);
	fd = sock_listen_at(AT_FDCWD, SSH_AGENT_SOCKET, 0600);
	if (fd < 0 || fd_nonblock(fd, true) < 0 ||
		lchown(SSH_AGENT_SOCKET, who->uid, who->gid) < 0 ||
		loop_watch(l, &s->listen, fd, EPOLLIN, on_connect) < 0) {
		log_error("SSH agent: %s", strerror(errno));
		return;
	}
	s->net = net;
	(void)TAKE_FD(fd);
}
