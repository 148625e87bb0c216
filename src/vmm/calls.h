/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls - how a vCPU's thread has something done on the loop's thread, where
 * the devices live, and waits for it. Rare: device set-up and reset only.
 */
#ifndef VMM_CALLS_H
#define VMM_CALLS_H

#include "base/loop.h"
#include <pthread.h>

struct calls {
	pthread_mutex_t lock;
	pthread_cond_t done;
	struct list pending;
	int fd;
	bool open;
	pthread_t owner; /* the loop's thread */
	struct watch watch;
};

int calls_init(struct calls *c, struct loop *l);
/* Wakes who waits and refuses whoever comes. Loop's thread. */
void calls_close(struct calls *c, struct loop *l);
/*
 * Runs fn(arg) on the loop's thread; returns its result, or -ECANCELED when
 * the machine is being taken down. On
 * the loop's own thread (tests): at once.
 */
int calls_run(struct calls *c, int (*fn)(void *arg), void *arg);

#endif
