/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop - level-triggered epoll, one loop and one thread per process.
 *
 * Watches, timers and tasks are embedded in their owners; callbacks get a
 * pointer to the embedded struct and use container_of. loop_unwatch() is safe
 * inside any callback, also for a watch whose event is still in the batch in
 * hand. An object that holds a watch is freed only by loop_defer() or outside
 * loop_run(), so that no stale event can reach it.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include "base/list.h"
#include <signal.h>
#include <sys/epoll.h>

struct loop;
struct watch;
struct timer;
struct task;
typedef void watch_fn(struct loop *l, struct watch *w, uint32_t events);
typedef void timer_fn(struct loop *l, struct timer *t);
typedef void task_fn(struct loop *l, struct task *t);
typedef void signal_fn(struct loop *l, void *arg, int signo);

/* Zero-initialised is "not watching"; fd stays owned by the caller. */
struct watch {
	int fd;
	uint32_t events;
	watch_fn *fn;
	bool active;
};

struct timer {
	struct list link;
	uint64_t due_ms;
	timer_fn *fn;
	bool armed;
};

struct task {
	struct list link;
	task_fn *fn;
	bool queued;
};

#define LOOP_BATCH 64

struct loop {
	int epfd;
	struct list timers; /* sorted by due_ms */
	struct list tasks;
	struct epoll_event batch[LOOP_BATCH];
	int n_batch;
	bool stopped;
	int code;
	struct watch sig_watch; /* signalfd */
	signal_fn *on_signal;
	void *signal_arg;
};

int loop_init(struct loop *l);
void loop_done(struct loop *l);
/* 0 or -errno. events: EPOLLIN, EPOLLOUT; EPOLLHUP and EPOLLERR always come. */
int loop_watch(
	struct loop *l, struct watch *w, int fd, uint32_t events, watch_fn *fn);
/* Changes the events of an active watch. */
void loop_rewatch(struct loop *l, struct watch *w, uint32_t events);
void loop_unwatch(struct loop *l, struct watch *w);
/* (Re)arms; a timer fires once. */
void loop_timer(
	struct loop *l, struct timer *t, uint64_t delay_ms, timer_fn *fn);
void loop_untimer(struct loop *l, struct timer *t);
/* Runs fn once after the current batch of events. */
void loop_defer(struct loop *l, struct task *t, task_fn *fn);
/* Blocks the signals of set and delivers them to fn from the loop. */
int loop_signals(struct loop *l, const sigset_t *set, signal_fn *fn, void *arg);
/* Returns the code given to loop_stop(), or -errno. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l, int code);

#endif
