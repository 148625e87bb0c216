/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/priv.h"

void watch_free(struct fs *fs)
{
}
void watch_reset(struct fs *fs)
{
}
bool watch_dir(struct nref *r)
{
	return false;
}
void watch_gone(struct fs *fs, struct node *n)
{
}
int fs_watch(struct fs *fs, struct loop *loop, struct err *err)
{
	return 0;
}
void fs_share(struct fs *fs, int sock)
{
	closep(&sock);
}
bool fs_settle(struct fs *fs, fs_settled_fn *fn, void *arg)
{
	return true;
}
