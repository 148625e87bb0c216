/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build_meta - between what a worker hands over about a template and its
 * meta.json. The struct is not trusted: strings are bounded again and must be
 * UTF-8. Pure but for the clock.
 */
#ifndef IMAGE_BUILD_META_H
#define IMAGE_BUILD_META_H

#include "image/build.h"

/* What the worker hands over. */
struct build_result {
	struct template_result image;
	bool is_image; /* entry point and command are the image's */
	char tag[OCI_NAME_MAX];
	char manifest[OCI_HEX];
	char digest[OCI_HEX]; /* that a saved template claims */
	uint32_t n_layers;
	uint64_t dropped;
	struct oci_config config;
};

json_t *build_meta(const struct build_source *s, const char *name,
	struct build_result *res);
/* The way back, from a meta.json that is hostile; for the worker. */
int build_unmeta(
	const void *p, size_t len, struct build_result *ret, struct err *err);

#endif
