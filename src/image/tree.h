/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree - a root file system in memory: names, inodes, attributes; the data of
 * files lies elsewhere (image/erofs.h). Layers are put on top of each other in
 * order, with the whiteouts of the OCI image specification ("layer.md").
 *
 * Paths and attributes are hostile: every path is split and checked here, and
 * nothing of it ever reaches the host's file system. Memory, entries, depth
 * and sizes are bounded by struct tree_limits. The tree owns everything in it
 * and frees it at the end only. One thread.
 */
#ifndef IMAGE_TREE_H
#define IMAGE_TREE_H

#include "base/err.h"
#include <sys/stat.h>

#define TREE_NAME_MAX 255
#define TREE_PATH_MAX 4095
#define TREE_DEPTH_MAX 1024
#define TREE_LINKS_MAX 40         /* as Linux */
#define TREE_XATTR_MAX (32 * KIB) /* bytes of all of one inode's */

struct tree_limits {
	uint64_t entries; /* headers accepted, also those overwritten later */
	uint64_t memory;  /* bytes of names, attributes and tails */
};

/* Name without the prefix that index stands for (EROFS_XATTR_INDEX_*). */
struct xattr {
	struct xattr *next; /* sorted by index, then name */
	uint8_t index;
	uint8_t name_len;
	uint16_t value_len;
	uint8_t data[]; /* name, then value */
};

struct node;

struct inode {
	struct inode *next; /* of the tree's list of all inodes */
	uint32_t mode;      /* with the type bits */
	uint32_t uid, gid;
	uint32_t rdev; /* in the kernel's new_encode_dev() form */
	int64_t mtime;
	uint32_t mtime_nsec;
	uint32_t n_links; /* set by tree_seal() */
	uint64_t size;
	struct xattr *xattrs;
	char *target; /* symlink, else NULL */
	/* data of a regular file in the image */
	uint64_t block; /* first block */
	uint8_t *tail;  /* last size % block bytes, kept for the metadata */
	/* directories */
	void *index;        /* tsearch(3) tree of nodes until tree_seal() */
	struct node **kids; /* sorted by bytes; set by tree_seal() */
	uint32_t n_kids;
	uint32_t hidden; /* the layer whose whiteouts were applied below */
	/* the image writer's own */
	uint64_t nid;
	uint64_t out_block;
	bool out_done;
};

struct node {
	struct inode *inode;
	uint32_t layer;
	char name[];
};

struct tree {
	struct tree_limits limits;
	struct inode *all;
	struct inode *root;
	uint64_t entries;
	uint64_t memory;
	uint32_t layer;
	int64_t time; /* of directories that no archive entry describes */
	bool sealed;
	struct inode *way[TREE_DEPTH_MAX + 1]; /* of the path being walked */
};

void tree_init(struct tree *t, const struct tree_limits *limits, int64_t time);
void tree_done(struct tree *t);
/* What is added from now on lies above everything that is there. */
void tree_next_layer(struct tree *t);

/* NULL when a limit is reached; mode must have exactly one known type. */
struct inode *tree_inode(struct tree *t, uint32_t mode, struct err *err);
/* 0, or -errno when limits are reached or the name is no allowed one. */
int tree_xattr(struct tree *t, struct inode *i, const char *name,
	const void *value, size_t len, struct err *err);
/* Memory that lives as long as the tree and counts against its limit. */
void *tree_alloc(struct tree *t, size_t size, struct err *err);
/* What tree_alloc() gave. */
void tree_unaccount(struct tree *t, size_t size);

/*
 * Puts inode at path and tells which one then is there: a directory over a
 * directory keeps the old one and its children and takes over the attributes.
 * Anything else replaces what was there. Missing parents are made.
 */
int tree_add(struct tree *t, const char *path, struct inode *i,
	struct inode **ret, struct err *err);
/* A further name for the file at target, which must not be a directory. */
int tree_link(
	struct tree *t, const char *path, const char *target, struct err *err);
/* Removes what lower layers have at path; nothing there is no error. */
int tree_whiteout(struct tree *t, const char *path, struct err *err);
/* Removes what lower layers have in the directory path. */
int tree_opaque(struct tree *t, const char *path, struct err *err);
/* NULL when there is nothing or the path is refused. */
struct inode *tree_find(struct tree *t, const char *path);

/* Sorts the children and counts the links. Nothing can be added afterwards. */
void tree_seal(struct tree *t);

#endif
