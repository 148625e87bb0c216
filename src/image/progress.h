/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress - what a job tells whoever waits for it: plain lines on stderr (one
 * live line when that is a terminal), or JSON lines on stdout:
 * {"step","text","done","total"}*, then {"result":{}} or {"error":"..."}.
 * One per process; the main thread's.
 */
#ifndef IMAGE_PROGRESS_H
#define IMAGE_PROGRESS_H

#include "base/err.h"
#include <jansson.h>

struct progress {
	bool json;
	bool tty;
	bool live;        /* the cursor stands behind a live line */
	uint64_t last_ms; /* of the last counting line */
};

void progress_init(struct progress *p, bool json);
/* One step begins or says something. step is a short stable word. */
void progress_say(struct progress *p, const char *step, const char *fmt, ...)
	_printf_(3, 4);
/* Work goes on; total 0 is unknown. Thinned out to what a person can read. */
void progress_count(struct progress *p, const char *step, uint64_t done,
	uint64_t total, const char *fmt, ...) _printf_(5, 6);
/* Ends the job; result is consumed. text is the plain form of it. */
void progress_result(struct progress *p, json_t *result, const char *text);
void progress_error(struct progress *p, const struct err *err);

#endif
