/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coved - the daemon that owns sandboxes: ids, life cycle, store, API.
 *
 * "coved" (or "coved --foreground") serves until it is told to stop and logs to
 * stderr.
 *
 * "coved --ready-fd N" is what the command line starts, in a session of its own
 * and without a terminal: it logs to state/coved.log (capped; the one before is
 * coved.log.1) and writes to descriptor N "ready\n" when it takes connections,
 * or a text that says why it cannot; then it closes N.
 */
#include "daemon/logfile.h"
#include "daemon/run.h"

#include "base/log.h"
#include "base/opt.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct options {
	bool foreground;
	uint32_t ready_fd;
	bool version;
	bool help;
};

static const struct opt table[] = {
	{"foreground", 'f', OPT_FLAG, offsetof(struct options, foreground),
		.help = "serve and log to stderr (the default)"},
	{"ready-fd", 0, OPT_U32, offsetof(struct options, ready_fd), "N",
		"say on descriptor N that it serves, or why not", 3, 1023},
	{"version", 0, OPT_FLAG, offsetof(struct options, version),
		.help = "print the version"},
	{"help", 'h', OPT_FLAG, offsetof(struct options, help),
		.help = "print this help"},
};

static void print_help(void)
{
	printf("usage: coved [--foreground | --ready-fd N]\n");
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		printf("  --%s%s%-*s %s\n", table[i].name,
			table[i].arg ? " " : "",
			(int)(14 - strlen(table[i].name)),
			table[i].arg ? table[i].arg : "", table[i].help);
}

/* *ready_fd is closed as soon as it serves; -1: nobody asks. */
static int serve(int *ready_fd, struct err *err)
{
	struct daemon d = {.backend = &backend_engine, .lock_fd = -1};
	int r = paths_init(&d.paths, err);

	if (r == 0 && *ready_fd >= 0)
		r = paths_make(d.paths.state, err);
	if (r == 0 && *ready_fd >= 0)
		r = logfile_open(d.paths.state, err);
	if (r == 0)
		r = daemon_open(&d, err);
	if (r == 0) {
		if (*ready_fd >= 0)
			(void)fd_write_all(*ready_fd, "ready\n", 6);
		closep(ready_fd);
		*ready_fd = -1;
		log_info("serving version=%s pid=%d", COVE_VERSION,
			(int)getpid());
		r = daemon_serve(&d, err);
	}
	daemon_close(&d);
	paths_done(&d.paths);
	return r;
}

/* Started by somebody who waits for the answer on ready_fd. */
static int serve_detached(int ready_fd)
{
	struct err err = {0};

	if (fd_cloexec(ready_fd, true) < 0 || chdir("/") < 0)
		return 1;
	if (serve(&ready_fd, &err) == 0)
		return 0;
	log_error("%s", err.text);
	if (ready_fd >= 0)
		(void)fd_write_all(ready_fd, err.text, strlen(err.text));
	return 1;
}

int main(int argc, char **argv)
{
	struct options o = {0};
	struct err err = {0};
	int n = 0, dash = -1, no_fd = -1;

	log_init("coved", LOG_L_INFO);
	(void)signal(SIGPIPE, SIG_IGN);
	umask(077);
	if (opt_parse(table, ARRAY_SIZE(table), &o, argc - 1, argv + 1, false,
		    &n, &dash, &err) < 0 ||
		n > 0) {
		fprintf(stderr, "coved: %s\n",
			err.code ? err.text : "unexpected argument");
		return 2;
	}
	if (o.help || o.version) {
		if (o.help)
			print_help();
		else
			printf("coved %s\n", COVE_VERSION);
		return 0;
	}
	if (o.ready_fd > 0)
		return serve_detached((int)o.ready_fd);
	if (serve(&no_fd, &err) == 0)
		return 0;
	fprintf(stderr, "coved: %s\n", err.text);
	return 1;
}
