/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/birth.h"

#include "base/fd.h"
#include <errno.h>
#include <string.h>

static int read_field(void *arg, const struct tlv *t, struct birth_fds *p)
{
	struct birth *b = arg;

	switch (t->tag) {
	case BT_NAME:
		return birth_str(t, 255, &b->name);
	case BT_GATE_EGRESS:
		return birth_claim(t, p, &b->egress);
	case BT_GATE_DNS:
		return birth_claim(t, p, &b->dns);
	case BT_GATE_CONTROL:
		return birth_claim(t, p, &b->control);
	case BT_GATE_DIR:
		return birth_claim(t, p, &b->dir);
	case BT_GATE_POLICY:
		return birth_claim(t, p, &b->policy);
	case BT_GATE_KEYS:
		return birth_claim(t, p, &b->keys);
	case BT_GATE_ROOTS:
		return birth_claim(t, p, &b->roots[b->roots[0] < 0 ? 0 : 1]);
	case BT_GATE_RUN:
		return birth_claim(t, p, &b->run);
	case BT_GATE_RATE_UP:
		return tlv_u64(t, &b->rate_up);
	case BT_GATE_RATE_DOWN:
		return tlv_u64(t, &b->rate_down);
	case BT_GATE_PROXY:
		return birth_str(t, 1024, &b->proxy);
	case BT_GATE_NO_PROXY:
		return birth_str(t, 4096, &b->no_proxy);
	case BT_GATE_ASK:
		return tlv_u32(t, &b->ask);
	case BT_GATE_QUOTA:
		return tlv_u64(t, &b->quota);
	default:
		return 0; /* from a newer coved */
	}
}

int birth_receive(struct birth *b, int sock, struct err *err)
{
	int r;

	*b = (struct birth){.egress = -1,
		.dns = -1,
		.control = -1,
		.dir = -1,
		.policy = -1,
		.keys = -1,
		.roots = {-1, -1},
		.run = -1};
	r = birth_read(sock, "cove-gate", read_field, b, err);
	if (r < 0)
		return r;
	if (!b->name || b->egress < 0 || b->dns < 0 || b->control < 0 ||
		b->dir < 0 || b->policy < 0 || b->run < 0)
		return err_set(
			err, EINVAL, "the configuration message lacks a part");
	return 0;
}

void birth_done(struct birth *b)
{
	int *fds[] = {&b->egress, &b->dns, &b->control, &b->dir, &b->policy,
		&b->run, &b->keys, &b->roots[0], &b->roots[1]};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		closep(fds[i]);
	free(TAKE_PTR(b->name));
	free(TAKE_PTR(b->proxy));
	free(TAKE_PTR(b->no_proxy));
}
