/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/control.h"

#include "base/fd.h"
#include "vmm/machine_state.h"
#include "wire/vmm.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define REQUEST_FDS 2u

struct request {
	uint8_t type;
	int fds[REQUEST_FDS];
	size_t n_fds;
};

static void drop(struct control_client *cl)
{
	loop_unwatch(cl->control->loop, &cl->watch);
	closep(&cl->fd);
	cl->waits = false;
}

static void reply(struct control_client *cl, uint8_t type, struct buf *body)
{
	size_t len = body ? buf_len(body) : 0;
	uint8_t msg[VMM_CONTROL_MAX];

	frame_head(msg, type, (uint32_t)len);
	if (len > 0)
		memcpy(msg + FRAME_HEAD, buf_head(body), len);
	if (send(cl->fd, msg, FRAME_HEAD + len, MSG_NOSIGNAL) < 0)
		drop(cl);
}

static void reply_failed(struct control_client *cl, const struct err *err)
{
	struct buf b;

	buf_init(&b, VMM_CONTROL_MAX - FRAME_HEAD);
	(void)tlv_put_u32(&b, VT_ERRNO, (uint32_t)err->code);
	(void)tlv_put_str(&b, VT_TEXT, err->text);
	reply(cl, VF_FAILED, &b);
	buf_done(&b);
}

static void answer(struct control_client *cl, const struct err *err)
{
	if (err->code)
		reply_failed(cl, err);
	else
		reply(cl, VF_DONE, NULL);
}

static void reply_stats(struct control_client *cl)
{
	const struct machine *m = cl->control->machine;
	struct machine_stats st;
	struct buf b;

	machine_stats(m, &st);
	buf_init(&b, VMM_CONTROL_MAX - FRAME_HEAD);
	(void)tlv_put_u64(&b, VT_EXITS_IO, st.exits_io);
	(void)tlv_put_u64(&b, VT_EXITS_MMIO, st.exits_mmio);
	(void)tlv_put_u64(&b, VT_EXITS_OTHER, st.exits_other);
	(void)tlv_put_u64(&b, VT_UNCLAIMED, st.unclaimed);
	(void)tlv_put_u64(&b, VT_REFUSED, st.refused);
	(void)tlv_put_u64(&b, VT_CONSOLE_BYTES, st.console_bytes);
	(void)tlv_put_u64(&b, VT_DISK_READ, st.disk_read);
	(void)tlv_put_u64(&b, VT_DISK_WRITTEN, st.disk_written);
	(void)tlv_put_u64(&b, VT_MEMORY_RETURNED, st.memory_returned);
	reply(cl, VF_STATS, &b);
	buf_done(&b);
}

static void control_parked(struct control *c)
{
	struct err none = {0};

	c->machine->paused = true;
	for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
		struct control_client *cl = &c->client[i];
		if (!cl->waits)
			continue;
		cl->waits = false;
		answer(cl, &none);
	}
}

static void on_parked(struct machine *m)
{
	control_parked(m->control);
}

static void begin_pause(struct control_client *cl)
{
	struct machine *m = cl->control->machine;

	cl->waits = true;
	vcpus_pause(&m->cpus);
	if (vcpus_parked(&m->cpus))
		control_parked(cl->control);
}

static void save(struct control_client *cl, struct request *rq)
{
	struct machine *m = cl->control->machine;
	struct err err = {0};

	if (!m->paused)
		(void)err_set(&err, EBUSY, "pause the machine first");
	else if (rq->n_fds != REQUEST_FDS)
		(void)err_set(&err, EINVAL, "needs two descriptors");
	else
		(void)machine_save(m, rq->fds[0], rq->fds[1], &err);
	answer(cl, &err);
}

static void serve(struct control_client *cl, struct request *rq)
{
	struct machine *m = cl->control->machine;
	struct err err = {0};

	switch (rq->type) {
	case VF_PAUSE:
		begin_pause(cl);
		return;
	case VF_RESUME:
		(void)machine_run(m, &err);
		break;
	case VF_SAVE:
		save(cl, rq);
		return;
	case VF_STOP:
		answer(cl, &err);
		vcpus_end(&m->cpus, VM_END_STOPPED, "stopped by request");
		return;
	case VF_STATS:
		reply_stats(cl);
		return;
	default:
		(void)err_set(&err, ENOTSUP, "unknown request %u", rq->type);
		break;
	}
	answer(cl, &err);
}

/* A record is one whole frame; its body is not used yet by any request. */
static int receive(struct control_client *cl, struct request *rq)
{
	uint8_t msg[VMM_CONTROL_MAX];
	ssize_t n = sock_recv_fds(
		cl->fd, msg, sizeof(msg), rq->fds, REQUEST_FDS, &rq->n_fds);

	if (n < (ssize_t)FRAME_HEAD)
		return n == -EAGAIN ? -EAGAIN : -EPIPE;
	if (get_le32(msg) != (uint32_t)n - FRAME_HEAD)
		return -EBADMSG;
	rq->type = msg[4];
	return 0;
}

static void on_request(struct loop *l, struct watch *w, uint32_t events)
{
	struct control_client *cl =
		container_of(w, struct control_client, watch);
	struct request rq = {.n_fds = 0};
	int r = receive(cl, &rq);

	if (r == 0 && !cl->waits)
		serve(cl, &rq);
	else if (r != -EAGAIN)
		drop(cl);
	for (size_t i = 0; i < rq.n_fds; i++)
		closep(&rq.fds[i]);
}

static void on_connect(struct loop *l, struct watch *w, uint32_t events)
{
	struct control *c = container_of(w, struct control, listener);
	_cleanup_close_ int fd =
		accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	for (size_t i = 0; i < CONTROL_CLIENTS && fd >= 0; i++) {
		struct control_client *cl = &c->client[i];
		if (cl->fd >= 0)
			continue;
		if (loop_watch(l, &cl->watch, fd, EPOLLIN, on_request) == 0)
			cl->fd = TAKE_FD(fd);
		return;
	}
}

int control_init(struct control *c, struct loop *l, int listen_fd,
	struct machine *m, struct err *err)
{
	int r;

	*c = (struct control){.machine = m, .loop = l};
	for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
		c->client[i].control = c;
		c->client[i].fd = -1;
	}
	m->control = c;
	m->parked = on_parked;
	if (listen_fd < 0)
		return 0;
	(void)fd_nonblock(listen_fd, true);
	r = loop_watch(l, &c->listener, listen_fd, EPOLLIN, on_connect);
	return r < 0 ? err_sys(err, -r, "cannot watch the control socket") : 0;
}

void control_done(struct control *c)
{
	if (c->listener.active)
		loop_unwatch(c->loop, &c->listener);
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		if (c->client[i].fd >= 0)
			drop(&c->client[i]);
}
