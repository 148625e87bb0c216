/* SPDX-License-Identifier: Apache-2.0 */
/* The refusal that a person or an agent can read. */
#include "gate/stream.h"

#include "http/http.h"
#include <stdio.h>
#include <string.h>

/* A method token and a space; longer methods than this nobody knows. */
bool deny_speaks_http(const uint8_t *p, size_t len)
{
	size_t n = 0;

	while (n < len && n < 16 && p[n] >= 'A' && p[n] <= 'Z')
		n++;
	return n >= 3 && n < len && p[n] == ' ';
}

void deny_body(const struct stream *s, struct buf *b)
{
	char target[NAME_MAX_LEN + 1];
	const char *host = stream_target(s, target, sizeof(target));

	(void)buf_putf(b, "cove: %s to %s:%u\n",
		s->status == 403 ? "this sandbox may not connect"
				 : "no connection",
		host, s->port);
	(void)buf_putf(b, "reason:  %s\n", s->reason);
	if (s->rule[0])
		(void)buf_putf(b, "rule:    %s\n", s->rule);
	if (s->status != 403)
		return;
	if (s->rule[0])
		(void)buf_putf(b, "to undo: cove policy rm %s\n", s->rule);
	else if (s->no_rule)
		(void)buf_putf(b,
			"to allow: cove policy allow %s:%u --sandbox %s\n",
			streq(host, POLICY_HOST_NAME) ? "host" : host, s->port,
			s->g->birth.name);
}

const char *deny_rule(const struct stream *s)
{
	return s->rule[0] ? s->rule : "default";
}

void deny_answer(const struct stream *s, bool keep, struct buf *out)
{
	struct buf body;

	buf_init(&body, 2048);
	deny_body(s, &body);
	(void)http_put_status(out, s->status);
	(void)http_put_field(out, "Content-Type", "text/plain");
	(void)http_put_field(out, "Cove-Denied", deny_rule(s));
	if (!keep)
		(void)http_put_field(out, "Connection", "close");
	(void)http_put_length(out, buf_len(&body));
	(void)http_put_end(out);
	(void)buf_put(out, buf_head(&body), buf_len(&body));
	buf_done(&body);
}
