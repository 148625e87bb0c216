/* SPDX-License-Identifier: Apache-2.0 */
#include "base/loop.h"
#include "cm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

static struct loop loop;

static int setup(void **state)
{
	return loop_init(&loop);
}

static int teardown(void **state)
{
	loop_done(&loop);
	return 0;
}

struct end {
	struct watch w;
	int calls;
	uint32_t last;
	struct end *peer; /* unwatched from the callback */
};

static void count_and_stop(struct loop *l, struct watch *w, uint32_t events)
{
	struct end *e = container_of(w, struct end, w);

	e->calls++;
	e->last = events;
	loop_stop(l, 7);
}

static void test_watch(void **state)
{
	struct end e = {0};
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(
		loop_watch(&loop, &e.w, p[0], EPOLLIN, count_and_stop), 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(loop_run(&loop), 7);
	assert_int_equal(e.calls, 1);
	assert_true(e.last & EPOLLIN);
	/* Level-triggered: the unread byte comes again. */
	assert_int_equal(loop_run(&loop), 7);
	assert_int_equal(e.calls, 2);
	/* Not interested: only the hang-up comes. */
	loop_rewatch(&loop, &e.w, 0);
	close(p[1]);
	loop_run(&loop);
	assert_int_equal(e.last, EPOLLHUP);
	loop_unwatch(&loop, &e.w);
	loop_unwatch(&loop, &e.w); /* twice is harmless */
	assert_false(e.w.active);
	close(p[0]);
}

static void test_watch_refused(void **state)
{
	struct end e = {0};
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	assert_int_equal(
		loop_watch(&loop, &e.w, -1, EPOLLIN, count_and_stop), -EBADF);
	assert_false(e.w.active);
	close(fd);
}

static void drop_peer(struct loop *l, struct watch *w, uint32_t events)
{
	struct end *e = container_of(w, struct end, w);

	e->calls++;
	loop_unwatch(l, &e->peer->w);
	/* A use after this line would be seen by the sanitizer. */
	memset(e->peer, 0xee, sizeof(*e->peer));
	loop_stop(l, 0);
}

static void peer_must_be_silent(struct loop *l, struct task *t)
{
	loop_stop(l, 1);
}

/* Both are ready in one batch; the first removes the second. */
static void test_unwatch_inside_a_batch(void **state)
{
	struct end a = {0}, b = {0};
	struct task t = {0};
	int sv[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	a.peer = &b;
	b.peer = &a;
	loop_watch(&loop, &a.w, sv[0], EPOLLOUT, drop_peer);
	loop_watch(&loop, &b.w, sv[1], EPOLLOUT, drop_peer);
	/* One round only: loop_stop() comes from whoever runs first. */
	loop_defer(&loop, &t, peer_must_be_silent);
	loop_run(&loop);
	/* Exactly one ran; the other was overwritten with 0xee. */
	assert_true((a.calls == 1) != (b.calls == 1));
	loop_unwatch(&loop, a.calls == 1 ? &a.w : &b.w);
	close(sv[0]);
	close(sv[1]);
}

static char order[16];
static size_t n_order;

struct named_timer {
	struct timer t;
	char name;
};

static void note_timer(struct loop *l, struct timer *t)
{
	order[n_order++] = container_of(t, struct named_timer, t)->name;
	if (list_empty(&l->timers))
		loop_stop(l, 0);
}

static void test_timers_fire_in_order(void **state)
{
	struct named_timer a = {.name = 'a'}, b = {.name = 'b'},
			   c = {.name = 'c'}, d = {.name = 'd'};
	uint64_t start = now_ms();

	n_order = 0;
	memset(order, 0, sizeof(order));
	loop_timer(&loop, &c.t, 30, note_timer);
	loop_timer(&loop, &a.t, 0, note_timer);
	loop_timer(&loop, &d.t, 5, note_timer);
	loop_timer(&loop, &b.t, 15, note_timer);
	loop_untimer(&loop, &d.t);
	loop_untimer(&loop, &d.t); /* twice is harmless */
	/* Re-arming moves it behind b. */
	loop_timer(&loop, &a.t, 20, note_timer);
	assert_int_equal(loop_run(&loop), 0);
	assert_string_equal(order, "bac");
	assert_true(now_ms() - start >= 30);
}

static void rearm(struct loop *l, struct timer *t)
{
	if (++n_order == 3)
		loop_stop(l, 3);
	else
		loop_timer(l, t, 1, rearm);
}

static void test_timer_rearms_itself(void **state)
{
	struct timer t = {0};

	n_order = 0;
	loop_timer(&loop, &t, 0, rearm);
	assert_int_equal(loop_run(&loop), 3);
	assert_int_equal(n_order, 3);
	assert_false(t.armed);
	/* Never due is not "due at once by overflow". */
	loop_timer(&loop, &t, UINT64_MAX, rearm);
	assert_true(t.due_ms == UINT64_MAX);
	loop_untimer(&loop, &t);
}

struct job {
	struct task t;
	int runs;
	bool again;
};

static void run_job(struct loop *l, struct task *t)
{
	struct job *j = container_of(t, struct job, t);

	j->runs++;
	if (j->again && j->runs < 3)
		loop_defer(l, t, run_job);
	else
		loop_stop(l, 0);
}

static void free_job(struct loop *l, struct task *t)
{
	free(container_of(t, struct job, t));
	loop_stop(l, 5);
}

static void test_tasks(void **state)
{
	struct job once = {0}, again = {.again = true};
	struct job *heap = xnew(struct job);

	/* Queued twice, run once. */
	loop_defer(&loop, &once.t, run_job);
	loop_defer(&loop, &once.t, run_job);
	assert_int_equal(loop_run(&loop), 0);
	assert_int_equal(once.runs, 1);
	loop_defer(&loop, &again.t, run_job);
	loop_run(&loop);
	assert_int_equal(again.runs, 3);
	/* A task may free the object it is part of. */
	loop_defer(&loop, &heap->t, free_job);
	assert_int_equal(loop_run(&loop), 5);
}

static int signal_seen;

static void on_signal(struct loop *l, void *arg, int signo)
{
	signal_seen = signo;
	loop_stop(l, *(int *)arg);
}

static void test_signals(void **state)
{
	int code = 9;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	assert_int_equal(loop_signals(&loop, &set, on_signal, &code), 0);
	raise(SIGUSR1);
	assert_int_equal(loop_run(&loop), 9);
	assert_int_equal(signal_seen, SIGUSR1);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void test_stop_before_run_counts(void **state)
{
	loop_stop(&loop, 4);
	assert_int_equal(loop_run(&loop), 4);
}

int main(void)
{
#define looped(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		looped(test_watch),
		looped(test_watch_refused),
		looped(test_unwatch_inside_a_batch),
		looped(test_timers_fire_in_order),
		looped(test_timer_rearms_itself),
		looped(test_tasks),
		looped(test_signals),
		looped(test_stop_before_run_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
