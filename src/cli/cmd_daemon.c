/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/start.h"
#include "cli/text.h"
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define STOP_WAIT_MS 30000

struct daemon_opts {
	bool help;
	bool foreground;
	bool json;
};

static const struct opt opts[] = {
	{"foreground", 0, OPT_FLAG, offsetof(struct daemon_opts, foreground),
		NULL, "start: stay, and log to standard error", 0, 0, NULL},
	{"json", 0, OPT_FLAG, offsetof(struct daemon_opts, json), NULL,
		"status: print JSON", 0, 0, NULL},
};

static struct api quiet_api(struct cli *cli)
{
	return (struct api){
		.cli = cli, .no_start = true, .timeout_ms = API_QUICK_MS};
}

static int get_version(struct cli *cli, json_t **ret, struct err *err)
{
	struct api api = quiet_api(cli);

	return api_get(&api, "/v1/version", ret, err);
}

static int foreground(struct cli *cli, struct err *err)
{
	_cleanup_free_ char *program = NULL;
	char *const argv[] = {(char *)(uintptr_t) "coved", NULL};
	int r = paths_program("coved", &program, err);

	if (r < 0)
		return r;
	fflush(NULL);
	signal(SIGPIPE, SIG_DFL);
	execv(program, argv);
	return err_sys(err, errno, "cannot execute %s", program);
}

static int start(struct cli *cli, bool stay)
{
	struct err err = {0};
	json_t *v;
	int r = cli_paths(cli, &err);

	if (r < 0)
		return cli_fail(&err);
	if (get_version(cli, &v, &err) == 0) {
		printf("coved is running already (pid %" PRIu64 ")\n",
			ju64(v, "pid"));
		json_decref(v);
		return stay ? CLI_REFUSED : CLI_OK;
	}
	r = stay ? foreground(cli, &err) : start_daemon(&cli->paths, &err);
	if (r < 0)
		return cli_fail(&err);
	puts("coved started");
	return CLI_OK;
}

/* Event, not time: the process itself is waited for. */
static int wait_for_end(const struct proc_id *id, struct err *err)
{
	_cleanup_close_ int fd = proc_open(id);

	if (fd < 0)
		return fd == -ESRCH
			? 0
			: err_sys(err, -fd, "cannot watch coved (pid %d)",
				  (int)id->pid);
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	int n;
	do
		n = poll(&pfd, 1, STOP_WAIT_MS);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return err_set(err, ETIMEDOUT,
			"coved (pid %d) does not end; its sandboxes are safe "
			"from: kill -9 %d",
			(int)id->pid, (int)id->pid);
	return 0;
}

/* 0 stopped, 1 was not running. */
static int stop(struct cli *cli, struct err *err)
{
	struct api api = quiet_api(cli);
	struct proc_id id;
	json_t *v;
	int r = get_version(cli, &v, err);

	if (r == -ENOTCONN)
		return 1;
	if (r < 0)
		return r;
	pid_t pid = (pid_t)ju64(v, "pid");
	json_decref(v);
	r = proc_id_of(pid, &id);
	if (r == -ESRCH)
		return 0;
	if (r < 0)
		return err_sys(
			err, -r, "cannot watch coved (pid %d)", (int)pid);
	r = api_call(&api, "POST", "/v1/daemon/stop", NULL, NULL, err);
	return r < 0 ? r : wait_for_end(&id, err);
}

static int do_stop(struct cli *cli)
{
	struct err err = {0};
	int r = stop(cli, &err);

	if (r < 0)
		return cli_fail(&err);
	puts(r ? "coved was not running"
	       : "coved stopped; running sandboxes go on");
	return CLI_OK;
}

static int restart(struct cli *cli)
{
	struct err err = {0};
	int r = stop(cli, &err);

	if (r >= 0)
		r = start_daemon(&cli->paths, &err);
	if (r < 0)
		return cli_fail(&err);
	puts("coved restarted");
	return CLI_OK;
}

static void print_status(const struct cli *cli, const json_t *v)
{
	_cleanup_free_ char *log = start_log_path(&cli->paths);
	_cleanup_free_ char *version = text_safe(jstr(v, "version"));
	_cleanup_free_ char *started = text_safe(jstr(v, "started"));

	bool running = json_is_true(json_object_get(v, "running"));

	printf("coved is %s\n", running ? "running" : "not running");
	if (running)
		printf("version  %s\npid      %" PRIu64 "\nstarted  %s\n",
			version, ju64(v, "pid"), started);
	printf("socket   %s/coved.sock\nlog      %s\n", cli->paths.run, log);
}

static int status(struct cli *cli, bool json)
{
	struct err err = {0};
	json_t *v;
	int r = get_version(cli, &v, &err);

	if (r < 0 && r != -ENOTCONN)
		return cli_fail(&err);
	if (r < 0)
		v = json_object();
	json_object_set_new(v, "running", json_boolean(r == 0));
	if (json)
		text_json(v);
	else
		print_status(cli, v);
	json_decref(v);
	return r == 0 ? CLI_OK : CLI_REFUSED;
}

static int run(const struct call *call)
{
	const struct daemon_opts *o = call->opts;
	const char *action = call->argv[0];
	bool is_start = streq(action, "start");
	bool is_status = streq(action, "status");

	if (o->foreground && !is_start)
		return cli_usage(call->cli, "--foreground goes with start");
	if (o->json && !is_status)
		return cli_usage(call->cli, "--json goes with status");
	if (is_start)
		return start(call->cli, o->foreground);
	if (is_status)
		return status(call->cli, o->json);
	if (streq(action, "stop"))
		return do_stop(call->cli);
	if (streq(action, "restart"))
		return restart(call->cli);
	return cli_usage(call->cli,
		"unknown action '%s'; there are: start, stop, status, restart",
		action);
}

const struct command cmd_daemon = {
	.name = "daemon",
	.args = "start|stop|status|restart",
	.help = "control coved, which looks after the sandboxes",
	.about = "coved starts by itself when it is needed. Stopping or "
		 "restarting it leaves running sandboxes alone; the next one "
		 "takes them over. status exits 1 when it does not run.",
	.opts = opts,
	.n_opts = ARRAY_SIZE(opts),
	.opts_size = sizeof(struct daemon_opts),
	.min_args = 1,
	.max_args = 1,
	.complete = "start stop status restart",
	.run = run,
};
