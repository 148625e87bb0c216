/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first frame of an exec stream: byte 0 chooses the type, the rest is the
 * body. What is accepted must be what a process can be started from.
 */
#include "agent/request.h"
#include "wire/agent.h"

#include <assert.h>
#include <string.h>

static const uint8_t types[] = {AF_EXEC, AF_ATTACH, AF_SIGNAL, AF_LIST, AF_GET,
	AF_PUT, AF_WINSIZE, 200};

static void check_strv(const struct strv *s)
{
	assert(s->n <= AGENT_ARGV_MAX);
	for (size_t i = 0; i < s->n; i++)
		assert(s->v[i] && strlen(s->v[i]) <= AGENT_STR_MAX);
	assert(!s->v || !s->v[s->n]);
}

static void check(uint8_t type, const struct request *q)
{
	check_strv(&q->argv);
	check_strv(&q->env);
	for (size_t i = 0; i < q->env.n; i++) {
		_cleanup_free_ char *key = xstrdup(q->env.v[i]);
		char *eq = strchr(key, '=');

		assert(eq && eq != key);
		*eq = '\0';
		/* Every name is there once. */
		assert(strv_getenv(&q->env, key) ==
			q->env.v[i] + (eq - key) + 1);
	}
	assert(type != AF_EXEC || (q->argv.n && q->argv.v[0][0]));
	assert(type != AF_SIGNAL || (q->signo >= 1 && q->signo <= 64));
	assert((type != AF_GET && type != AF_PUT) || q->path[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct request q;
	struct err err = {0};
	uint32_t rows = 0, cols = 0;
	uint8_t type;

	if (!size)
		return 0;
	type = types[data[0] % ARRAY_SIZE(types)];
	if (request_winsize(data + 1, size - 1, &rows, &cols) == 0)
		assert(rows <= 65535 && cols <= 65535);
	if (request_parse(type, data + 1, size - 1, &q, &err) < 0) {
		assert(err.code && err.text[0]);
		return 0;
	}
	check(type, &q);
	request_done(&q);
	return 0;
}
