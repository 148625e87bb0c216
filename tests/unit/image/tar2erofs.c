/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar2erofs OUT LAYER... - puts tar archives on top of each other into an
 * EROFS image, with OCI whiteouts; for comparisons with other programs.
 */
#include "image/layer.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>

static ssize_t from_fd(void *arg, const void **ret_p)
{
	static char chunk[256 * 1024];
	ssize_t n = read(*(int *)arg, chunk, sizeof(chunk));

	*ret_p = chunk;
	return n < 0 ? -errno : n;
}

int main(int argc, char **argv)
{
	const struct tree_limits limits = {2000000, 768 * MIB};
	const struct layer_opts opts = {.whiteouts = true, .devices = true};
	struct layer_stats stats = {0};
	struct err e = {0};
	struct erofs erofs;
	struct tree tree;
	uint64_t bytes;
	int out, r;

	if (argc < 3)
		errx(2, "usage: tar2erofs OUT LAYER...");
	out = open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (out < 0)
		err(1, "%s", argv[1]);
	r = layer_locale(&e);
	tree_init(&tree, &limits, 1000000000);
	erofs_init(&erofs, out, 64 * GIB);
	for (int k = 2; r == 0 && k < argc; k++) {
		int fd = open(argv[k], O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			err(1, "%s", argv[k]);
		r = layer_apply(&tree, &erofs, &opts, from_fd, &fd, &stats, &e);
		tree_next_layer(&tree);
		close(fd);
	}
	if (r == 0)
		r = erofs_finish(&erofs, &tree, "oracle", &bytes, &e);
	erofs_done(&erofs);
	tree_done(&tree);
	if (r < 0)
		errx(1, "%s", e.text);
	return 0;
}
