/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file tree from the other end: byte 0 chooses how it is received, the rest
 * is the stream. Whatever comes, nothing beside the destination may change.
 */
#include "base/fd.h"
#include "copy/tree.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define CANARY "canary"
#define BOX "box"

static int open_up(
	const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return type == FTW_D || type == FTW_DNR ? chmod(path, 0700) : 0;
}

static int remove_one(
	const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void remove_tree(const char *path)
{
	struct stat st;

	/* Also a link that leads nowhere. */
	if (lstat(path, &st) < 0)
		return;
	/* Without privilege each round opens one level more. */
	for (int i = 0; i < 64; i++) {
		assert(nftw(path, open_up, 64, FTW_PHYS) == 0);
		if (nftw(path, remove_one, 64, FTW_PHYS | FTW_DEPTH) == 0)
			return;
	}
	abort();
}

/* Not the working directory: libFuzzer's own paths are relative to that. */
static char home[64];
static char box[80];
static int home_fd;

static void cleanup(void)
{
	remove_tree(home);
}

static void prepare(void)
{
	/* A lie about a size may cost a sparse file, not the disk. */
	struct rlimit big = {64 * MIB, 64 * MIB};

	snprintf(home, sizeof(home), "%s/cove-fuzz-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert(mkdtemp(home));
	snprintf(box, sizeof(box), "%s/" BOX, home);
	home_fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert(home_fd >= 0);
	assert(fd_replace_at(home_fd, CANARY, "safe", 4, 0600) == 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	assert(setrlimit(RLIMIT_FSIZE, &big) == 0);
	atexit(cleanup);
}

static void check_canary(void)
{
	_cleanup_free_ char *text = NULL;
	DIR *dir = opendir(home);
	const struct dirent *e;
	struct stat st;

	assert(fd_slurp_at(home_fd, CANARY, 64, &text) == 4);
	assert(streq(text, "safe"));
	assert(fstatat(home_fd, CANARY, &st, AT_SYMLINK_NOFOLLOW) == 0);
	assert(S_ISREG(st.st_mode) && st.st_nlink == 1 &&
		(st.st_mode & 07777) == 0600);
	while ((e = readdir(dir)))
		assert(streq(e->d_name, CANARY) || streq(e->d_name, BOX) ||
			streq(e->d_name, ".") || streq(e->d_name, ".."));
	closedir(dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tree_opts opts = {.max_entries = 100};
	struct tree_count count;
	struct err err = {0};
	struct buf in;
	int r;

	if (!home[0])
		prepare();
	if (!size || size > TREE_IN_MAX)
		return 0;
	if (data[0] & 1)
		assert(mkdir(box, 0700) == 0);
	if (data[0] & 2)
		opts.name = "mine";
	if (data[0] & 4)
		opts.mode_mask = 0777;
	buf_init(&in, TREE_IN_MAX);
	assert(buf_put(&in, data + 1, size - 1) == 0);
	r = tree_recv(-1, &in, box, &opts, &count, &err);
	assert(r == 0 || (err.code == -r && err.text[0]));
	assert(r < 0 || count.entries <= 100);
	buf_done(&in);
	check_canary();
	remove_tree(box);
	return 0;
}
