/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress - long work made visible on stderr. On a terminal one line that is
 * rewritten; otherwise a plain line when a step begins, and only for work that
 * takes minutes (a plain boot says nothing, so that scripts see clean output).
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "base/util.h"
#include <jansson.h>

struct progress {
	bool tty;
	bool quiet;
	bool shown; /* a line is on the terminal now */
	uint64_t begin_ms;
	uint64_t drawn_ms;
	char *step;
	char *text;
	uint64_t done;
	uint64_t total;
};

void progress_init(struct progress *p, bool quiet);
/* Takes the line away and frees. */
void progress_done(struct progress *p);
/* {"step","text","done","total"} as coved sends it. */
void progress_json(struct progress *p, const json_t *line);
void progress_set(struct progress *p, const char *step, const char *text,
	uint64_t done, uint64_t total);
/* Redraws, so that the seconds go on; struct api's tick. */
void progress_tick(void *progress);

#endif
