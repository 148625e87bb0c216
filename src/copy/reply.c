/* SPDX-License-Identifier: Apache-2.0 */
#include "copy/reply.h"

#include "wire/agent.h"
#include <errno.h>
#include <string.h>

int reply_failed(struct buf *out, int code, const char *text)
{
	struct buf body;
	int r;

	buf_init(&body, 2 * ERR_TEXT_MAX);
	r = tlv_put_u32(&body, AT_ERRNO, (uint32_t)code);
	if (r == 0)
		r = tlv_put(
			&body, AT_TEXT, text, strnlen(text, ERR_TEXT_MAX - 1));
	if (r == 0)
		r = frame_put(out, AF_FAILED, buf_head(&body), buf_len(&body));
	buf_done(&body);
	return r;
}

static void make_printable(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

int reply_take_failed(const struct frame *f, struct err *err)
{
	struct tlv_iter it = tlv_iter(f->p, f->len);
	_cleanup_free_ char *text = NULL;
	uint32_t code = EIO;
	struct tlv t;

	while (tlv_next(&it, &t) == 1) {
		if (t.tag == AT_ERRNO)
			(void)tlv_u32(&t, &code);
		else if (t.tag == AT_TEXT && !text)
			(void)tlv_str(&t, ERR_TEXT_MAX - 1, &text);
	}
	if (code == 0 || code > 4095)
		code = EIO;
	if (!text || !text[0])
		return err_sys(err, (int)code, "refused");
	make_printable(text);
	return err_set(err, (int)code, "%s", text);
}
