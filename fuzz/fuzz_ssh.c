/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's request to an SSH agent: only what is whole is passed on. */
#include "wire/ssh.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ssh_request q = ssh_request_read(data, size);

	if (size >= SSH_HEAD)
		assert(ssh_length(data) <= SSH_MSG_MAX);
	if (q.kind == SSH_LIST)
		assert(size == 1);
	if (q.kind == SSH_SIGN) {
		assert(q.key > data && q.key_len > 0);
		assert(q.key_len <= SSH_KEY_MAX);
		assert(q.key + q.key_len <= data + size);
		/* One byte less or more is not a request any more. */
		assert(ssh_request_read(data, size - 1).kind == SSH_REFUSED);
	}
	return 0;
}
