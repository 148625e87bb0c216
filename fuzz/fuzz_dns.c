/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's DNS question: whatever is understood is answered within bounds. */
#include "gate/dns.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t addr[16] = {1};
	uint8_t out[DNS_MESSAGE_MAX];
	struct dns_query q, again;
	int r = dns_query_parse(data, size, &q);
	size_t n;

	if (r < 0)
		return 0;
	if (r != DNS_OK)
		q.question_len = q.question_len <= sizeof(q.question)
			? q.question_len
			: 0;
	n = dns_answer(
		&q, (enum dns_rcode)r, addr, r == DNS_OK ? 16 : 0, 60, out);
	assert(n >= 12 && n <= sizeof(out));
	/* The question that was echoed is the question that was asked. */
	if (r == DNS_OK) {
		out[2] &= 0x7f;
		out[7] = 0;
		assert(dns_query_parse(out, n, &again) == DNS_OK);
		assert(again.is_name == q.is_name && again.type == q.type);
		assert(!q.is_name || name_equal(&again.name, &q.name));
	}
	return 0;
}
