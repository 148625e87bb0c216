/* SPDX-License-Identifier: Apache-2.0 */
/* Another SSH agent for a sandbox that has one; docs/api.md. */
#include "daemon/api.h"

#include "daemon/ssh.h"

#include "wire/agent.h"

static int change(struct request *rq, struct sandbox *sb, struct err *err)
{
	struct {
		char *path;
	} b = {NULL};
	static const struct field fields[] = {{"path", FIELD_STR, 0, 1,
		AGENT_PATH_MAX - 1, .required = true}};
	_cleanup_json_ json_t *none = json_object();
	int r = fields_read(rq->body ? rq->body : none, fields, 1, &b, err);

	r = r ? r : ssh_change(sb, b.path, err);
	free(b.path);
	return r;
}

void api_ssh_agent(struct request *rq)
{
	struct sandbox *sb = api_sandbox(rq);
	struct err err = {0};

	if (!sb)
		return;
	if (change(rq, sb, &err) < 0)
		conn_fail(rq->c, &err);
	else
		conn_reply(rq->c, 200, json_object());
}
