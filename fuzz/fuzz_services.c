/* SPDX-License-Identifier: Apache-2.0 */
/* The table of services: any text is refused or gives a bounded table. */
#include "daemon/services.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = xstrndup((const char *)data, size);
	struct service *list = NULL;
	struct err err = {0};
	size_t n = 0;

	if (services_parse(text, &list, &n, &err) < 0) {
		assert(err.text[0]);
		return 0;
	}
	assert(n <= SERVICES_MAX);
	for (size_t i = 0; i < n; i++)
		assert(list[i].name && list[i].n_hosts <= SERVICE_HOSTS_MAX);
	services_free(list, n);
	return 0;
}
