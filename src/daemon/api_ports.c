/* SPDX-License-Identifier: Apache-2.0 */
/* The published ports of one sandbox; docs/api.md. */
#include "daemon/api.h"

#include "daemon/gate.h"
#include "daemon/ports.h"

#include <errno.h>

static void answer(struct request *rq, struct sandbox *sb)
{
	conn_reply(rq->c, 200, json_pack("{s:o}", "ports", ports_json(sb)));
}

void api_ports_get(struct request *rq)
{
	struct sandbox *sb = api_sandbox(rq);

	if (sb)
		answer(rq, sb);
}

static int change(struct request *rq, struct sandbox *sb, struct err *err)
{
	struct {
		json_t *publish;
		json_t *unpublish;
	} b = {NULL, NULL};
	static const struct field fields[] = {
		{"publish", FIELD_JSON, 0, .json = JSON_ARRAY},
		{"unpublish", FIELD_JSON, sizeof(json_t *), .json = JSON_ARRAY},
	};
	_cleanup_free_ struct publish *add = NULL;
	_cleanup_free_ struct publish *del = NULL;
	_cleanup_json_ json_t *none = json_object();
	size_t n_add = 0, n_del = 0;
	int r = fields_read(rq->body ? rq->body : none, fields, 2, &b, err);

	if (r == 0 && b.publish)
		r = publish_read(b.publish, &add, &n_add, err);
	if (r == 0 && b.unpublish)
		r = publish_read(b.unpublish, &del, &n_del, err);
	return r ? r : ports_change(sb, add, n_add, del, n_del, err);
}

void api_ports_change(struct request *rq)
{
	struct sandbox *sb = api_sandbox(rq);
	struct err err = {0};

	if (!sb)
		return;
	if (sb->state == SB_CREATING) {
		conn_error(rq->c, 409, "conflict",
			"it is still being created; try again");
		return;
	}
	if (change(rq, sb, &err) < 0) {
		conn_fail(rq->c, &err);
		return;
	}
	if (gate_pid(sb) > 0)
		gate_push_ports(sb);
	else /* it was only tried */
		ports_close(sb);
	answer(rq, sb);
}
