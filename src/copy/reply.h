/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply - the last frame of a request: DONE, or FAILED with an errno and a text.
 * Text from the other end is bounded and stripped of control characters before
 * anybody shows it.
 */
#ifndef COPY_REPLY_H
#define COPY_REPLY_H

#include "base/err.h"
#include "wire/frame.h"

/* 0 or -ENOBUFS. */
int reply_failed(struct buf *out, int code, const char *text);
/* Fills err from a FAILED frame; returns -err->code, never 0. */
int reply_take_failed(const struct frame *f, struct err *err);

#endif
