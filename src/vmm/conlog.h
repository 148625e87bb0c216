/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conlog - the guest's console output, kept in a capped file: when it is full
 * its older half is dropped. Also keeps the last lines in memory for the
 * reason of a failure. The bytes are the guest's: stored, never interpreted.
 * The caller serializes. Writes go out line by line.
 */
#ifndef VMM_CONLOG_H
#define VMM_CONLOG_H

#include "base/util.h"

#define CONLOG_PENDING 512u
#define CONLOG_TAIL 12288u /* a panic's stack trace, and what led to it */

struct conlog {
	int fd; /* O_RDWR regular file, or any descriptor; -1: none */
	uint64_t size;
	uint64_t max;
	size_t n_pending;
	uint8_t pending[CONLOG_PENDING];
	uint64_t n_total;          /* bytes ever written */
	uint8_t tail[CONLOG_TAIL]; /* ring: byte i of the stream at i % size */
};

/* fd stays the caller's. A regular file is appended to. */
void conlog_init(struct conlog *c, int fd, uint64_t max);
void conlog_put(struct conlog *c, const uint8_t *p, size_t len);
void conlog_flush(struct conlog *c);
/*
 * The last line that has `word` in it, or else the last line that is not
 * empty, with unprintable bytes as '?', into buf. "" when there is none.
 */
void conlog_last(
	const struct conlog *c, const char *word, char *buf, size_t len);

#endif
