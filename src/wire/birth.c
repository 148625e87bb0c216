/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/birth.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

void birth_fds_done(struct birth_fds *p)
{
	for (size_t i = 0; i < p->n; i++)
		closep(&p->fd[i]);
}

int birth_claim(const struct tlv *t, struct birth_fds *p, int *ret)
{
	uint32_t i;

	if (tlv_u32(t, &i) < 0 || i >= p->n || p->fd[i] < 0 || *ret >= 0)
		return -EBADMSG;
	*ret = TAKE_FD(p->fd[i]);
	return 0;
}

void birth_answer(int sock, const struct err *err)
{
	uint8_t ok = BIRTH_OK;

	/* coved may be gone already; nobody else would want to know. */
	if (err->code)
		(void)send(sock, err->text, strlen(err->text), MSG_NOSIGNAL);
	else
		(void)send(sock, &ok, 1, MSG_NOSIGNAL);
}
