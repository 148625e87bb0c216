/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include "base/fd.h"
#include "wire/agent.h"
#include "wire/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

void (*host_lost)(void);

static void die(const char *what, int r)
{
	if (host_lost)
		host_lost();
	(void)fprintf(
		stderr, "kvm-launch: %s: %s\n", what, strerror(r < 0 ? -r : 0));
	exit(98);
}

static void bound(int fd)
{
	struct timeval tv = {.tv_sec = HOST_WAIT_S};

	(void)fd_nonblock(fd, false);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

static int open_dir(const char *run_dir)
{
	int fd = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		die(run_dir, -errno);
	return fd;
}

int host_listen(const char *run_dir)
{
	int dir = open_dir(run_dir);
	char name[32];
	int fd;

	(void)snprintf(name, sizeof(name), "vsock.sock_%u", PORT_CONTROL);
	(void)unlinkat(dir, name, 0);
	fd = sock_listen_at(dir, name, 0600);
	if (fd < 0)
		die("cannot listen for the guest", fd);
	bound(fd);
	(void)close(dir);
	return fd;
}

static void send_frame(int fd, uint8_t type, const struct buf *body)
{
	size_t len = body ? buf_len(body) : 0;
	uint8_t head[FRAME_HEAD];
	int r;

	frame_head(head, type, (uint32_t)len);
	r = fd_write_all(fd, head, sizeof(head));
	if (r == 0 && len > 0)
		r = fd_write_all(fd, buf_head(body), len);
	if (r < 0)
		die("cannot write to the guest", r);
}

/* Into body (FRAME_MAX bytes); returns the type. */
static uint8_t read_frame(int fd, uint8_t *body, uint32_t *ret_len)
{
	uint8_t head[FRAME_HEAD];
	int r = fd_read_all(fd, head, sizeof(head));
	uint32_t len = get_le32(head);

	if (r == 0 && len > FRAME_MAX)
		r = -EMSGSIZE;
	if (r == 0 && len > 0)
		r = fd_read_all(fd, body, len);
	if (r < 0)
		die("no answer from the guest", r);
	*ret_len = len;
	return head[4];
}

static void expect(int fd, uint8_t type, const char *what)
{
	static uint8_t body[FRAME_MAX];
	struct tlv_iter it;
	struct tlv t;
	uint32_t len;
	uint8_t got = read_frame(fd, body, &len);

	if (got == type)
		return;
	it = tlv_iter(body, len);
	while (tlv_next(&it, &t) > 0)
		if (t.tag == AT_TEXT)
			(void)fprintf(stderr, "kvm-launch: guest: %.*s\n",
				(int)t.len, (const char *)t.p);
	(void)fprintf(stderr, "kvm-launch: %s: frame %u instead\n", what, got);
	exit(98);
}

static void put_mounts(struct buf *b, const char *const *shares, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t mark = tlv_begin(b, AT_MOUNT);
		char name[24];
		(void)snprintf(name, sizeof(name), "%zu", i);
		(void)tlv_put_str(b, AM_EXPORT, name);
		(void)tlv_put_str(b, AM_TARGET, shares[i]);
		(void)tlv_put_u32(b, AM_FLAGS, 0);
		tlv_end(b, mark);
	}
}

static void send_config(int fd, const char *const *shares, size_t n)
{
	uint8_t seed[64];
	struct buf b;

	buf_init(&b, FRAME_MAX);
	(void)!getrandom(seed, sizeof(seed), 0);
	(void)tlv_put_u32(&b, AT_VERSION, WIRE_VERSION);
	(void)tlv_put_str(&b, AT_NAME, "launch");
	(void)tlv_put_str(
		&b, AT_SANDBOX, "00000000-0000-4000-8000-000000000000");
	(void)tlv_put(&b, AT_ENTROPY, seed, sizeof(seed));
	(void)tlv_put_u64(&b, AT_REALTIME_NS, now_real_ns());
	put_mounts(&b, shares, n);
	send_frame(fd, AF_CONFIG, &b);
	buf_done(&b);
}

int host_greet(int listener, const char *const *shares, size_t n)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		die("the guest did not call", -errno);
	bound(fd);
	expect(fd, AF_HELLO, "hello");
	send_config(fd, shares, n);
	expect(fd, AF_READY, "configuration");
	return fd;
}

static int dial(const char *run_dir, uint32_t port)
{
	int dir = open_dir(run_dir);
	int fd = sock_connect_at(dir, "vsock.sock");
	char line[32];
	size_t n = 0;
	int r;

	(void)close(dir);
	if (fd < 0)
		die("cannot connect to vsock.sock", fd);
	bound(fd);
	(void)snprintf(line, sizeof(line), "CONNECT %u\n", port);
	r = fd_write_all(fd, line, strlen(line));
	do
		r = r < 0 ? r : fd_read_all(fd, &line[n], 1);
	while (r == 0 && line[n] != '\n' && ++n < sizeof(line));
	if (r < 0 || strncmp(line, "OK ", 3) != 0)
		die("the guest does not listen", r);
	return fd;
}

int host_resume(const char *run_dir)
{
	int fd = dial(run_dir, PORT_EXEC);

	send_frame(fd, AF_CTL_RESUME, NULL);
	return fd;
}

static uint32_t status_of(const uint8_t *body, uint32_t len)
{
	struct tlv_iter it = tlv_iter(body, len);
	uint32_t status = 255;
	struct tlv t;

	while (tlv_next(&it, &t) > 0)
		if (t.tag == AT_STATUS)
			(void)tlv_u32(&t, &status);
	return status;
}

int host_exec(const char *run_dir, const char *command)
{
	static uint8_t body[FRAME_MAX];
	int fd = dial(run_dir, PORT_EXEC);
	uint8_t type;
	uint32_t len;
	struct buf b;

	buf_init(&b, FRAME_MAX);
	(void)tlv_put_str(&b, AT_ARG, "sh");
	(void)tlv_put_str(&b, AT_ARG, "-c");
	(void)tlv_put_str(&b, AT_ARG, command);
	(void)tlv_put_str(&b, AT_USER, "root");
	send_frame(fd, AF_EXEC, &b);
	buf_done(&b);
	do {
		type = read_frame(fd, body, &len);
		if (type == AF_STDOUT)
			(void)fd_write_all(1, body, len);
		else if (type == AF_STDERR)
			(void)fd_write_all(2, body, len);
	} while (type != AF_EXIT && type != AF_FAILED);
	(void)close(fd);
	return type == AF_EXIT ? (int)status_of(body, len) : 97;
}

void host_shutdown(int control)
{
	send_frame(control, AF_SHUTDOWN, NULL);
}

int host_control(const char *run_dir)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(
		sa.sun_path, sizeof(sa.sun_path), "%s/control.sock", run_dir);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
		die("cannot connect to control.sock", -errno);
	bound(fd);
	return fd;
}

/* One request, one answer, whose body ends at *ret_len. */
static uint8_t ask(int sock, uint8_t type, const int *fds, size_t n_fds,
	uint8_t msg[VMM_CONTROL_MAX], size_t *ret_len)
{
	ssize_t n;

	frame_head(msg, type, 0);
	n = sock_send_fds(sock, msg, FRAME_HEAD, fds, n_fds);
	if (n < 0)
		die("cannot ask the monitor", (int)n);
	n = recv(sock, msg, VMM_CONTROL_MAX, 0);
	if (n < (ssize_t)FRAME_HEAD)
		die("no answer from the monitor", n < 0 ? -errno : -EPIPE);
	*ret_len = (size_t)n - FRAME_HEAD;
	return msg[4];
}

void host_ask(int sock, uint8_t type, const int *fds, size_t n_fds)
{
	uint8_t msg[VMM_CONTROL_MAX];
	struct tlv_iter it;
	struct tlv t;
	size_t len;

	if (ask(sock, type, fds, n_fds, msg, &len) != VF_FAILED)
		return;
	it = tlv_iter(msg + FRAME_HEAD, len);
	while (tlv_next(&it, &t) > 0)
		if (t.tag == VT_TEXT)
			(void)fprintf(stderr, "kvm-launch: monitor: %.*s\n",
				(int)t.len, (const char *)t.p);
	exit(98);
}

void host_stats(const char *run_dir)
{
	static const char *const name[] = {[VT_EXITS_IO] = "exits_io",
		[VT_EXITS_MMIO] = "exits_mmio",
		[VT_EXITS_OTHER] = "exits_other",
		[VT_UNCLAIMED] = "unclaimed",
		[VT_REFUSED] = "refused",
		[VT_CONSOLE_BYTES] = "console_bytes",
		[VT_DISK_READ] = "disk_read",
		[VT_DISK_WRITTEN] = "disk_written",
		[VT_MEMORY_RETURNED] = "memory_returned"};
	int sock = host_control(run_dir);
	uint8_t msg[VMM_CONTROL_MAX];
	struct tlv_iter it;
	struct tlv t;
	uint64_t v;
	size_t len;

	(void)ask(sock, VF_STATS, NULL, 0, msg, &len);
	it = tlv_iter(msg + FRAME_HEAD, len);
	while (tlv_next(&it, &t) > 0)
		if (t.tag < ARRAY_SIZE(name) && name[t.tag] &&
			tlv_u64(&t, &v) == 0)
			(void)fprintf(stderr, "%s=%llu\n", name[t.tag],
				(unsigned long long)v);
	(void)close(sock);
}
