/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ref - the name of an image as people write it, [REGISTRY/]NAME[:TAG][@DIGEST]
 * (distribution specification 1.1, "Pulling manifests"). Input is the
 * person's; what is kept has only characters that a URL may have. Pure.
 */
#ifndef IMAGE_REF_H
#define IMAGE_REF_H

#include "image/oci.h"

struct image_ref {
	char host[256]; /* with its port */
	char repo[256];
	char tag[130];
	char hex[OCI_HEX]; /* pinned digest, or "" */
	bool http;         /* this host's own loopback: plain HTTP is allowed */
};

int image_ref_parse(const char *text, struct image_ref *ret, struct err *err);
/* 127.0.0.0/8, ::1 or localhost, with or without a port. */
bool image_ref_loopback(const char *host);

#endif
