/* SPDX-License-Identifier: Apache-2.0 */
/* What a process of the guest sends out of the tun, read by its PID 1. */
#include "agent/packet.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[PACKET_MAX], again[PACKET_MAX];
	struct packet a, b;
	size_t n;

	if (size > PACKET_MAX || packet_parse(data, size, &a) < 0)
		return 0;
	assert(a.payload >= data && a.payload + a.len <= data + size);
	n = packet_unreachable(data, size, &a, out);
	assert(n > 0 && n <= PACKET_MAX);
	n = packet_make(&a, again);
	if (n == 0)
		return 0;
	assert(packet_parse(again, n, &b) == 0);
	assert(b.len == a.len && memcmp(b.payload, a.payload, a.len) == 0);
	assert(b.sport == a.sport && b.dport == a.dport);
	assert(memcmp(b.src, a.src, 16) == 0 && memcmp(b.dst, a.dst, 16) == 0);
	return 0;
}
