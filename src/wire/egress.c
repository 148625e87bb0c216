/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/egress.h"

#include <errno.h>
#include <string.h>

void egress_put(uint8_t out[EGRESS_HEAD], const struct egress_head *h)
{
	memset(out, 0, EGRESS_HEAD);
	out[0] = EGRESS_VERSION;
	out[1] = h->proto;
	put_le16(out + 2, h->port);
	memcpy(out + 8, h->addr, sizeof(h->addr));
}

int egress_get(const uint8_t in[EGRESS_HEAD], struct egress_head *ret)
{
	bool known = in[1] == EGRESS_TCP || in[1] == EGRESS_UDP;

	if (in[0] != EGRESS_VERSION || !known || get_le32(in + 4) != 0)
		return -EBADMSG;
	if (get_le16(in + 2) == 0)
		return -EBADMSG;
	ret->proto = in[1];
	ret->port = get_le16(in + 2);
	memcpy(ret->addr, in + 8, sizeof(ret->addr));
	return 0;
}
