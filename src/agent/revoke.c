/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/revoke.h"

#include "agent/mounts.h"
#include "base/fd.h"
#include "base/log.h"
#include "wire/agent.h"
#include "wire/share.h"
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

bool revoke_path_ok(const char *path)
{
	for (;;) {
		size_t len = strcspn(path, "/");

		if (!len || (len <= 2 && strncmp(path, "..", len) == 0))
			return false;
		if (!path[len])
			return true;
		path += len + 1;
	}
}

/*
 * Must make the kernel ask the server, whatever it has cached: stat would trust
 * a name whose time has not run out. A path that is about to be created is
 * always looked up afresh (fuse_dentry_revalidate, LOOKUP_EXCL), which also
 * brings the attributes; and on a read-only mount it then ends with EEXIST or
 * EROFS, so nothing is created.
 */
static void look_again(int share_dir, const char *path)
{
	if (mkdirat(share_dir, path, 0700) == 0)
		log_error("revoke: the probe mount is not read-only");
}

/*
 * The server calls before anything is mounted; nothing is cached then. A
 * directory that is not the read-only mount (yet) is not touched.
 */
static void open_probe(int *dir, const char *path)
{
	struct statvfs st;

	if (*dir >= 0)
		return;
	*dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*dir >= 0 && (fstatvfs(*dir, &st) < 0 || !(st.f_flag & ST_RDONLY)))
		closep(dir);
}

static int take_revoke(const struct frame *f, int share_dir, uint64_t *ret_seq)
{
	struct tlv_iter it = tlv_iter(f->p, f->len);
	struct tlv t;
	int r;

	while ((r = tlv_next(&it, &t)) == 1) {
		_cleanup_free_ char *path = NULL;

		if (t.tag == ST_SEQ)
			r = tlv_u64(&t, ret_seq);
		else if (t.tag == ST_PATH)
			r = tlv_str(&t, 2 * AGENT_PATH_MAX, &path);
		if (r < 0)
			return r;
		if (share_dir >= 0 && path && revoke_path_ok(path))
			look_again(share_dir, path);
	}
	return r;
}

static int answer(int fd, uint64_t seq)
{
	struct buf body, out;
	int r;

	buf_init(&body, 64);
	buf_init(&out, 128);
	r = tlv_put_u64(&body, ST_SEQ, seq);
	r = r ? r : tlv_put_u32(&body, ST_PID, (uint32_t)getpid());
	r = r ? r
	      : frame_put(&out, SF_REVOKED, buf_head(&body), buf_len(&body));
	r = r ? r : fd_write_all(fd, buf_head(&out), buf_len(&out));
	buf_done(&body);
	buf_done(&out);
	return r;
}

void revoke_serve(int fd, const char *probe_dir)
{
	_cleanup_close_ int share_dir = -1;
	struct frame f;
	struct buf in;
	int r = 0;

	buf_init(&in, 2 * (FRAME_HEAD + FRAME_MAX));
	while (r >= 0) {
		uint64_t seq = 0;

		r = frame_peek(&in, &f);
		if (r < 0)
			break;
		if (r == 0) {
			if (buf_read_fd(&in, fd, FRAME_MAX) <= 0)
				break;
			continue;
		}
		if (f.type == SF_REVOKE) {
			open_probe(&share_dir, probe_dir);
			r = take_revoke(&f, share_dir, &seq);
			r = r < 0 ? r : answer(fd, seq);
		}
		buf_consume(&in, FRAME_HEAD + f.len);
	}
	buf_done(&in);
}

static _Noreturn void child(void)
{
	(void)fd_nonblock(3, false);
	revoke_serve(3, MOUNTS_PROBE_DIR);
	_exit(0);
}

static void on_listen(struct loop *l, struct watch *w, uint32_t events)
{
	struct revoke *r = container_of(w, struct revoke, watch);
	_cleanup_close_ int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);
	pid_t pid;

	if (fd < 0)
		return;
	if (r->child)
		(void)kill(r->child, SIGKILL);
	pid = spawn_fork(&r->env, fd);
	if (pid == 0)
		child();
	r->child = MAX(pid, 0);
}

void revoke_init(struct revoke *r, struct loop *l, int listen_fd,
	const struct spawn_env *env)
{
	*r = (struct revoke){.loop = l, .env = *env, .listen_fd = listen_fd};
	r->env.cgroup_fd = -1;
}

int revoke_start(struct revoke *r)
{
	return loop_watch(r->loop, &r->watch, r->listen_fd, EPOLLIN, on_listen);
}

bool revoke_reaped(struct revoke *r, pid_t pid)
{
	if (!r->child || r->child != pid)
		return false;
	r->child = 0;
	return true;
}
