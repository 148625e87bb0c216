/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blob - the pieces of an image by name: a member of a tarball, or a file that
 * was opened before (a layout's or the cache's), and a layer of it streamed
 * into a tree. What is named by a digest is checked against it, as it came
 * and, for layers, unpacked. Hostile; runs in the jailed worker.
 */
#ifndef IMAGE_BLOB_H
#define IMAGE_BLOB_H

#include "image/layer.h"
#include "image/oci.h"

#define BLOBS_MAX 900u

struct blob_file {
	char hex[OCI_HEX];
	int fd;
};

/* Where the pieces of one image are. Owns nothing. */
struct blobs {
	int tar;                       /* or -1: then the files */
	const struct blob_file *files; /* by their digests */
	size_t n_files;
	uint64_t max; /* bytes that all layers together may unpack to */
	uint64_t unpacked;
};

/* A piece: by digest, or by the name of a tarball's member. */
struct blob_ref {
	const char *hex;    /* "" unknown */
	const char *member; /* NULL: blobs/sha256/<hex> */
};

/* A document of at most OCI_JSON_MAX bytes; heap, NUL-terminated. */
int blob_document(const struct blobs *b, const struct blob_ref *ref, char **ret,
	size_t *ret_len, struct err *err);
/* diff: SHA-256 of the layer unpacked, "" unknown. */
int blob_layer(struct blobs *b, const struct blob_ref *ref, const char *diff,
	struct tree *t, struct erofs *e, const struct layer_opts *opts,
	struct layer_stats *stats, struct err *err);
/* A plain or compressed archive from where the descriptor stands. */
int blob_archive(struct blobs *b, int fd, struct tree *t, struct erofs *e,
	const struct layer_opts *opts, struct layer_stats *stats,
	struct err *err);

#endif
