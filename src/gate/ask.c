/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/ask.h"

#include "gate/judge.h"
#include <errno.h>

static unsigned waiting(const struct gate *g)
{
	unsigned n = 0;

	list_for_each (it, &g->streams)
		n += list_entry(it, struct stream, link)->state == ST_ASK;
	return n;
}

static int tell(struct stream *s)
{
	char target[NAME_MAX_LEN + 1];
	_cleanup_(buf_done) struct buf b;

	buf_init(&b, GATE_CONTROL_MAX - FRAME_HEAD);
	(void)tlv_put_str(
		&b, GT_TARGET, stream_target(s, target, sizeof(target)));
	(void)tlv_put_u32(&b, GT_TARGET_PORT, s->port);
	(void)tlv_put_u32(&b, GT_UDP, s->head[1] == EGRESS_UDP);
	return control_send(s->g, GF_ASK, &b);
}

static void on_late(struct loop *l, struct timer *t)
{
	struct stream *s = container_of(t, struct stream, timer);

	s->no_rule = true;
	judge_refuse(s, 403, "deny", "nobody answered whether it may");
}

bool ask_begin(struct stream *s)
{
	struct gate *g = s->g;

	if (!g->birth.ask || waiting(g) >= ASK_STREAMS_MAX || tell(s) < 0)
		return false;
	stream_wait(s, ST_ASK);
	loop_timer(&g->loop, &s->timer, GATE_ASK_MS, on_late);
	return true;
}

struct answer {
	char *target;
	uint32_t port, udp, allow;
};

static int read_answer(const void *body, size_t len, struct answer *ret)
{
	struct tlv_iter it = tlv_iter(body, len);
	struct tlv t;
	int r;

	while ((r = tlv_next(&it, &t)) > 0) {
		if (t.tag == GT_TARGET && !ret->target)
			r = tlv_str(&t, NAME_MAX_LEN, &ret->target);
		else if (t.tag == GT_TARGET_PORT)
			r = tlv_u32(&t, &ret->port);
		else if (t.tag == GT_UDP)
			r = tlv_u32(&t, &ret->udp);
		else if (t.tag == GT_ALLOW)
			r = tlv_u32(&t, &ret->allow);
		if (r < 0)
			return r;
	}
	return r < 0 || !ret->target ? -EBADMSG : 0;
}

static bool is_asked(const struct stream *s, const struct answer *a)
{
	char target[NAME_MAX_LEN + 1];

	return s->state == ST_ASK && s->port == a->port &&
		(s->head[1] == EGRESS_UDP) == (a->udp != 0) &&
		streq(stream_target(s, target, sizeof(target)), a->target);
}

int ask_answer(struct gate *g, const void *body, size_t len)
{
	struct answer a = {NULL, 0, 0, 0};
	int r = read_answer(body, len, &a);

	list_for_each_safe (it, &g->streams) {
		struct stream *s = list_entry(it, struct stream, link);

		if (r < 0 || !is_asked(s, &a))
			continue;
		if (a.allow)
			judge_approve(s);
		else
			judge_refuse(s, 403, "deny", "you rejected it");
	}
	free(a.target);
	return r;
}
