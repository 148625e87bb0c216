/* SPDX-License-Identifier: Apache-2.0 */
/* coved with the fake engine: everything else is the real code. */
#include "fake.h"

#include "daemon/run.h"

#include "base/log.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define LISTEN_FD 9

int main(int argc, char **argv)
{
	struct daemon d = {.backend = &backend_fake,
		.lock_fd = -1,
		.stop_grace_ms = 300,
		.linger_ms = 300,
		.devices_ms = 50};
	struct err err = {0};
	int r;

	if (argc == 4 && streq(argv[1], "--guest"))
		return fake_guest(argv[2], argv[3], LISTEN_FD);
	if (argc == 4 && streq(argv[1], "--devices"))
		return pause();
	(void)signal(SIGPIPE, SIG_IGN);
	log_init("fake-coved", LOG_L_INFO);
	r = paths_init(&d.paths, &err);
	if (r == 0)
		r = daemon_open(&d, &err);
	if (r == 0) {
		(void)!write(1, "ready\n", 6);
		r = daemon_serve(&d, &err);
	}
	if (r < 0)
		printf("%s\n", err.text);
	daemon_close(&d);
	paths_done(&d.paths);
	return r < 0;
}
