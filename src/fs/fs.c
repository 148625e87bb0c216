/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/priv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* What the rest of the process and running requests need. */
#define FD_RESERVE 256u
#define FD_MAX 65536u
#define FD_MIN 64u

const struct fs_config fs_config_default = {
	.guest_uid = 1000,
	.guest_gid = 1000,
	.n_workers = 1,
	.timeout_ms = 0,
	.lease_ms = 30000,
	.settle_ms = 5000,
};

static uint32_t fd_budget(uint32_t asked)
{
	struct rlimit rl;
	uint64_t have = 1024;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		if (rl.rlim_cur < rl.rlim_max) {
			rl.rlim_cur = rl.rlim_max;
			(void)setrlimit(RLIMIT_NOFILE, &rl);
		}
		(void)getrlimit(RLIMIT_NOFILE, &rl);
		have = rl.rlim_cur;
	}
	have = have > FD_RESERVE + FD_MIN ? have - FD_RESERVE : FD_MIN;
	have = MIN(have, FD_MAX);
	return asked ? (uint32_t)MIN(asked, have) : (uint32_t)have;
}

/*
 * Without CAP_FSETID the host's kernel itself takes set-id bits away when a
 * file is written, which is what HANDLE_KILLPRIV_V2 promises the guest.
 */
static int drop_fsetid(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) < 0)
		return -errno;
	if (!(data[0].effective & 1u << CAP_FSETID))
		return 0;
	data[0].effective &= ~(1u << CAP_FSETID);
	data[0].permitted &= ~(1u << CAP_FSETID);
	data[0].inheritable &= ~(1u << CAP_FSETID);
	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

static int prepare_process(struct fs *fs, struct err *err)
{
	int e;

	umask(0);
	fs->proc_fd = open(FD_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fs->proc_fd < 0)
		return err_sys(err, errno, "file server: " FD_DIR);
	e = drop_fsetid();
	return e < 0 ? err_sys(err, -e, "file server: dropping CAP_FSETID") : 0;
}

int fs_new(const struct fs_config *config, struct fs **ret, struct err *err)
{
	struct fs *fs = xnew(struct fs);
	uint32_t fds = fd_budget(config->max_fds);
	int e;

	assert(config->n_workers && config->n_workers <= FS_WORKERS_MAX);
	fs->config = *config;
	fs->proc_fd = -1;
	fs->inotify = -1;
	for (unsigned i = 0; i < LISTERS; i++)
		fs->lister[i].fd = -1;
	fs->uid = geteuid();
	fs->gid = getegid();
	fs->max_handles = fds / 2;
	fs->max_dir_fds = fds / 4;
	fs->max_pinned = fds / 8;
	fs->workers = xcalloc(config->n_workers, sizeof(struct worker));
	atomic_store(&fs->drains, 1);
	list_init(&fs->lru);
	pthread_mutex_init(&fs->lock, NULL);
	pthread_rwlock_init(&fs->session, NULL);
	pthread_rwlock_init(&fs->closing, NULL);
	node_permanent(fs, FS_NO_EXPORT, 0, -1, NULL);
	e = prepare_process(fs, err);
	if (e < 0) {
		fs_free(fs);
		return e;
	}
	*ret = fs;
	return 0;
}

void fs_drop(struct fs *fs)
{
	handle_drop_all(fs);
	lister_drop_all(fs);
	node_drop_all(fs);
	fs->ready = false;
}

void fs_reset(struct fs *fs)
{
	pthread_rwlock_wrlock(&fs->session);
	fs_drop(fs);
	pthread_rwlock_unlock(&fs->session);
}

void fs_free(struct fs *fs)
{
	if (!fs)
		return;
	fs_drop(fs);
	for (unsigned i = 0; i < fs->n_exports; i++) {
		node_free_permanent(fs, fs->exports[i].node);
		free(fs->exports[i].name);
	}
	node_free_permanent(fs, fs->nodes[FUSE_ROOT_ID]);
	watch_free(fs);
	closep(&fs->proc_fd);
	table_done(&fs->by_ident);
	table_done(&fs->by_name);
	table_done(&fs->by_wd);
	pthread_mutex_destroy(&fs->lock);
	pthread_rwlock_destroy(&fs->closing);
	pthread_rwlock_destroy(&fs->session);
	free(fs->nodes);
	free(fs->free_slots);
	free(fs->handles);
	free(fs->workers);
	free(fs);
}

static int export_check(struct fs *fs, const char *name, int fd, uint32_t flags,
	struct statx *stx, uint16_t *ret_volume, struct err *err)
{
	uint32_t want = flags & AMF_FILE ? S_IFREG : S_IFDIR;
	int e;

	if (!name[0] || strlen(name) > FS_NAME_MAX || strchr(name, '/') ||
		streq(name, ".") || streq(name, ".."))
		return err_set(err, EINVAL, "export: bad name '%s'", name);
	if (fs->n_exports == BIRTH_EXPORTS)
		return err_set(err, E2BIG, "export %s: more than %u", name,
			BIRTH_EXPORTS);
	e = fd_stat(fd, stx);
	if (e < 0)
		return err_sys(err, -e, "export %s", name);
	if ((stx->stx_mode & S_IFMT) != want)
		return err_set(err, EINVAL, "export %s: not a %s", name,
			flags & AMF_FILE ? "regular file" : "directory");
	e = volume_find(fs, fd, "", stx, ret_volume);
	if (e == -EACCES)
		return err_set(err, EACCES,
			"export %s: a kernel file system like /proc or /sys "
			"is never shared",
			name);
	return e < 0 ? err_sys(err, -e, "export %s", name) : 0;
}

int fs_export(struct fs *fs, const char *name, int fd, uint32_t flags,
	struct err *err)
{
	_cleanup_close_ int taken = fd;
	struct export *x;
	struct statx stx;
	uint16_t volume;
	int e = export_check(fs, name, fd, flags, &stx, &volume, err);

	if (e < 0)
		return e;
	x = &fs->exports[fs->n_exports];
	x->name = xstrdup(name);
	x->flags = flags;
	x->node = node_permanent(
		fs, (uint16_t)fs->n_exports, volume, TAKE_FD(taken), &stx);
	x->node->type = stx.stx_mode & S_IFMT;
	fs->n_exports++;
	return 0;
}

void fs_stats(const struct fs *fs, struct fs_stats *ret)
{
	*ret = (struct fs_stats){
		.requests = fs->n_requests,
		.refused = fs->n_refused,
		.nodes = fs->n_nodes,
		.files = fs->n_handles,
		.fds = (uint64_t)fs->n_lru + fs->n_pinned,
		.watches = fs->n_watches,
		.events = fs->n_events,
		.revoked = fs->n_revoked,
	};
}
