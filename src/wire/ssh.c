/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/ssh.h"

#include "wire/wire.h"

enum {
	REQUEST_IDENTITIES = 11,
	SIGN_REQUEST = 13,
};
#define SIGN_FLAGS 6u /* RSA with SHA-256 or SHA-512 */

size_t ssh_length(const uint8_t *head)
{
	uint32_t n = get_be32(head);

	return n <= SSH_MSG_MAX ? n : 0;
}

/* A length and as many bytes; moves behind them. */
static bool take_string(
	const uint8_t **p, size_t *len, const uint8_t **ret, size_t *ret_len)
{
	size_t n;

	if (*len < 4)
		return false;
	n = get_be32(*p);
	if (n > *len - 4)
		return false;
	*ret = *p + 4;
	*ret_len = n;
	*p += 4 + n;
	*len -= 4 + n;
	return true;
}

/* key, data, flags, and nothing behind them. */
static bool read_sign(const uint8_t *p, size_t len, struct ssh_request *q)
{
	const uint8_t *key, *data;
	size_t key_len, data_len;

	if (!take_string(&p, &len, &key, &key_len) ||
		!take_string(&p, &len, &data, &data_len) || len != 4 ||
		(get_be32(p) & ~SIGN_FLAGS) || key_len == 0 ||
		key_len > SSH_KEY_MAX)
		return false;
	q->key = key;
	q->key_len = key_len;
	return true;
}

struct ssh_request ssh_request_read(const uint8_t *p, size_t len)
{
	struct ssh_request q = {.kind = SSH_REFUSED};

	if (len == 0)
		return q;
	q.type = p[0];
	if (q.type == REQUEST_IDENTITIES && len == 1)
		q.kind = SSH_LIST;
	else if (q.type == SIGN_REQUEST && read_sign(p + 1, len - 1, &q))
		q.kind = SSH_SIGN;
	return q;
}
