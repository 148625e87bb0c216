/* SPDX-License-Identifier: Apache-2.0 */
#include "image/tree.h"

#include <assert.h>
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <string.h>

/* Prefixes that EROFS stores as a number (EROFS on-disk format, xattrs). */
static const struct prefix {
	const char *text;
	uint8_t index;
	bool whole; /* the name is the prefix */
} prefixes[] = {
	{"user.", 1, false},
	{"system.posix_acl_access", 2, true},
	{"system.posix_acl_default", 3, true},
	{"trusted.", 4, false},
	{"security.", 6, false},
};

static int full(struct err *err, const char *what, uint64_t limit)
{
	return err_set(err, EFBIG, "the archive has more than %llu %s",
		(unsigned long long)limit, what);
}

void *tree_alloc(struct tree *t, size_t size, struct err *err)
{
	if (size > t->limits.memory - t->memory) {
		full(err, "bytes of names and attributes", t->limits.memory);
		return NULL;
	}
	t->memory += size;
	return xcalloc(1, size);
}

void tree_unaccount(struct tree *t, size_t size)
{
	assert(t->memory >= size);
	t->memory -= size;
}

struct inode *tree_inode(struct tree *t, uint32_t mode, struct err *err)
{
	struct inode *i;

	if (t->entries >= t->limits.entries) {
		full(err, "entries", t->limits.entries);
		return NULL;
	}
	i = tree_alloc(t, sizeof(*i), err);
	if (!i)
		return NULL;
	t->entries++;
	i->mode = mode;
	i->mtime = t->time;
	i->next = t->all;
	t->all = i;
	return i;
}

void tree_init(struct tree *t, const struct tree_limits *limits, int64_t time)
{
	*t = (struct tree){.limits = *limits, .time = time};
	t->root = tree_inode(t, S_IFDIR | 0755, NULL);
	assert(t->root);
}

static void free_xattrs(struct xattr *x)
{
	while (x) {
		struct xattr *next = x->next;

		free(x);
		x = next;
	}
}

static void free_node(void *p)
{
	free(p);
}

void tree_done(struct tree *t)
{
	struct inode *i = t->all;

	while (i) {
		struct inode *next = i->next;

		for (uint32_t k = 0; i->kids && k < i->n_kids; k++)
			free(i->kids[k]);
		free(i->kids);
		if (i->index)
			tdestroy(i->index, free_node);
		free_xattrs(i->xattrs);
		free(i->target);
		free(i->tail);
		free(i);
		i = next;
	}
	*t = (struct tree){0};
}

void tree_next_layer(struct tree *t)
{
	t->layer++;
}

/* Children, by name. */

static int by_name(const void *a, const void *b)
{
	const struct node *x = a, *y = b;

	/* strcmp compares as unsigned char, which is the order EROFS wants */
	return strcmp(x->name, y->name);
}

static struct node *child(const struct inode *dir, const char *name)
{
	/* a node to search with, on the stack: a look-up allocates nothing */
	_Alignas(
		struct node) char room[sizeof(struct node) + TREE_NAME_MAX + 1];
	struct node *key = (struct node *)(void *)room;
	struct node **found;

	snprintf(room + offsetof(struct node, name), TREE_NAME_MAX + 1, "%s",
		name);
	found = tfind(key, &dir->index, by_name);
	return found ? *found : NULL;
}

static struct node *child_add(
	struct tree *t, struct inode *dir, const char *name, struct err *err)
{
	size_t len = strlen(name) + 1;
	struct node *n = tree_alloc(t, sizeof(*n) + len, err);

	if (!n)
		return NULL;
	memcpy(n->name, name, len);
	n->layer = t->layer;
	if (!tsearch(n, &dir->index, by_name))
		abort();
	dir->n_kids++;
	return n;
}

static void child_del(struct tree *t, struct inode *dir, struct node *n)
{
	tdelete(n, &dir->index, by_name);
	tree_unaccount(t, sizeof(*n) + strlen(n->name) + 1);
	free(n);
	dir->n_kids--;
}

struct walk {
	struct node **v;
	size_t n;
};

static void collect(const void *p, VISIT which, void *arg)
{
	struct walk *w = arg;

	if (which == postorder || which == leaf)
		w->v[w->n++] = *(struct node *const *)p;
}

/* The children, sorted, as an array of dir->n_kids that the caller frees. */
static struct node **children(const struct inode *dir)
{
	struct walk w = {.v = xcalloc(dir->n_kids + 1u, sizeof(*w.v))};

	twalk_r(dir->index, collect, &w);
	assert(w.n == dir->n_kids);
	return w.v;
}

/* Paths. */

struct split {
	const char *rest;
	unsigned int depth;
	char name[TREE_NAME_MAX + 1];
};

/* 1 and the next component, 0 at the end, -errno when refused. */
static int split_next(struct split *s, struct err *err)
{
	for (;;) {
		size_t len;

		s->rest += strspn(s->rest, "/");
		len = strcspn(s->rest, "/");
		if (len == 0)
			return 0;
		if (len == 1 && s->rest[0] == '.') {
			s->rest++;
			continue;
		}
		if (len == 2 && s->rest[0] == '.' && s->rest[1] == '.')
			return err_set(err, EPERM,
				"a name in the archive contains '..'");
		if (len > TREE_NAME_MAX)
			return err_set(err, ENAMETOOLONG,
				"a name in the archive is longer than %d bytes",
				TREE_NAME_MAX);
		if (++s->depth > TREE_DEPTH_MAX)
			return err_set(err, ENAMETOOLONG,
				"the archive has more than %d nested "
				"directories",
				TREE_DEPTH_MAX);
		memcpy(s->name, s->rest, len);
		s->name[len] = '\0';
		s->rest += len;
		return 1;
	}
}

static int check_path(const char *path, struct err *err)
{
	if (path[0] == '/')
		return err_set(err, EPERM,
			"a name in the archive is absolute: %.100s", path);
	if (strlen(path) > TREE_PATH_MAX)
		return err_set(err, ENAMETOOLONG,
			"a path in the archive is longer than %d bytes",
			TREE_PATH_MAX);
	return 0;
}

/* A directory that no entry describes, as the parent of one that came. */
static int make_parent(struct tree *t, struct inode *dir, struct node *n,
	const char *name, struct inode **ret, struct err *err)
{
	struct inode *i;

	if (n && n->layer == t->layer)
		return err_set(err, ENOTDIR,
			"a path in the archive goes through '%.100s', which "
			"is no directory",
			name);
	i = tree_inode(t, S_IFDIR | 0755, err);
	if (!i)
		return -EFBIG;
	if (!n)
		n = child_add(t, dir, name, err);
	if (!n)
		return -EFBIG;
	n->inode = i;
	n->layer = t->layer;
	*ret = i;
	return 0;
}

/* "." and ".." as an archive may not have them, too long, too deep. */
static int check_split(const char *path, struct err *err)
{
	struct split s = {.rest = path};
	int r;

	do
		r = split_next(&s, err);
	while (r > 0);
	return r;
}

/* A walk from the root: t->way[0..depth] are the directories so far. */
struct way {
	struct tree *t;
	uint32_t depth;
	const char *rest;
	char *owned; /* what rest points into, behind a link */
	uint32_t links;
	char name[TREE_NAME_MAX + 1];
};

static void way_done(struct way *w)
{
	free(w->owned);
}

/* The next component to w->name; false at the end. */
static int way_next(struct way *w, struct err *err)
{
	size_t len;

	do {
		w->rest += strspn(w->rest, "/");
		len = strcspn(w->rest, "/");
		if (len > TREE_NAME_MAX)
			return err_set(err, ENAMETOOLONG,
				"a symlink in the archive has a name longer "
				"than %d bytes",
				TREE_NAME_MAX);
		memcpy(w->name, w->rest, len);
		w->name[len] = '\0';
		w->rest += len;
	} while (len == 1 && w->name[0] == '.');
	return len > 0;
}

/* Nothing but slashes and "." is left. */
static bool way_ends(const struct way *w)
{
	const char *s = w->rest;

	for (;;) {
		s += strspn(s, "/");
		if (s[0] != '.' || (s[1] && s[1] != '/'))
			return !*s;
		s++;
	}
}

static int way_enter(struct way *w, struct inode *dir, struct err *err)
{
	if (w->depth == TREE_DEPTH_MAX)
		return err_set(err, ENAMETOOLONG,
			"the archive has more than %d nested directories",
			TREE_DEPTH_MAX);
	w->t->way[++w->depth] = dir;
	return 0;
}

/* Goes on at the target, which stays below the root whatever it says. */
static int way_link(struct way *w, const char *target, struct err *err)
{
	char *next;

	if (++w->links > TREE_LINKS_MAX)
		return err_set(err, ELOOP,
			"a path in the archive goes through more than %d "
			"symlinks",
			TREE_LINKS_MAX);
	if (strlen(target) + strlen(w->rest) > 2 * TREE_PATH_MAX)
		return err_set(err, ENAMETOOLONG,
			"a path in the archive becomes too long by its "
			"symlinks");
	next = xasprintf("%s/%s", target, w->rest);
	if (target[0] == '/')
		w->depth = 0;
	free(w->owned);
	w->owned = next;
	w->rest = next;
	return 0;
}

/* One step through w->name. */
static int way_step(struct way *w, bool make, struct err *err)
{
	struct inode *dir = w->t->way[w->depth], *made;
	struct node *n;
	int r;

	if (streq(w->name, "..")) {
		w->depth -= w->depth > 0;
		return 0;
	}
	n = child(dir, w->name);
	if (n && S_ISDIR(n->inode->mode))
		return way_enter(w, n->inode, err);
	if (n && S_ISLNK(n->inode->mode) && n->layer < w->t->layer)
		return way_link(w, n->inode->target, err);
	if (!make)
		return -ENOENT;
	r = make_parent(w->t, dir, n, w->name, &made, err);
	return r < 0 ? r : way_enter(w, made, err);
}

/*
 * Walks to the directory that holds the last component of path. *ret_name is
 * "" for the root itself. With make, missing parents are made; otherwise
 * -ENOENT without text.
 *
 * Symlinks of lower layers on the way are followed, inside the tree, as
 * container engines do: "lib/x" over "lib -> usr/lib" is usr/lib/x. One of the
 * same layer is not: no builder writes that, and it is how archives attack.
 */
static int parent_of(struct tree *t, const char *path, bool make,
	struct inode **ret, char ret_name[TREE_NAME_MAX + 1], struct err *err)
{
	_cleanup_(way_done) struct way w = {.t = t, .rest = path};
	int r = check_split(path, err);

	t->way[0] = t->root;
	ret_name[0] = '\0';
	while (r == 0 && (r = way_next(&w, err)) > 0) {
		if (way_ends(&w) && !streq(w.name, "..")) {
			memcpy(ret_name, w.name, sizeof(w.name));
			r = 0;
			break;
		}
		r = way_step(&w, make, err);
	}
	if (r == 0)
		*ret = t->way[w.depth];
	return r;
}

struct inode *tree_find(struct tree *t, const char *path)
{
	char name[TREE_NAME_MAX + 1];
	struct inode *dir;
	struct node *n;

	if (strlen(path) > TREE_PATH_MAX ||
		parent_of(t, path, false, &dir, name, NULL) < 0)
		return NULL;
	if (!name[0])
		return dir;
	n = child(dir, name);
	return n ? n->inode : NULL;
}

/* Attributes. */

static const struct prefix *prefix_of(const char *name)
{
	for (size_t k = 0; k < ARRAY_SIZE(prefixes); k++) {
		const struct prefix *p = &prefixes[k];
		size_t len = strlen(p->text);

		if (p->whole ? streq(name, p->text)
			     : strncmp(name, p->text, len) == 0 && name[len])
			return p;
	}
	return NULL;
}

static int xattr_cmp(const struct xattr *a, const struct xattr *b)
{
	int r;

	if (a->index != b->index)
		return a->index < b->index ? -1 : 1;
	r = memcmp(a->data, b->data, MIN(a->name_len, b->name_len));
	return r ? r : (int)a->name_len - (int)b->name_len;
}

static size_t xattr_size(const struct xattr *x)
{
	return sizeof(*x) + x->name_len + x->value_len;
}

/* Of all but the one that x replaces. */
static size_t xattr_others(const struct inode *i, const struct xattr *x)
{
	size_t sum = 0;

	for (const struct xattr *o = i->xattrs; o; o = o->next)
		sum += xattr_cmp(o, x) ? xattr_size(o) : 0;
	return sum;
}

/* Sorted in; one of the same name is replaced. */
static void xattr_insert(struct tree *t, struct inode *i, struct xattr *x)
{
	struct xattr **at = &i->xattrs;

	while (*at && xattr_cmp(*at, x) < 0)
		at = &(*at)->next;
	if (*at && xattr_cmp(*at, x) == 0) {
		struct xattr *old = *at;

		*at = old->next;
		tree_unaccount(t, xattr_size(old));
		free(old);
	}
	x->next = *at;
	*at = x;
}

static int xattr_too_large(struct err *err)
{
	return err_set(err, EFBIG,
		"a file in the archive has more than %llu bytes of extended "
		"attributes",
		TREE_XATTR_MAX);
}

int tree_xattr(struct tree *t, struct inode *i, const char *name,
	const void *value, size_t len, struct err *err)
{
	const struct prefix *p = prefix_of(name);
	size_t name_len;
	struct xattr *x;

	if (!p)
		return -EOPNOTSUPP;
	name_len = strlen(name) - strlen(p->text);
	if (name_len > UINT8_MAX || len > TREE_XATTR_MAX)
		return xattr_too_large(err);
	x = tree_alloc(t, sizeof(*x) + name_len + len, err);
	if (!x)
		return -EFBIG;
	x->index = p->index;
	x->name_len = (uint8_t)name_len;
	x->value_len = (uint16_t)len;
	memcpy(x->data, name + strlen(p->text), name_len);
	if (len)
		memcpy(x->data + name_len, value, len);
	if (xattr_others(i, x) + xattr_size(x) > TREE_XATTR_MAX) {
		tree_unaccount(t, xattr_size(x));
		free(x);
		return xattr_too_large(err);
	}
	xattr_insert(t, i, x);
	return 0;
}

/* Adding. */

static void adopt(struct inode *dir, struct inode *from)
{
	struct xattr *old = dir->xattrs;

	dir->mode = from->mode;
	dir->uid = from->uid;
	dir->gid = from->gid;
	dir->mtime = from->mtime;
	dir->mtime_nsec = from->mtime_nsec;
	dir->xattrs = from->xattrs;
	from->xattrs = old; /* freed with its inode */
}

static int put(struct tree *t, const char *path, struct inode *i,
	struct inode **ret, struct err *err)
{
	char name[TREE_NAME_MAX + 1];
	struct inode *dir;
	struct node *n;
	int r;

	r = parent_of(t, path, true, &dir, name, err);
	if (r < 0)
		return r;
	if (!name[0] && !S_ISDIR(i->mode))
		return err_set(
			err, EPERM, "the root of the archive is no directory");
	n = name[0] ? child(dir, name) : NULL;
	if (!name[0] || (n && S_ISDIR(n->inode->mode) && S_ISDIR(i->mode))) {
		*ret = name[0] ? n->inode : t->root;
		adopt(*ret, i);
	} else {
		if (!n)
			n = child_add(t, dir, name, err);
		if (!n)
			return -EFBIG;
		n->inode = i;
		*ret = i;
	}
	if (n)
		n->layer = t->layer;
	return 0;
}

int tree_add(struct tree *t, const char *path, struct inode *i,
	struct inode **ret, struct err *err)
{
	int r;

	assert(!t->sealed);
	r = check_path(path, err);
	return r < 0 ? r : put(t, path, i, ret, err);
}

int tree_link(
	struct tree *t, const char *path, const char *target, struct err *err)
{
	struct inode *i, *there;
	int r;

	assert(!t->sealed);
	r = check_path(path, err);
	if (r < 0)
		return r;
	if (t->entries >= t->limits.entries)
		return full(err, "entries", t->limits.entries);
	t->entries++;
	/* Some builders write the target with a leading slash: same tree. */
	i = tree_find(t, target);
	if (!i || S_ISDIR(i->mode))
		return err_set(err, ENOENT,
			"hard link '%.100s' in the archive names '%.100s', "
			"which is no file in it",
			path, target);
	return put(t, path, i, &there, err);
}

/* Whiteouts. */

static void hide_below(struct tree *t, struct inode *dir);

/* Removes n unless this layer put it, or something below it, there. */
static void hide(struct tree *t, struct inode *dir, struct node *n)
{
	if (S_ISDIR(n->inode->mode)) {
		hide_below(t, n->inode);
		if (n->inode->n_kids > 0)
			return;
	}
	if (n->layer < t->layer)
		child_del(t, dir, n);
}

/* Once per directory and layer: the second time there is nothing to hide. */
static void hide_below(struct tree *t, struct inode *dir)
{
	_cleanup_free_ struct node **v = NULL;
	size_t n = dir->n_kids;

	if (dir->hidden == t->layer)
		return;
	dir->hidden = t->layer;
	v = children(dir);
	for (size_t k = 0; k < n; k++)
		hide(t, dir, v[k]);
}

int tree_whiteout(struct tree *t, const char *path, struct err *err)
{
	char name[TREE_NAME_MAX + 1];
	struct inode *dir;
	struct node *n;
	int r;

	r = check_path(path, err);
	if (r < 0)
		return r;
	r = parent_of(t, path, false, &dir, name, err);
	if (r == -ENOENT || (r == 0 && !name[0]))
		return 0;
	if (r < 0)
		return r;
	n = child(dir, name);
	if (n)
		hide(t, dir, n);
	return 0;
}

int tree_opaque(struct tree *t, const char *path, struct err *err)
{
	struct inode *dir;
	int r;

	r = check_path(path, err);
	if (r < 0)
		return r;
	dir = tree_find(t, path);
	if (dir && S_ISDIR(dir->mode))
		hide_below(t, dir);
	return 0;
}

/* The end. */

static void seal_dir(struct inode *dir)
{
	dir->n_links = 2;
	dir->kids = children(dir);
	/* the nodes now belong to kids; only the index's own memory goes */
	while (dir->index)
		tdelete(*(struct node **)dir->index, &dir->index, by_name);
	for (uint32_t k = 0; k < dir->n_kids; k++) {
		struct inode *i = dir->kids[k]->inode;

		if (S_ISDIR(i->mode)) {
			dir->n_links++;
			seal_dir(i);
		} else {
			i->n_links++;
		}
	}
}

void tree_seal(struct tree *t)
{
	assert(!t->sealed);
	t->sealed = true;
	seal_dir(t->root);
}
