/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/services.h"

#include "policy/policy.h"

#include <errno.h>
#include <string.h>

const char services_text[] =
#include "services.inc"
	;

static void service_done(struct service *s)
{
	free(s->name);
	for (size_t i = 0; i < s->n_env; i++)
		free(s->env[i]);
	for (size_t i = 0; i < s->n_hosts; i++)
		free(s->hosts[i]);
	for (size_t i = 0; i < s->n_uses; i++)
		free(s->uses[i]);
}

void services_free(struct service *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		service_done(&s[i]);
	free(s);
}

struct parse {
	struct service *list;
	size_t n;
};

static int add(char **list, size_t *n, size_t max, const char *value)
{
	if (*n == max)
		return -E2BIG;
	list[(*n)++] = xstrdup(value);
	return 0;
}

static int take_word(struct parse *p, const char *word, const char *value)
{
	struct service *s = p->n ? &p->list[p->n - 1] : NULL;
	struct policy_target t;

	if (streq(word, "service")) {
		if (p->n == SERVICES_MAX ||
			strspn(value,
				"abcdefghijklmnopqrstuvwxyz0123456789-") !=
				strlen(value))
			return -EINVAL;
		p->list[p->n++].name = xstrdup(value);
		return 0;
	}
	if (!s)
		return -EINVAL;
	if (streq(word, "env"))
		return add(s->env, &s->n_env, SERVICE_ENV_MAX, value);
	if (streq(word, "use"))
		return add(s->uses, &s->n_uses, SERVICE_USES_MAX, value);
	if (!streq(word, "host") || policy_target_parse(value, &t, NULL) < 0)
		return -EINVAL;
	return add(s->hosts, &s->n_hosts, SERVICE_HOSTS_MAX, value);
}

/* "word value", '#' begins a comment line. */
static int take_line(struct parse *p, char *line)
{
	char *word = line + strspn(line, " \t");
	char *value = word + strcspn(word, " \t");

	if (!*word || *word == '#')
		return 0;
	if (!*value)
		return -EINVAL;
	*value++ = '\0';
	value += strspn(value, " \t");
	return *value ? take_word(p, word, value) : -EINVAL;
}

int services_parse(
	const char *text, struct service **ret, size_t *ret_n, struct err *err)
{
	struct parse p = {xcalloc(SERVICES_MAX, sizeof(struct service)), 0};
	unsigned line = 0;
	int r = 0;

	while (*text && r == 0) {
		size_t n = strcspn(text, "\n");
		_cleanup_free_ char *copy = xstrndup(text, n);

		line++;
		r = take_line(&p, copy);
		text += n + (text[n] == '\n');
	}
	if (r < 0) {
		services_free(p.list, p.n);
		return err_set(err, EINVAL,
			"line %u is no line of a table of "
			"services",
			line);
	}
	*ret = p.list;
	*ret_n = p.n;
	return 0;
}
