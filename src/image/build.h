/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build - from an image or a root file system, wherever it comes from, to a
 * template with a name. All that is hostile is read in the jailed worker; the
 * job's own process only takes the bounded result and writes meta.json. Main
 * thread; the caller holds the lock of the templates' cache.
 */
#ifndef IMAGE_BUILD_H
#define IMAGE_BUILD_H

#include "image/blob.h"
#include "image/template.h"

struct build_source {
	int file;  /* an archive, or -1 */
	int index; /* index.json of a layout that is a directory, or -1 */
	struct blob_file *files; /* of a layout or of the cache */
	size_t n_files;
	const char *manifest; /* hex of the manifest among the files, or NULL */
	/* how to read it */
	const char *image; /* which one of several, "" the only one */
	bool root;         /* a root file system, whatever it looks like */
	bool skip_devices;
	/* for meta.json */
	const char *builder;
	const char *origin;
	const char *like; /* a template whose configuration holds, or "" */
};

/* *ret_digest is a heap string. */
int build_template(struct cache *c, const struct build_source *s,
	const char *name, struct progress *p, char **ret_digest,
	struct err *err);
/* Names that a person may give: not "shell". */
int build_check_name(const char *name, struct err *err);

#endif
