/* SPDX-License-Identifier: Apache-2.0 */
/* head - what the parts of the head parser share. Private to http. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "http/http.h"

/* Records the refusal and returns -EBADMSG. why is a static text. */
int http_refuse(struct http_parser *p, unsigned status, const char *why);
/* After the last field: framing, host, connection (RFC 9112 section 6.3). */
int http_finish(struct http_parser *p);
/* Sets form and authority of a request's target. */
int http_check_target(struct http_parser *p);

#endif
