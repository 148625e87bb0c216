/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm-launch - starts cove-vmm the way coved does, from a command line: for
 * tests, benchmarks and looking closely. Prints how the guest ended on stderr
 * and exits with the monitor's code.
 */
#include "base/fd.h"
#include "base/opt.h"
#include "host.h"
#include "wire/agent.h"
#include "wire/birth.h"
#include "wire/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

struct options {
	const char *vmm;
	const char *kvm;
	const char *kernel;
	const char *initrd;
	const char *cmdline;
	const char *console;
	const char *status;
	const char *run_dir;
	const char *restore;
	struct opt_strs disks;
	struct opt_strs shares;
	struct opt_strs exec;
	struct opt_strs after;
	const char *save;
	const char *pid_file;
	bool stats;
	bool halt;
	bool kill;
	uint64_t memory;
	uint32_t cpus;
	bool pvh;
	bool time;
};

static const struct opt table[] = {
	{"vmm", 0, OPT_STR, offsetof(struct options, vmm), "PROGRAM",
		"the monitor", 0, 0, "file"},
	{"kvm", 0, OPT_STR, offsetof(struct options, kvm), "DEVICE",
		"instead of /dev/kvm", 0, 0, "file"},
	{"kernel", 0, OPT_STR, offsetof(struct options, kernel), "FILE",
		"uncompressed vmlinux", 0, 0, "file"},
	{"initrd", 0, OPT_STR, offsetof(struct options, initrd), "FILE",
		"initial file system", 0, 0, "file"},
	{"cmdline", 0, OPT_STR, offsetof(struct options, cmdline), "TEXT",
		"kernel command line", 0, 0, NULL},
	{"console", 0, OPT_STR, offsetof(struct options, console), "FILE",
		"where the serial port goes (default: stdout)", 0, 0, "file"},
	{"status", 0, OPT_STR, offsetof(struct options, status), "FILE",
		"gets the line that says how it ended", 0, 0, "file"},
	{"run-dir", 0, OPT_STR, offsetof(struct options, run_dir), "DIR",
		"vsock.sock and control.sock are made here", 0, 0, "dir"},
	{"restore", 0, OPT_STR, offsetof(struct options, restore), "FILE",
		"start from FILE.state and FILE.memory", 0, 0, "file"},
	{"disk", 0, OPT_STRS, offsetof(struct options, disks),
		"FILE[,SERIAL[,ro]]", "attach a disk", 0, 0, "file"},
	{"share", 0, OPT_STRS, offsetof(struct options, shares), "PATH[,ro]",
		"export a file or directory", 0, 0, "file"},
	{"exec", 0, OPT_STRS, offsetof(struct options, exec), "COMMAND",
		"run this in the guest, then shut it down (needs --run-dir)", 0,
		0, NULL},
	{"save", 0, OPT_STR, offsetof(struct options, save), "FILE",
		"then pause, save to FILE.state and FILE.memory, resume", 0, 0,
		"file"},
	{"after", 0, OPT_STRS, offsetof(struct options, after), "COMMAND",
		"and run this in the guest", 0, 0, NULL},
	{"memory", 'm', OPT_SIZE, offsetof(struct options, memory), "SIZE",
		"guest memory", 4 * MIB, 0, NULL},
	{"cpus", 0, OPT_U32, offsetof(struct options, cpus), "N", "processors",
		1, 64, NULL},
	{"pid-file", 0, OPT_STR, offsetof(struct options, pid_file), "FILE",
		"gets the monitor's process id", 0, 0, "file"},
	{"halt", 0, OPT_FLAG, offsetof(struct options, halt), NULL,
		"with --save: do not resume, stop the monitor", 0, 0, NULL},
	{"kill", 0, OPT_FLAG, offsetof(struct options, kill), NULL,
		"end with SIGKILL instead of a shutdown", 0, 0, NULL},
	{"stats", 0, OPT_FLAG, offsetof(struct options, stats), NULL,
		"print the monitor's counters before the end", 0, 0, NULL},
	{"pvh", 0, OPT_FLAG, offsetof(struct options, pvh), NULL,
		"start by the PVH protocol", 0, 0, NULL},
	{"time", 0, OPT_FLAG, offsetof(struct options, time), NULL,
		"print wall and CPU time", 0, 0, NULL},
};

struct message {
	struct buf body;
	int fds[FD_PASS_MAX];
	uint32_t n_fds;
};

static void die(const char *what, const char *arg)
{
	(void)fprintf(stderr, "kvm-launch: %s%s%s: %s\n", what, arg ? " " : "",
		arg ? arg : "", strerror(errno));
	exit(99);
}

static uint32_t add_fd(struct message *m, int fd, const char *name)
{
	if (fd < 0)
		die("cannot open", name);
	m->fds[m->n_fds] = fd;
	return m->n_fds++;
}

static void put_fd(struct message *m, uint16_t tag, int fd, const char *name)
{
	(void)tlv_put_u32(&m->body, tag, add_fd(m, fd, name));
}

static void put_file(
	struct message *m, uint16_t tag, const char *path, int flags)
{
	if (path)
		put_fd(m, tag, open(path, flags | O_CLOEXEC, 0600), path);
}

static int open_half(const char *file, const char *what, int flags)
{
	char *path = xasprintf("%s.%s", file, what);
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		die("cannot open", path);
	free(path);
	return fd;
}

static void put_half(
	struct message *m, uint16_t tag, const char *file, const char *what)
{
	if (file)
		put_fd(m, tag, open_half(file, what, O_RDONLY), file);
}

/* "FILE,SERIAL,ro" */
static void put_disk(struct message *m, const char *spec)
{
	char *copy = xstrdup(spec), *save = NULL;
	char *file = strtok_r(copy, ",", &save);
	char *serial = strtok_r(NULL, ",", &save);
	char *ro = strtok_r(NULL, ",", &save);
	size_t mark = tlv_begin(&m->body, BT_VMM_DISK);
	bool read_only = ro && streq(ro, "ro");

	put_file(m, BD_FD, file, read_only ? O_RDONLY : O_RDWR);
	if (serial)
		(void)tlv_put_str(&m->body, BD_SERIAL, serial);
	(void)tlv_put_u32(&m->body, BD_FLAGS, read_only ? BDF_RO : 0);
	tlv_end(&m->body, mark);
	free(copy);
}

/* "PATH,ro" */
static void put_share(struct message *m, const char *spec, size_t n)
{
	char *copy = xstrdup(spec), *save = NULL;
	char *path = strtok_r(copy, ",", &save);
	char *ro = strtok_r(NULL, ",", &save);
	size_t mark = tlv_begin(&m->body, BT_EXPORT);
	char name[24];

	(void)snprintf(name, sizeof(name), "%zu", n);
	put_file(m, BE_FD, path, O_PATH);
	(void)tlv_put_str(&m->body, BE_NAME, name);
	(void)tlv_put_u32(
		&m->body, BE_FLAGS, ro && streq(ro, "ro") ? AMF_RO : 0);
	tlv_end(&m->body, mark);
	free(copy);
}

static int listen_seqpacket(const char *dir, const char *name)
{
	struct sockaddr_un {
		sa_family_t family;
		char path[108];
	} sa = {.family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(sa.path, sizeof(sa.path), "%s/%s", dir, name);
	(void)unlink(sa.path);
	if (fd < 0 ||
		bind(fd, (const struct sockaddr *)(void *)&sa, sizeof(sa)) <
			0 ||
		listen(fd, 8) < 0)
		die("cannot listen on", sa.path);
	return fd;
}

static void put_run_dir(struct message *m, const char *dir)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int sock;

	if (fd < 0)
		die("cannot open", dir);
	(void)unlinkat(fd, "vsock.sock", 0);
	sock = sock_listen_at(fd, "vsock.sock", 0600);
	if (sock < 0) {
		errno = -sock;
		die("cannot listen in", dir);
	}
	put_fd(m, BT_VSOCK_LISTEN, sock, dir);
	put_fd(m, BT_RUN_DIR, fd, dir);
	put_fd(m, BT_VMM_CONTROL, listen_seqpacket(dir, "control.sock"), dir);
}

static void compose(struct message *m, const struct options *o)
{
	int log = o->console
		? open(o->console, O_RDWR | O_CREAT | O_CLOEXEC, 0600)
		: dup(1);

	buf_init(&m->body, BIRTH_MAX);
	(void)tlv_put_str(&m->body, BT_NAME, "launch");
	put_file(m, BT_VMM_KVM, o->kvm, O_RDWR);
	put_file(m, BT_VMM_KERNEL, o->kernel, O_RDONLY);
	put_file(m, BT_VMM_INITRD, o->initrd, O_RDONLY);
	put_file(m, BT_VMM_STATUS, o->status, O_RDWR | O_CREAT | O_TRUNC);
	put_half(m, BT_VMM_STATE, o->restore, "state");
	put_half(m, BT_VMM_STATE_RAM, o->restore, "memory");
	put_fd(m, BT_CONSOLE_LOG, log, o->console);
	(void)tlv_put_str(&m->body, BT_VMM_CMDLINE, o->cmdline);
	(void)tlv_put_u64(&m->body, BT_VMM_MEMORY, o->memory);
	(void)tlv_put_u32(&m->body, BT_VMM_CPUS, o->cpus);
	(void)tlv_put_u32(&m->body, BT_VMM_BOOT, o->pvh);
	for (size_t i = 0; i < o->disks.n; i++)
		put_disk(m, o->disks.v[i]);
	for (size_t i = 0; i < o->shares.n; i++)
		put_share(m, o->shares.v[i], i);
	if (o->run_dir)
		put_run_dir(m, o->run_dir);
}

static pid_t start(const char *vmm, int sock)
{
	pid_t pid = fork();

	if (pid < 0)
		die("cannot fork", NULL);
	if (pid > 0)
		return pid;
	if (sock != BIRTH_FD)
		(void)dup2(sock, BIRTH_FD);
	else
		(void)fcntl(sock, F_SETFD, 0);
	(void)execl(vmm, "cove-vmm", (char *)NULL);
	die("cannot execute", vmm);
	return -1;
}

static void put_pid(const char *path, pid_t pid)
{
	FILE *f = path ? fopen(path, "we") : NULL;

	if (f) {
		(void)fprintf(f, "%d\n", (int)pid);
		(void)fclose(f);
	}
}

/* The monitor's answer: one byte, or a text that says why not. */
static void await_birth(int sock)
{
	char text[1024];
	ssize_t n = recv(sock, text, sizeof(text) - 1, 0);

	if (n == 1 && text[0] == BIRTH_OK)
		return;
	text[MAX(n, 0)] = '\0';
	(void)fprintf(stderr, "kvm-launch: refused: %s\n", text);
}

static double seconds(struct timeval tv)
{
	return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

static int wait_for(pid_t pid, bool print_time, uint64_t start_ms)
{
	struct rusage ru;
	int status;

	if (wait4(pid, &status, 0, &ru) < 0)
		die("cannot wait", NULL);
	if (print_time)
		(void)fprintf(stderr,
			"wall %.3f user %.3f system %.3f "
			"maxrss %ld KiB\n",
			(double)(now_ms() - start_ms) / 1e3,
			seconds(ru.ru_utime), seconds(ru.ru_stime),
			ru.ru_maxrss);
	if (WIFSIGNALED(status)) {
		(void)fprintf(stderr, "kvm-launch: killed by signal %d\n",
			WTERMSIG(status));
		return 128 + WTERMSIG(status);
	}
	return WEXITSTATUS(status);
}

static void stamp(const struct options *o, const char *what, uint64_t start)
{
	if (o->time)
		(void)fprintf(stderr, "%s after %llu ms\n", what,
			(unsigned long long)(now_ms() - start));
}

/* False when the monitor ended first. */
static bool called(int listener, pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p[2] = {{listener, POLLIN, 0}, {pidfd, POLLIN, 0}};

	(void)poll(p, pidfd >= 0 ? 2 : 1, HOST_WAIT_S * 1000);
	(void)close(pidfd);
	return p[0].revents != 0;
}

static int run_all(const struct options *o, const struct opt_strs *commands,
	uint64_t start)
{
	int worst = 0;

	for (size_t i = 0; i < commands->n; i++) {
		int status = host_exec(o->run_dir, commands->v[i]);
		worst = MAX(worst, status);
		stamp(o, "command", start);
	}
	return worst;
}

static void save(const struct options *o, uint64_t start)
{
	int fds[2] = {open_half(o->save, "state", O_RDWR | O_CREAT | O_TRUNC),
		open_half(o->save, "memory", O_RDWR | O_CREAT | O_TRUNC)};
	int sock = host_control(o->run_dir);

	host_ask(sock, VF_PAUSE, NULL, 0);
	stamp(o, "paused", start);
	host_ask(sock, VF_SAVE, fds, 2);
	stamp(o, "saved", start);
	host_ask(sock, o->halt ? VF_STOP : VF_RESUME, NULL, 0);
	(void)close(fds[0]);
	(void)close(fds[1]);
	(void)close(sock);
}

static int greet(
	const struct options *o, int listener, pid_t pid, uint64_t start)
{
	char *paths[BIRTH_EXPORTS];
	int control;

	if (!called(listener, pid))
		return -1;
	for (size_t i = 0; i < o->shares.n; i++)
		paths[i] =
			xstrndup(o->shares.v[i], strcspn(o->shares.v[i], ","));
	control = host_greet(listener, (const char *const *)paths, o->shares.n);
	stamp(o, "ready", start);
	for (size_t i = 0; i < o->shares.n; i++)
		free(paths[i]);
	return control;
}

static pid_t monitor;

/* A guest that ended in the middle of a talk: then what counts is how. */
static void on_lost(void)
{
	struct pollfd p = {(int)syscall(SYS_pidfd_open, monitor, 0), POLLIN, 0};

	if (p.fd >= 0 && poll(&p, 1, HOST_WAIT_S * 1000) == 1)
		exit(wait_for(monitor, false, 0));
}

/* Plays coved; the worst status of the commands. */
static int converse(
	const struct options *o, int listener, pid_t pid, uint64_t start)
{
	int control, worst;

	(void)signal(SIGPIPE, SIG_IGN);
	control = o->restore ? host_resume(o->run_dir)
			     : greet(o, listener, pid, start);
	if (control < 0)
		return 98;
	worst = run_all(o, &o->exec, start);
	if (o->save)
		save(o, start);
	worst = MAX(worst, run_all(o, &o->after, start));
	if (o->stats)
		host_stats(o->run_dir);
	if (o->kill)
		(void)kill(pid, SIGKILL);
	else if (!o->halt)
		host_shutdown(control);
	return worst;
}

int main(int argc, char **argv)
{
	struct options o = {.vmm = "cove-vmm",
		.kvm = "/dev/kvm",
		.cmdline = "",
		.memory = 256 * MIB,
		.cpus = 1};
	struct message m = {.n_fds = 0};
	struct err err = {0};
	int n, dashdash, pair[2];
	uint64_t start_ms = now_ms();
	int listener = -1, status = 0, code;
	pid_t pid;

	if (opt_parse(table, ARRAY_SIZE(table), &o, argc - 1, argv + 1, false,
		    &n, &dashdash, &err) < 0 ||
		n > 0) {
		(void)fprintf(stderr, "kvm-launch: %s\n", err.text);
		return 2;
	}
	compose(&m, &o);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		die("cannot make sockets", NULL);
	if (sock_send_fds(pair[0], buf_head(&m.body), buf_len(&m.body), m.fds,
		    m.n_fds) < 0)
		die("cannot send the birth message", NULL);
	for (uint32_t i = 0; i < m.n_fds; i++)
		(void)close(m.fds[i]);
	if (o.exec.n > 0)
		listener = host_listen(o.run_dir);
	pid = start(o.vmm, pair[1]);
	(void)close(pair[1]);
	monitor = pid;
	host_lost = on_lost;
	put_pid(o.pid_file, pid);
	await_birth(pair[0]);
	stamp(&o, "running", start_ms);
	if (listener >= 0)
		status = converse(&o, listener, pid, start_ms);
	code = wait_for(pid, o.time, start_ms);
	return code ? code : status;
}
