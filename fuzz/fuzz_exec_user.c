/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /etc/passwd and /etc/group of an image and the user of a request: three texts
 * divided by NUL bytes.
 */
#include "agent/account.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static char *cut(const uint8_t **data, size_t *size)
{
	size_t len = strnlen((const char *)*data, *size);
	char *s = xstrndup((const char *)*data, len);

	len += len < *size;
	*data += len;
	*size -= len;
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *spec = cut(&data, &size);
	_cleanup_free_ char *passwd = cut(&data, &size);
	_cleanup_free_ char *group = cut(&data, &size);
	struct account a;
	struct err err = {0};
	int r = account_find(passwd, group, spec, &a, &err);

	if (r < 0) {
		assert((r == -ENOENT || r == -EINVAL) && err.text[0]);
		return 0;
	}
	/* Nobody becomes "leave the id as it is". */
	assert(a.uid != (uid_t)-1 && a.gid != (gid_t)-1);
	assert(a.name && a.home[0] == '/' && a.shell[0] == '/');
	assert(a.n_groups >= 1 && a.n_groups <= ACCOUNT_GROUPS);
	assert(a.groups[0] == a.gid);
	assert(!strpbrk(a.name, ":\n") && !strpbrk(a.home, ":\n"));
	account_done(&a);
	return 0;
}
