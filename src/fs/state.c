/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest knows, saved and restored. A node is found again through its
 * names, and only if it is still the same inode (node.h), so the names and
 * identities are all there is to save; descriptors are not needed.
 */
#include "base/buf.h"
#include "fs/priv.h"
#include "wire/tlv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum state_tag {
	ST_COUNTERS = 1, /* generation, next handle, ready: u32 each */
	ST_VOLUME = 2,   /* in order */
	ST_TOP = 3,      /* an export's node, in order: u64 id, told */
	ST_NODE = 4,
	ST_LINK = 5, /* after all nodes; oldest first for each node */
	ST_HANDLE = 6,
};

#define COUNTERS_LEN 12u
#define VOLUME_LEN 24u
#define TOLD_LEN 68u
#define TOP_LEN (8u + TOLD_LEN)
#define NODE_LEN (48u + TOLD_LEN)
#define LINK_LEN 16u /* and the name */
#define HANDLE_LEN 24u

/* --- saving ----------------------------------------------------------- */

static int put_volume(struct buf *b, const struct volume *v)
{
	uint8_t p[VOLUME_LEN];

	put_le64(p, v->dev);
	put_le64(p + 8, v->mix);
	put_le32(p + 16, v->watchable);
	put_le32(p + 20, v->refused);
	return tlv_put(b, ST_VOLUME, p, sizeof(p));
}

enum told_flags {
	TF_DATA = 1,
	TF_CTIME = 2,
	TF_RACY = 4,
	TF_LISTED = 8,
	TF_LISTED_RACY = 16,
};

/*
 * What the guest was told, and keeps believing when it goes on: changes since
 * are found by comparing, as after lost events.
 */
static void put_told(uint8_t p[TOLD_LEN], const struct told *t)
{
	put_le64(p, (uint64_t)t->mtime);
	put_le64(p + 8, (uint64_t)t->ctime);
	put_le64(p + 16, t->size);
	put_le32(p + 24, t->mtime_ns);
	put_le32(p + 28, t->ctime_ns);
	put_le32(p + 32, t->mode);
	put_le32(p + 36, t->uid);
	put_le32(p + 40, t->gid);
	put_le32(p + 44, t->nlink);
	put_le32(p + 48,
		(t->data ? TF_DATA : 0u) | (t->ctime_ok ? TF_CTIME : 0u) |
			(t->racy ? TF_RACY : 0u) |
			(t->listed ? TF_LISTED : 0u) |
			(t->listed_racy ? TF_LISTED_RACY : 0u));
	put_le16(p + 52, t->salt);
	put_le16(p + 54, t->last_salt);
	put_le32(p + 56, t->max_mtime_ns);
	put_le64(p + 60, (uint64_t)t->max_mtime);
}

static void take_told(const uint8_t *p, struct told *t)
{
	uint32_t flags = get_le32(p + 48);

	t->mtime = (int64_t)get_le64(p);
	t->ctime = (int64_t)get_le64(p + 8);
	t->size = get_le64(p + 16);
	t->mtime_ns = get_le32(p + 24);
	t->ctime_ns = get_le32(p + 28);
	t->mode = get_le32(p + 32);
	t->uid = get_le32(p + 36);
	t->gid = get_le32(p + 40);
	t->nlink = get_le32(p + 44);
	t->data = flags & TF_DATA;
	t->ctime_ok = flags & TF_CTIME;
	t->racy = flags & TF_RACY;
	t->listed = flags & TF_LISTED;
	t->listed_racy = flags & TF_LISTED_RACY;
	t->salt = get_le16(p + 52) & 511;
	t->last_salt = get_le16(p + 54);
	t->max_mtime_ns = get_le32(p + 56);
	t->max_mtime = (int64_t)get_le64(p + 60);
}

static int put_top(struct buf *b, const struct node *n)
{
	uint8_t p[TOP_LEN];

	put_le64(p, n->id);
	put_told(p + 8, &n->told);
	return tlv_put(b, ST_TOP, p, sizeof(p));
}

static int put_node(struct buf *b, const struct node *n)
{
	uint8_t p[NODE_LEN] = {0};

	put_le64(p, n->id);
	put_le64(p + 8, n->nlookup);
	put_le64(p + 16, n->ino);
	put_le64(p + 24, (uint64_t)n->btime);
	put_le32(p + 32, n->btime_ns);
	put_le32(p + 36, n->type);
	put_le16(p + 40, n->volume);
	put_le16(p + 42, n->export);
	put_told(p + 48, &n->told);
	return tlv_put(b, ST_NODE, p, sizeof(p));
}

static int put_link(struct buf *b, const struct link *l)
{
	uint8_t p[LINK_LEN + FS_NAME_MAX];

	put_le64(p, l->dir->id);
	put_le64(p + 8, l->node->id);
	memcpy(p + LINK_LEN, l->name, l->len);
	return tlv_put(b, ST_LINK, p, LINK_LEN + l->len);
}

/* The head's next is the newest; the other way round they are made again. */
static int put_links(struct buf *b, const struct node *n)
{
	int r = 0;

	for (struct list *it = n->links.prev; it != &n->links && r == 0;
		it = it->prev)
		r = put_link(b, list_entry(it, struct link, of_node));
	return r;
}

static int put_handle(struct buf *b, const struct handle *h)
{
	int flags = fcntl(h->fd, F_GETFL);
	uint8_t p[HANDLE_LEN] = {0};

	put_le64(p, h->fh);
	put_le64(p + 8, h->node->id);
	put_le32(p + 16, flags < 0 ? O_RDONLY : (uint32_t)flags & O_ACCMODE);
	return tlv_put(b, ST_HANDLE, p, sizeof(p));
}

static int save_nodes(const struct fs *fs, struct buf *b)
{
	int r = 0;

	for (uint32_t i = FUSE_ROOT_ID + 1; i < fs->n_nodes_cap && r == 0; i++)
		if (fs->nodes[i] && !fs->nodes[i]->permanent &&
			!fs->nodes[i]->pinned && fs->nodes[i]->nlookup)
			r = put_node(b, fs->nodes[i]);
	for (uint32_t i = FUSE_ROOT_ID + 1; i < fs->n_nodes_cap && r == 0; i++)
		if (fs->nodes[i] && fs->nodes[i]->nlookup)
			r = put_links(b, fs->nodes[i]);
	return r;
}

static int save_locked(const struct fs *fs, struct buf *b)
{
	uint8_t p[COUNTERS_LEN];
	int r;

	put_le32(p, fs->generation);
	put_le32(p + 4, fs->next_handle);
	put_le32(p + 8, fs->ready);
	r = tlv_put(b, ST_COUNTERS, p, sizeof(p));
	for (unsigned i = 0; i < fs->n_volumes && r == 0; i++)
		r = put_volume(b, &fs->volumes[i]);
	for (unsigned i = 0; i < fs->n_exports && r == 0; i++)
		r = put_top(b, fs->exports[i].node);
	r = r ? r : save_nodes(fs, b);
	for (uint32_t i = 1; i < fs->handles_cap && r == 0; i++)
		if (fs->handles[i] && !fs->handles[i]->closing)
			r = put_handle(b, fs->handles[i]);
	return r;
}

int fs_save(struct fs *fs, struct buf *b)
{
	int r;

	fs_lock(fs);
	r = save_locked(fs, b);
	fs_unlock(fs);
	return r;
}

/* --- restoring -------------------------------------------------------- */

struct restore {
	struct fs *fs;
	unsigned n_volumes;
	unsigned n_tops;
	bool counters;
	bool ready;
};

static int take_counters(struct restore *rs, const struct tlv *t)
{
	if (rs->counters || t->len != COUNTERS_LEN)
		return -EBADMSG;
	rs->counters = true;
	/* Ids given from now on are new ones. */
	rs->fs->generation = MAX(rs->fs->generation, get_le32(t->p));
	rs->ready = get_le32(t->p + 8) != 0;
	return 0;
}

/*
 * Devices of the exports are known already, in the same order. Where a device
 * has another number now, the nodes on it are simply not found again.
 */
static int take_volume(struct restore *rs, const struct tlv *t)
{
	struct fs *fs = rs->fs;
	struct volume *v = &fs->volumes[rs->n_volumes];

	if (t->len != VOLUME_LEN || rs->n_volumes == FS_VOLUMES_MAX)
		return -EBADMSG;
	if (rs->n_volumes++ < fs->n_volumes)
		return 0;
	*v = (struct volume){.dev = get_le64(t->p),
		.mix = get_le64(t->p + 8),
		.watchable = get_le32(t->p + 16) & 1,
		.refused = get_le32(t->p + 20) & 1};
	fs->n_volumes = rs->n_volumes;
	return 0;
}

static int take_top(struct restore *rs, const struct tlv *t)
{
	struct node *n;

	if (t->len != TOP_LEN || rs->n_tops == rs->fs->n_exports)
		return -EBADMSG;
	n = rs->fs->exports[rs->n_tops++].node;
	if (n->id != get_le64(t->p))
		return -EBADMSG;
	take_told(t->p + 8, &n->told);
	return 0;
}

static int take_node(struct restore *rs, const struct tlv *t)
{
	struct node_state s;
	struct node *n;

	if (t->len != NODE_LEN)
		return -EBADMSG;
	s = (struct node_state){.id = get_le64(t->p),
		.nlookup = get_le64(t->p + 8),
		.ino = get_le64(t->p + 16),
		.btime = (int64_t)get_le64(t->p + 24),
		.btime_ns = get_le32(t->p + 32),
		.type = get_le32(t->p + 36) & S_IFMT,
		.volume = get_le16(t->p + 40),
		.export = get_le16(t->p + 42)};
	if (s.volume >= rs->fs->n_volumes || s.export >= rs->fs->n_exports)
		return -EBADMSG;
	n = node_make(rs->fs, &s);
	if (!n)
		return -EBADMSG;
	take_told(t->p + 48, &n->told);
	return 0;
}

static struct node *known(struct fs *fs, uint64_t id)
{
	uint32_t slot = (uint32_t)id;
	struct node *n = slot < fs->n_nodes_cap ? fs->nodes[slot] : NULL;

	return n && n->id == id ? n : NULL;
}

static bool is_component(const char *name)
{
	return name[0] && !strchr(name, '/') && !streq(name, ".") &&
		!streq(name, "..");
}

/* A link may not leave its export; loops of directories end by depth. */
static int take_link(struct restore *rs, const struct tlv *t)
{
	char name[FS_NAME_MAX + 1];
	struct node *dir, *n;
	size_t len;

	if (t->len <= LINK_LEN || t->len > LINK_LEN + FS_NAME_MAX)
		return -EBADMSG;
	len = t->len - LINK_LEN;
	memcpy(name, t->p + LINK_LEN, len);
	name[len] = '\0';
	dir = known(rs->fs, get_le64(t->p));
	n = known(rs->fs, get_le64(t->p + 8));
	if (!dir || !n)
		return 0; /* one of them was pinned, and is lost */
	if (strlen(name) != len || !is_component(name) || n->permanent ||
		dir == n || dir->type != S_IFDIR || dir->export != n->export)
		return -EBADMSG;
	link_make(rs->fs, dir, name, n);
	return 0;
}

/* Opens the node's file again; without the lock, as any request does. */
static int open_again(struct fs *fs, uint64_t id, int flags)
{
	_cleanup_nref_ struct nref n = nref_of(fs);
	int r = nref_get(&n, id);

	r = r ? r : nref_fd(&n);
	return r ? r : fd_reopen(fs, n.fd, flags);
}

static bool may_write(const struct fs *fs, const struct node *n)
{
	return n->export < fs->n_exports &&
		!(fs->exports[n->export].flags & AMF_RO);
}

/* What cannot be opened again is -EBADF for the guest. */
static int take_handle(struct restore *rs, const struct tlv *t)
{
	struct fs *fs = rs->fs;
	_cleanup_close_ int fd = -1;
	struct node *n;
	int flags, r;

	if (t->len != HANDLE_LEN)
		return -EBADMSG;
	n = known(fs, get_le64(t->p + 8));
	flags = (int)(get_le32(t->p + 16) & O_ACCMODE);
	if (!n || (flags != O_RDONLY && !may_write(fs, n)))
		return 0;
	fd = open_again(fs, n->id, flags);
	if (fd < 0)
		return 0;
	fs_lock(fs);
	r = handle_make(fs, get_le64(t->p), n, fd);
	fs_unlock(fs);
	if (r == 0)
		(void)TAKE_FD(fd);
	return 0;
}

static int take_record(struct restore *rs, const struct tlv *t)
{
	int r;

	if (t->tag == ST_HANDLE)
		return take_handle(rs, t);
	fs_lock(rs->fs);
	switch (t->tag) {
	case ST_COUNTERS:
		r = take_counters(rs, t);
		break;
	case ST_VOLUME:
		r = take_volume(rs, t);
		break;
	case ST_TOP:
		r = take_top(rs, t);
		break;
	case ST_NODE:
		r = take_node(rs, t);
		break;
	case ST_LINK:
		r = take_link(rs, t);
		break;
	default:
		r = -EBADMSG;
		break;
	}
	fs_unlock(rs->fs);
	return r;
}

int fs_restore(struct fs *fs, const void *p, size_t len)
{
	struct restore rs = {.fs = fs};
	struct tlv_iter it = tlv_iter(p, len);
	struct tlv t;
	int r;

	while ((r = tlv_next(&it, &t)) > 0) {
		r = take_record(&rs, &t);
		if (r < 0)
			break;
	}
	if (r == 0 && (!rs.counters || rs.n_tops != fs->n_exports))
		r = -EBADMSG;
	fs_lock(fs);
	node_slots(fs);
	fs_unlock(fs);
	if (r < 0)
		fs_drop(fs);
	else
		fs->ready = rs.ready;
	return r;
}
