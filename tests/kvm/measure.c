/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm-measure [-t FILE] [-p] PROGRAM [ARG...] - runs a monitor whose guest's
 * serial port is its standard output, and prints one line of figures about the
 * guest's start:
 *
 *   entry    ms from exec to the guest's first instruction; own: from the
 *            monitor's exec, where another program starts it
 *   init     ms to the line "MARK init", command: to "MARK command"
 *   cpu      seconds of CPU in all
 *   exits    of the processor to the kernel, user: of these to the monitor,
 *            until init; then the latter by reason
 *   private  KiB of the monitor's own memory, without the guest's, at command
 *
 * -t writes every system call up to the guest's first instruction, with its
 * time, to FILE; -p adds lines with the ports and addresses that the exits to
 * the monitor were for. Both cost time.
 *
 * Needs root, tracefs at /sys/kernel/tracing and nothing else on /dev/kvm.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRACING "/sys/kernel/tracing/"
#define KVM_EVENTS "events/kvm/"
#define EXECS "events/sched/sched_process_exec"
/* The bytes that go out on the serial port. */
#define SENT "hist:keys=val.hex if port == 0x3f8 && rw == 1"
#define GUEST_KIB (64 * 1024ul) /* mappings from this size on are memory */

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void put(const char *file, const char *text)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), TRACING "%s", file);
	/* Truncating empties these files, but a list of triggers is to grow. */
	fd = open(path, O_WRONLY | (strstr(file, "trigger") ? 0 : O_TRUNC));
	if (fd < 0 || write(fd, text, strlen(text)) < 0) {
		(void)fprintf(
			stderr, "kvm-measure: %s: %s\n", path, strerror(errno));
		exit(2);
	}
	(void)close(fd);
}

static size_t get(const char *path, char *buf, size_t len)
{
	int fd = open(path, O_RDONLY);
	size_t n = 0;
	ssize_t r = 1;

	while (fd >= 0 && n < len - 1 && r > 0) {
		r = read(fd, buf + n, len - 1 - n);
		n += r > 0 ? (size_t)r : 0;
	}
	buf[n] = '\0';
	if (fd >= 0)
		(void)close(fd);
	return n;
}

static bool ports;
static const char *timeline;

static void trace_begin(void)
{
	if (ports) {
		put(KVM_EVENTS "kvm_pio/trigger", "hist:keys=port.hex,rw");
		put(KVM_EVENTS "kvm_pio/trigger", SENT);
		put(KVM_EVENTS "kvm_mmio/trigger", "hist:keys=gpa.hex,type");
	}
	if (timeline) {
		put("options/event-fork", "1");
		put("events/raw_syscalls/enable", "1");
	}
	put("trace_clock", "mono");
	put("trace", "");
	put("events/kvm/kvm_userspace_exit/trigger", "hist:keys=reason");
	put("events/kvm/kvm_exit/trigger", "hist:keys=isa");
	put("events/kvm/kvm_entry/trigger", "traceoff:1");
	put("events/kvm/kvm_entry/enable", "1");
	put(EXECS "/enable", "1");
	put("tracing_on", "1");
}

static void trace_end(void)
{
	put(EXECS "/enable", "0");
	put("events/kvm/kvm_entry/enable", "0");
	put("events/kvm/kvm_entry/trigger", "!traceoff");
	put("events/kvm/kvm_userspace_exit/trigger", "!hist:keys=reason");
	put("events/kvm/kvm_exit/trigger", "!hist:keys=isa");
	if (ports) {
		put(KVM_EVENTS "kvm_pio/trigger", "!hist:keys=port.hex,rw");
		put(KVM_EVENTS "kvm_pio/trigger", "!" SENT);
		put(KVM_EVENTS "kvm_mmio/trigger", "!hist:keys=gpa.hex,type");
	}
	if (timeline) {
		put("events/raw_syscalls/enable", "0");
		put("set_event_pid", "");
	}
}

/* The lines of a histogram that have a key. */
static void show_hist(const char *event)
{
	static char text[65536];
	char path[128];

	(void)snprintf(path, sizeof(path), TRACING KVM_EVENTS "%s/hist", event);
	(void)get(path, text, sizeof(text));
	for (char *l = strtok(text, "\n"); l; l = strtok(NULL, "\n"))
		if (l[0] == '{')
			printf("# %s %s\n", event, l);
}

static void save_timeline(void)
{
	static char text[8 << 20];
	size_t n = get(TRACING "trace", text, sizeof(text));
	int fd = open(timeline, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, n) != (ssize_t)n)
		perror(timeline);
	if (fd >= 0)
		(void)close(fd);
}

/* Sum of the hit counts; the buckets by number into by[0..64). */
static unsigned long hits(const char *event, const char *key, unsigned *by)
{
	static char text[65536];
	char path[128];
	unsigned long sum = 0;

	(void)snprintf(path, sizeof(path), TRACING "events/kvm/%s/hist", event);
	(void)get(path, text, sizeof(text));
	for (char *line = strstr(text, "{ "); line; line = strstr(line, "{ ")) {
		char *k = strstr(line, key), *h = strstr(line, "hitcount:");
		if (!k || !h)
			break;
		unsigned long v = strtoul(k + strlen(key), NULL, 0);
		unsigned long n = strtoul(h + 9, NULL, 10);
		if (by && v < 64)
			by[v] = (unsigned)n;
		sum += n;
		line = h;
	}
	return sum;
}

/* The time stamp of the last such event in the text, in ms, or 0. */
static double time_of(const char *text, const char *event)
{
	const char *p = NULL;

	for (const char *q = text; (q = strstr(q, event)); q++)
		p = q;
	if (!p)
		return 0;
	while (p > text && p[-1] != ' ')
		p--;
	return strtod(p, NULL) * 1e3;
}

/* The trace ends with the one kvm_entry: before it, the monitor's exec. */
static double first_entry(double *ret_exec)
{
	static char text[65536];

	(void)get(TRACING "trace", text, sizeof(text));
	*ret_exec = time_of(text, ": sched_process_exec:");
	return time_of(text, ": kvm_entry:");
}

/*
 * Private pages of what is not guest memory: that is large, or in several parts
 * and left out of core dumps ("dd" among the flags, the last line of each).
 */
static unsigned long private_kib(pid_t pid)
{
	static char text[4 << 20];
	unsigned long sum = 0, size = 0, here = 0;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	(void)get(path, text, sizeof(text));
	for (char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, "Size:", 5) == 0) {
			size = strtoul(line + 5, NULL, 10);
			here = 0;
		} else if (strncmp(line, "Private_", 8) == 0) {
			here += strtoul(strchr(line, ':') + 1, NULL, 10);
		} else if (strncmp(line, "VmFlags:", 8) == 0) {
			const char *dd = strstr(line, " dd ");
			const char *end = strchr(line, '\n');
			bool dumped = !dd || (end && dd > end);

			if (dumped && size < GUEST_KIB)
				sum += here;
		}
	}
	return sum;
}

/* The monitor: the only process below us that maps /dev/kvm's machine. */
static pid_t monitor_of(pid_t child)
{
	char path[64], buf[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
		(int)child, (int)child);
	if (get(path, buf, sizeof(buf)) == 0)
		return child;
	return (pid_t)strtol(buf, NULL, 10);
}

static pid_t start(char **argv, int *ret_out)
{
	int fds[2];
	pid_t pid;

	if (pipe(fds) < 0)
		exit(2);
	pid = fork();
	if (pid == 0) {
		char me[16];

		(void)snprintf(me, sizeof(me), "%d", (int)getpid());
		if (timeline)
			put("set_event_pid", me);
		(void)dup2(fds[1], 1);
		(void)close(fds[0]);
		(void)close(fds[1]);
		(void)execvp(argv[0], argv);
		_exit(127);
	}
	(void)close(fds[1]);
	*ret_out = fds[0];
	return pid;
}

/* Reads the console until the mark; false at its end. */
static int await(FILE *console, const char *mark)
{
	static char line[4096];

	while (fgets(line, sizeof(line), console)) {
		if (ports && line[0] != '\n')
			printf("# console: %s", line);
		if (strstr(line, mark))
			return 1;
	}
	return 0;
}

static char **options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "+pt:")) >= 0) {
		ports = ports || c == 'p';
		timeline = c == 't' ? optarg : timeline;
		if (c == '?')
			exit(2);
	}
	if (optind == argc)
		exit(2);
	return argv + optind;
}

int main(int argc, char **argv)
{
	double begin, entry, exec, init, command;
	unsigned long exits, user, kib;
	unsigned by[64] = {0};
	struct rusage ru;
	FILE *console;
	pid_t pid;
	int out, status;

	argv = options(argc, argv);
	trace_begin();
	begin = now_ms();
	pid = start(argv, &out);
	console = fdopen(out, "r");
	if (!await(console, "MARK init")) {
		trace_end();
		return 1;
	}
	init = now_ms() - begin;
	user = hits("kvm_userspace_exit", "reason:", by);
	exits = hits("kvm_exit", "isa:", NULL);
	entry = first_entry(&exec);
	if (timeline)
		save_timeline();
	if (ports) {
		show_hist("kvm_pio");
		show_hist("kvm_mmio");
	}
	if (!await(console, "MARK command")) {
		trace_end();
		return 1;
	}
	command = now_ms() - begin;
	kib = private_kib(monitor_of(pid));
	while (await(console, "\n"))
		;
	(void)wait4(pid, &status, 0, &ru);
	trace_end();
	printf("entry %.2f own %.2f init %.2f command %.2f cpu %.3f exits %lu user %lu "
	       "private %lu",
		entry > 0 ? entry - begin : 0, entry > 0 ? entry - exec : 0,
		init, command,
		(double)ru.ru_utime.tv_sec + (double)ru.ru_stime.tv_sec +
			(double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) /
				1e6,
		exits, user, kib);
	printf(" io %u mmio %u intr %u\n", by[2], by[6], by[10]);
	return 0;
}
