/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"
#include "copy/reply.h"
#include "copy/tree.h"
#include "wire/agent.h"
#include <errno.h>
#include <string.h>

static const struct tree_opts no_opts;

static int write_frame(int fd, uint8_t type, const struct buf *body)
{
	struct buf out;
	int r;

	buf_init(&out, FRAME_HEAD + FRAME_MAX);
	r = frame_put(&out, type, buf_head(body), buf_len(body));
	if (r == 0)
		r = fd_write_all(fd, buf_head(&out), buf_len(&out));
	buf_done(&out);
	return r;
}

static int send_request(int fd, uint8_t type, const char *path,
	const char *user, struct err *err)
{
	struct buf body;
	int r;

	buf_init(&body, 2 * AGENT_PATH_MAX);
	r = tlv_put_str(&body, AT_PATH, path);
	if (r == 0 && user)
		r = tlv_put_str(&body, AT_USER, user);
	if (r == 0)
		r = write_frame(fd, type, &body);
	buf_done(&body);
	return r < 0 ? err_sys(err, -r, "send") : 0;
}

static int send_failed(int fd, const struct err *why)
{
	struct buf out;
	int r;

	buf_init(&out, FRAME_HEAD + FRAME_MAX);
	r = reply_failed(&out, why->code, why->text);
	if (r == 0)
		r = fd_write_all(fd, buf_head(&out), buf_len(&out));
	buf_done(&out);
	return r;
}

static int take_reply(const struct frame *f, struct err *err)
{
	if (f->type == AF_FAILED)
		return reply_take_failed(f, err);
	if (f->type != AF_DONE)
		return err_set(err, EBADMSG, "the answer makes no sense");
	return 0;
}

static int wait_reply(int fd, struct err *err)
{
	struct buf in;
	struct frame f;
	ssize_t n = 1;
	int r;

	buf_init(&in, FRAME_HEAD + FRAME_MAX);
	while ((r = frame_peek(&in, &f)) == 0 && n > 0)
		n = buf_read_fd(&in, fd, 4096);
	if (r == 1)
		r = take_reply(&f, err);
	else if (r < 0)
		r = err_set(err, EBADMSG, "the answer makes no sense");
	else if (n == 0)
		r = err_set(err, EPIPE, "the stream ended without an answer");
	else
		r = err_sys(err, (int)-n, "receive");
	buf_done(&in);
	return r;
}

int tree_put(int fd, const char *src, const char *dst, const char *user,
	const struct tree_opts *opts, struct tree_count *ret, struct err *err)
{
	struct tree_count count;
	struct err why = {0};
	int r = send_request(fd, AF_PUT, dst, user, err);

	if (r < 0)
		return r;
	r = tree_send(fd, src, opts ? opts : &no_opts, &count, &why);
	if (r < 0 && r != -ECONNABORTED) {
		(void)send_failed(fd, &why);
		return err_set(err, why.code, "%s", why.text);
	}
	if (wait_reply(fd, &why) < 0)
		return err_set(err, why.code, "%s", why.text);
	if (r < 0)
		return err_set(err, EBADMSG, "the answer came too early");
	*ret = count;
	return 0;
}

int tree_get(int fd, const char *src, const char *dst, const char *user,
	const struct tree_opts *opts, struct tree_count *ret, struct err *err)
{
	struct buf in;
	int r = send_request(fd, AF_GET, src, user, err);

	if (r < 0)
		return r;
	buf_init(&in, TREE_IN_MAX);
	r = tree_recv(fd, &in, dst, opts ? opts : &no_opts, ret, err);
	buf_done(&in);
	return r;
}

int tree_serve_get(int fd, const char *path, struct err *err)
{
	struct tree_count count;
	int r = tree_send(fd, path, &no_opts, &count, err);

	if (r < 0 && r != -ECONNABORTED)
		(void)send_failed(fd, err);
	return r;
}

/*
 * After a refusal the rest is read and dropped: a sender that is in the middle
 * of a write gets to its next look at the stream, and no layer between the two
 * has a reason to lose the answer.
 */
static void drain(int fd)
{
	struct buf sink;

	buf_init(&sink, FRAME_MAX);
	while (buf_read_fd(&sink, fd, FRAME_MAX) > 0)
		buf_clear(&sink);
	buf_done(&sink);
}

int tree_serve_put(int fd, struct buf *in, const char *path, struct err *err)
{
	struct tree_count count;
	struct buf empty;
	int r = tree_recv(fd, in, path, &no_opts, &count, err);

	if (r < 0) {
		(void)send_failed(fd, err);
		drain(fd);
		return r;
	}
	buf_init(&empty, 0);
	r = write_frame(fd, AF_DONE, &empty);
	return r < 0 ? err_sys(err, -r, "send") : 0;
}
