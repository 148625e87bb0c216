/* SPDX-License-Identifier: Apache-2.0 */
/* A ClientHello: a name that is found is canonical, more bytes keep it. */
#include "gate/sni.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hostname n, cut, again;
	bool alien, other;
	enum sni_result r = sni_parse(data, size, &n, &alien);

	if (r != SNI_NAME)
		return 0;
	assert(name_parse(n.s, n.len, &again) == 0);
	assert(name_equal(&n, &again));
	/* No shorter piece of it may have passed for another name. */
	for (size_t i = size > 64 ? size - 64 : 0; i < size; i++)
		assert(sni_parse(data, i, &cut, &other) != SNI_NAME ||
			(name_equal(&cut, &n) && other == alien));
	return 0;
}
