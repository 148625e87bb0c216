/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci - the JSON documents of container images as bounded structs: image
 * indexes and manifests (OCI image specification 1.1 "image-index.md" and
 * "manifest.md"; Docker's schema 2 has the same shape), image configurations
 * ("config.md"), and manifest.json of `docker save`.
 *
 * All of it is hostile: it is parsed in the jailed worker, every string has a
 * maximum, every digest is checked to be one. Pure functions; the structs are
 * the caller's and hold no pointers, so that they can cross a pipe.
 */
#ifndef IMAGE_OCI_H
#define IMAGE_OCI_H

#include "base/err.h"

#define OCI_JSON_MAX (4 * MIB)
#define OCI_LAYERS_MAX 160u
#define OCI_HEX 65 /* SHA-256 in hex and NUL */
#define OCI_NAME_MAX 256
#define OCI_ARCH "amd64"

struct oci_blob {
	char hex[OCI_HEX]; /* "" when only the path is known */
	uint64_t size;     /* 0: unknown */
};

enum oci_kind { OCI_INDEX, OCI_MANIFEST };

/* An index gives the manifest that was picked, a manifest all it names. */
struct oci_doc {
	enum oci_kind kind;
	struct oci_blob pick;
	struct oci_blob config;
	uint32_t n_layers;
	struct oci_blob layers[OCI_LAYERS_MAX];
};

/*
 * want: the reference name to choose by in an index with several images
 * ("" takes the only one for this architecture).
 */
int oci_doc_parse(const void *p, size_t len, const char *want,
	struct oci_doc *ret, struct err *err);

/* One image of manifest.json: members of the archive. */
struct oci_saved {
	char config[OCI_NAME_MAX];
	char tag[OCI_NAME_MAX]; /* "" without one */
	uint32_t n_layers;
	char layers[OCI_LAYERS_MAX][OCI_NAME_MAX];
};
int oci_saved_parse(const void *p, size_t len, const char *want,
	struct oci_saved *ret, struct err *err);

/* Strings one after the other, each with its NUL. */
struct oci_strings {
	uint32_t len;
	uint32_t n;
};

#define OCI_ENV_MAX (20 * KIB)
#define OCI_ARGV_MAX (6 * KIB)
#define OCI_HISTORY_MAX (8 * KIB)

/* A token server's answer: the bearer token. */
#define OCI_TOKEN_MAX (14 * KIB)
int oci_token_parse(
	const void *p, size_t len, char ret[OCI_TOKEN_MAX], struct err *err);

/* What runs a container of it; crosses the worker's pipe. */
struct oci_config {
	char arch[32];
	char os[16];
	char created[40];
	char user[128];
	char workdir[1024];
	struct oci_strings env, entrypoint, cmd, history;
	char env_text[OCI_ENV_MAX]; /* K=V */
	char entrypoint_text[OCI_ARGV_MAX];
	char cmd_text[OCI_ARGV_MAX];
	char history_text[OCI_HISTORY_MAX]; /* what made each layer, cut */
};
struct oci_diffs {
	uint32_t n;
	char hex[OCI_LAYERS_MAX][OCI_HEX];
};
/* Refuses other architectures and systems than this host can run. */
int oci_config_parse(const void *p, size_t len, struct oci_config *ret,
	struct oci_diffs *ret_diffs, struct err *err);

/* -EFBIG when it does not fit (or is NULL). */
int oci_strings_add(
	struct oci_strings *s, char *text, size_t max, const char *value);
/*
 * The strings again, in a process that does not trust the struct: NULL at the
 * end or when it is malformed. *at is 0 at first.
 */
const char *oci_strings_next(const struct oci_strings *s, const char *text,
	size_t max, uint32_t *at);

/* "sha256:<64 hex>" to its hex; false for anything else. */
bool oci_digest(const char *s, char ret[OCI_HEX]);
bool oci_is_hex(const char *s);

#endif
