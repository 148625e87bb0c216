/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control - the one stream to coved: HELLO, CONFIG, READY, then requests down
 * and events up. Dials until it was configured once; after that coved comes to
 * us (CTL_RESUME). Events that happen without a stream wait, a few of them.
 * Loop thread only.
 */
#ifndef AGENT_CONTROL_H
#define AGENT_CONTROL_H

#include "agent/stream.h"
#include "base/err.h"

struct control;

struct control_ops {
	/* HELLO is on its way. May be called again after a lost stream. */
	void (*greeted)(void *arg);
	/* 0, or -errno with text: then FAILED is sent. */
	int (*config)(void *arg, const void *p, size_t len, struct err *err);
	void (*shutdown)(void *arg, uint64_t timeout_ms);
	void (*clock)(void *arg, uint64_t realtime_ns);
	/* Called at each PING, before the answer. */
	void (*ping)(void *arg);
};

struct control {
	struct loop *loop;
	const struct control_ops *ops;
	void *arg;
	struct stream stream;
	bool open;
	bool configured;
	int dial_fd; /* owned; -1 */
	struct watch dial_watch;
	struct timer redial;
	unsigned int redial_ms;
	struct buf waiting; /* EVENT frames for the next stream */
};

void control_init(struct control *c, struct loop *l,
	const struct control_ops *ops, void *arg);
void control_done(struct control *c);
void control_dial(struct control *c);
/* Takes over a stream that began with CTL_RESUME; the older one is dropped. */
void control_resume(struct control *c, int fd, struct buf in);
void control_event(struct control *c, const char *type, const char *text);

#endif
