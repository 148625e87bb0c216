/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fusemount - the file server behind this kernel's own FUSE driver instead of
 * a guest's virtio-fs: the same requests from a real client, at native speed.
 *
 *   fusemount [-w WORKERS] [-t TIMEOUT_MS] [-l LEASE_MS] [-r] [-v]
 *             [-u UID] MOUNTPOINT SOURCE... -- COMMAND...
 *
 * Mounts the exports 0, 1, ... at MOUNTPOINT, runs COMMAND, unmounts, exits
 * with its status. -l turns leases on and plays the agent; -r makes the
 * exports read-only; -v prints the counters; -u serves as an ordinary user. Needs root and /dev/fuse; paths
 * are absolute.
 */
#include "base/fd.h"
#include "fs/fs.h"
#include "wire/agent.h"
#include "wire/share.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static _Atomic unsigned op_count[64];

#define BUF_SIZE (FS_IO_MAX + 65536u)

struct setup {
	struct fs *fs;
	struct loop loop;
	int dev;
	int stop_fd;
	struct watch stop;
	unsigned workers;
	bool leases;
	bool verbose;
	const char *mountpoint;
	uid_t uid; /* to serve as; 0: stay root */
	int probe; /* the same mount again, read-only */
	int share; /* the agent's end */
};

struct arg {
	struct setup *s;
	unsigned n;
};

static void die(const char *what)
{
	perror(what);
	exit(125);
}

static void *work(void *p)
{
	struct arg *a = p;
	uint8_t *in = xcalloc(1, BUF_SIZE);
	uint8_t *out = xcalloc(1, BUF_SIZE);

	for (;;) {
		ssize_t n = read(a->s->dev, in, BUF_SIZE);
		struct iovec vi, vo = {out, BUF_SIZE};
		size_t len;

		if (n < 0 &&
			(errno == EINTR || errno == ENOENT || errno == EAGAIN))
			continue;
		if (n <= 0)
			break;
		vi = (struct iovec){in, (size_t)n};
		op_count[((struct fuse_in_header *)(void *)in)->opcode % 64]++;
		len = fs_request(a->s->fs, a->n, &vi, 1, &vo, 1);
		/* ENOENT: the caller was killed meanwhile. */
		if (len && write(a->s->dev, out, len) < 0 && errno != ENOENT)
			perror("reply");
	}
	free(in);
	free(out);
	return NULL;
}

/* What cove-init does with a REVOKE: look every path up, then answer. */
static void agent_revoke(struct setup *s, const struct frame *f)
{
	struct tlv_iter it = tlv_iter(f->p, f->len);
	struct buf b;
	struct tlv t;
	uint64_t seq = 0;

	while (tlv_next(&it, &t) == 1) {
		char path[8192];

		if (t.tag == ST_SEQ)
			tlv_u64(&t, &seq);
		if (t.tag != ST_PATH)
			continue;
		snprintf(path, sizeof(path), "%.*s", (int)t.len,
			(const char *)t.p);
		/* Always looked up afresh, never made: EEXIST or EROFS. */
		if (mkdirat(s->probe, path, 0700) == 0)
			die("probe mount is writable");
	}
	buf_init(&b, FRAME_MAX);
	tlv_put_u64(&b, ST_SEQ, seq);
	{
		struct buf frame;

		buf_init(&frame, 2 * FRAME_MAX);
		frame_put(&frame, SF_REVOKED, buf_head(&b), buf_len(&b));
		fd_write_all(s->share, buf_head(&frame), buf_len(&frame));
		buf_done(&frame);
	}
	buf_done(&b);
}

static void *agent(void *p)
{
	struct setup *s = p;
	struct frame f;
	struct buf in;

	buf_init(&in, 2 * FRAME_MAX);
	while (buf_read_fd(&in, s->share, FRAME_MAX) > 0) {
		while (frame_peek(&in, &f) == 1) {
			if (f.type == SF_REVOKE)
				agent_revoke(s, &f);
			buf_consume(&in, FRAME_HEAD + f.len);
		}
	}
	buf_done(&in);
	return NULL;
}

static void on_stop(struct loop *l, struct watch *w, uint32_t events)
{
	loop_stop(l, 0);
}

static void *run_loop(void *p)
{
	struct setup *s = p;

	loop_run(&s->loop);
	return NULL;
}

static void mount_it(struct setup *s)
{
	char opts[128];

	s->dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (s->dev < 0)
		die("/dev/fuse");
	snprintf(opts, sizeof(opts),
		"fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,"
		"default_permissions,max_read=%u",
		s->dev, FS_IO_MAX);
	if (mount("cove", s->mountpoint, "fuse.cove", MS_NODEV, opts) < 0)
		die(s->mountpoint);
}

static void mount_probe(struct setup *s)
{
	struct mount_attr ro = {.attr_set = MOUNT_ATTR_RDONLY};

	s->probe = open_tree(
		AT_FDCWD, s->mountpoint, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (s->probe < 0 ||
		mount_setattr(s->probe, "", AT_EMPTY_PATH, &ro, sizeof(ro)) < 0)
		die("probe mount");
}

static int run_command(const struct setup *s, char **argv)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (setresuid(0, 0, 0) < 0 || setresgid(0, 0, 0) < 0)
			die("setresuid");
		execvp(argv[0], argv);
		die(argv[0]);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void add_exports(struct setup *s, char **path, int n, uint32_t flags)
{
	struct err err = {0};

	for (int i = 0; i < n; i++) {
		char name[16];
		struct stat st;
		int fd = open(path[i], O_PATH | O_CLOEXEC);

		if (fd < 0 || fstat(fd, &st) < 0)
			die(path[i]);
		snprintf(name, sizeof(name), "%d", i);
		if (fs_export(s->fs, name, fd,
			    flags | (S_ISDIR(st.st_mode) ? 0 : AMF_FILE),
			    &err) < 0) {
			fprintf(stderr, "%s\n", err.text);
			exit(125);
		}
	}
}

static void print_stats(const struct fs *fs)
{
	struct fs_stats st;

	fs_stats(fs, &st);
	fprintf(stderr,
		"# requests=%lu refused=%lu nodes=%lu files=%lu fds=%lu "
		"watches=%lu events=%lu revoked=%lu\n",
		st.requests, st.refused, st.nodes, st.files, st.fds, st.watches,
		st.events, st.revoked);
}

/* SIGUSR1: what was asked since the last one, by opcode. */
static void print_ops(int signo)
{
	char line[1024];
	size_t at = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(op_count); i++) {
		unsigned n = atomic_exchange(&op_count[i], 0);

		if (n && at < sizeof(line) - 32)
			at += (size_t)snprintf(
				line + at, sizeof(line) - at, " %u:%u", i, n);
	}
	line[at++] = '\n';
	(void)!write(STDERR_FILENO, line, at);
}

static int serve(struct setup *s, char **command)
{
	pthread_t worker[FS_WORKERS_MAX], loop_thread, agent_thread;
	struct arg args[FS_WORKERS_MAX];
	struct err err = {0};
	int sv[2], code;

	loop_init(&s->loop);
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	loop_watch(&s->loop, &s->stop, s->stop_fd, EPOLLIN, on_stop);
	if (s->leases) {
		if (fs_watch(s->fs, &s->loop, &err) < 0 ||
			socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) <
				0) {
			fprintf(stderr, "%s\n", err.text);
			return 125;
		}
		s->share = sv[1];
		fs_share(s->fs, sv[0]);
		pthread_create(&agent_thread, NULL, agent, s);
	}
	pthread_create(&loop_thread, NULL, run_loop, s);
	for (unsigned i = 0; i < s->workers; i++) {
		args[i] = (struct arg){s, i};
		pthread_create(&worker[i], NULL, work, &args[i]);
	}
	code = run_command(s, command);
	if (s->verbose)
		print_stats(s->fs);
	if (s->leases)
		close(s->probe);
	if (s->uid && syscall(SYS_setresuid, -1, 0, -1) < 0)
		die("setresuid");
	if (umount2(s->mountpoint, MNT_DETACH) < 0)
		perror("umount");
	for (unsigned i = 0; i < s->workers; i++)
		pthread_join(worker[i], NULL);
	eventfd_write(s->stop_fd, 1);
	pthread_join(loop_thread, NULL);
	if (s->leases) {
		shutdown(s->share, SHUT_RDWR);
		pthread_join(agent_thread, NULL);
		close(s->share);
	}
	fs_free(s->fs);
	loop_done(&s->loop);
	close(s->stop_fd);
	close(s->dev);
	return code;
}

int main(int argc, char **argv)
{
	struct setup s = {.workers = 2};
	struct fs_config config = fs_config_default;
	struct err err = {0};
	uint32_t flags = 0;
	int opt, n;

	config.lease_ms = 0;
	while ((opt = getopt(argc, argv, "+w:t:l:u:rv")) > 0) {
		if (opt == 'w')
			s.workers = (unsigned)strtoul(optarg, NULL, 10);
		else if (opt == 't')
			config.timeout_ms = (uint32_t)strtoul(optarg, NULL, 10);
		else if (opt == 'l')
			config.lease_ms = (uint32_t)strtoul(optarg, NULL, 10);
		else if (opt == 'u')
			s.uid = (uid_t)strtoul(optarg, NULL, 10);
		else if (opt == 'r')
			flags |= AMF_RO;
		else if (opt == 'v')
			s.verbose = true;
		else
			return 2;
	}
	argc -= optind;
	argv += optind;
	for (n = 1; n < argc && !streq(argv[n], "--"); n++)
		;
	if (n < 2 || n + 1 >= argc || !s.workers || s.workers > FS_WORKERS_MAX)
		return 2;
	config.n_workers = s.workers;
	s.leases = config.lease_ms > 0;
	s.probe = -1;
	s.mountpoint = argv[0];
	signal(SIGUSR1, print_ops);
	mount_it(&s);
	if (s.leases)
		mount_probe(&s);
	if (s.uid &&
		(setgroups(0, NULL) < 0 || setresgid(s.uid, s.uid, 0) < 0 ||
			setresuid(s.uid, s.uid, 0) < 0))
		die("setresuid");
	if (fs_new(&config, &s.fs, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 125;
	}
	add_exports(&s, argv + 1, n - 1, flags);
	return serve(&s, argv + n + 1);
}
