/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tarball - the archive that an image comes in: members are found by name and
 * streamed, nothing is extracted. Each look walks the headers from the start
 * and seeks over the data, so it must be a file, and no compression of its
 * own; tarball_unpack() makes it so. Hostile; runs in the jailed worker. The
 * descriptor is the caller's, its position is the tarball's.
 */
#ifndef IMAGE_TARBALL_H
#define IMAGE_TARBALL_H

#include "image/layer.h"

enum tarball_kind {
	TARBALL_ROOT,   /* a root file system */
	TARBALL_OCI,    /* an image layout: oci-layout, index.json, blobs/ */
	TARBALL_DOCKER, /* manifest.json of docker save */
};

/* Looks at names until the kind is known; reads compressed ones as well. */
int tarball_kind(int fd, enum tarball_kind *ret, struct err *err);
/* 1 when the file is compressed, 0 when not. */
int tarball_is_packed(int fd, struct err *err);
/* Copies the uncompressed archive to out; -EFBIG beyond max bytes. */
int tarball_unpack(int fd, int out, uint64_t max, struct err *err);

struct tarball;
/* Stands before the member's data. -ENOENT with text. */
int tarball_open(
	int fd, const char *name, struct tarball **ret, struct err *err);
void tarball_close(struct tarball *t);
static inline void tarball_closep(struct tarball **t)
{
	if (*t)
		tarball_close(*t);
}
/* As layer_read_fn: bytes, 0 at the end, -errno. */
ssize_t tarball_read(struct tarball *t, const void **ret_p);
/* A whole small member in heap memory, NUL-terminated. */
int tarball_slurp(int fd, const char *name, size_t max, char **ret,
	size_t *ret_len, struct err *err);

#endif
