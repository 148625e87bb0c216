/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/spec.h"
#include <errno.h>
#include <string.h>

static bool name_ok(const char *s, size_t len)
{
	if (len == 0 || (s[0] >= '0' && s[0] <= '9'))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!(s[i] == '_' || (s[i] >= '0' && s[i] <= '9') ||
			    (s[i] >= 'a' && s[i] <= 'z') ||
			    (s[i] >= 'A' && s[i] <= 'Z')))
			return false;
	return true;
}

int env_parse(const char *arg, char **ret, struct err *err)
{
	size_t len = strcspn(arg, "=");

	if (!name_ok(arg, len))
		return err_set(err, EUSAGE,
			"--env: '%.80s' is not K=V with a name of letters, "
			"digits and '_'",
			arg);
	if (arg[len] == '=') {
		*ret = xstrdup(arg);
		return 0;
	}
	const char *value = getenv(arg);
	if (!value)
		return err_set(err, EUSAGE,
			"--env: '%.80s' is not set here; write %.80s=VALUE",
			arg, arg);
	*ret = xasprintf("%s=%s", arg, value);
	return 0;
}

int env_parse_all(const struct opt_strs *strs, char ***ret, size_t *ret_n,
	struct err *err)
{
	char **env = xcalloc(strs->n + 1, sizeof(*env));

	for (size_t i = 0; i < strs->n; i++) {
		int r = env_parse(strs->v[i], &env[i], err);
		if (r < 0) {
			env_free(env, i);
			return r;
		}
	}
	*ret = env;
	*ret_n = strs->n;
	return 0;
}

void env_free(char **env, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(env[i]);
	free(env);
}
