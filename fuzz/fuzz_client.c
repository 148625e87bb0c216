/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hostile agent can send to the command line: byte 0 says how the
 * session was asked for, the rest is the stream. It must end in one of the ways
 * there are, with a status that a shell can have; its list of sessions must be
 * fit for a terminal.
 */
#include "base/fd.h"
#include "cli/session.h"
#include "cli/sessions.h"
#include "cli/text.h"
#include "wire/agent.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

static int null_fd = -1;

static void check(const struct session_result *res, bool detached)
{
	assert(res->end == SESSION_EXITED || res->end == SESSION_FAILED ||
		res->end == SESSION_LOST || res->end == SESSION_BROKEN ||
		(res->end == SESSION_STARTED && detached));
	assert(res->status >= 0 && res->status <= 255);
	if (res->end == SESSION_FAILED || res->end == SESSION_BROKEN)
		assert(res->err.code > 0 && res->err.text[0]);
}

static void run_session(uint8_t how, const uint8_t *p, size_t len)
{
	static char *argv[] = {(char *)(uintptr_t) "x"};
	struct exec_request req = {.argv = argv,
		.argc = 1,
		.detached = how & 1,
		.stdin_open = how & 2,
		.tty = how & 4,
		.attach = how & 8,
		.id = 1};
	struct session s = {.req = &req, .fds = {null_fd, null_fd, null_fd}};
	struct session_result res;
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return;
	if (fd_write_all(sv[1], p, len) == 0) {
		shutdown(sv[1], SHUT_WR);
		s.stream = sv[0];
		session_run(&s, &res);
		check(&res, req.detached);
	}
	close(sv[0]);
	close(sv[1]);
}

static void list_session(const uint8_t *p, size_t len)
{
	struct frame f = {.type = AF_SESSION, .len = (uint32_t)len, .p = p};
	json_t *o = sessions_parse(&f);
	const json_t *it;
	size_t i;

	json_array_foreach (json_object_get(o, "argv"), i, it)
		for (const char *c = json_string_value(it); *c; c++)
			assert((unsigned char)*c >= 0x20 && *c != 0x7f);
	json_decref(o);
}

static void print_text(const uint8_t *p, size_t len)
{
	_cleanup_free_ char *safe = text_safe_lines((const char *)p, len);

	assert(strlen(safe) == strnlen(safe, len + 1));
	assert(!strchr(safe, '\033') && !strchr(safe, '\r'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (null_fd < 0) {
		signal(SIGPIPE, SIG_IGN);
		null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	}
	if (size == 0 || size > FRAME_MAX)
		return 0;
	run_session(data[0], data + 1, size - 1);
	list_session(data + 1, size - 1);
	print_text(data + 1, size - 1);
	return 0;
}
