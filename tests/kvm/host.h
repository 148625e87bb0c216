/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host - as much of coved as a test needs: answers the guest's hello, runs
 * commands in it and shuts it down. Blocking, with a bound on every wait.
 * Failures end the program with a text.
 */
#ifndef TEST_HOST_H
#define TEST_HOST_H

#include "base/util.h"

#define HOST_WAIT_S 120

/* Called before a failure ends the program; may end it otherwise. */
extern void (*host_lost)(void);

/* Before the guest starts: the socket it dials when it is up. */
int host_listen(const char *run_dir);
/*
 * Waits for the guest, configures it with the n shares mounted at their own
 * paths; returns its control stream.
 */
int host_greet(int listener, const char *const *shares, size_t n);
/* The same for a control stream that the guest lost (AF_CTL_RESUME). */
int host_resume(const char *run_dir);
/* Runs "sh -c command" as root, output to ours; its exit status. */
int host_exec(const char *run_dir, const char *command);
void host_shutdown(int control);

/* The monitor's control socket, and one request to it (wire/vmm.h). */
int host_control(const char *run_dir);
void host_ask(int sock, uint8_t type, const int *fds, size_t n_fds);
/* Prints the monitor's counters on stderr. */
void host_stats(const char *run_dir);

#endif
