/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache - what cove-image left in the user's cache: templates and kernels.
 *
 *   templates/names/NAME -> ../DIGEST, templates/DIGEST/{root.erofs,meta.json}
 *   kernels/current -> ID, kernels/ID/{vmlinux,initrd.cpio,meta.json}
 *
 * The directories are this user's and were written whole; they are checked
 * against damage, not against malice.
 */
#ifndef DAEMON_CACHE_H
#define DAEMON_CACHE_H

#include "daemon/fields.h"

#include "base/paths.h"

struct template
{
	char *digest;
	char *root;  /* absolute path of root.erofs */
	json_t *env; /* object of strings, or NULL */
	char *user;  /* NULL: agent */
	char *workdir;
	json_t *config; /* of an image: "entrypoint", "cmd"; or NULL */
};

void template_done(struct template *t);
/* 1 it is there, 0 no template of that name, -EBADMSG damaged, -errno. */
int cache_template_digest(const struct paths *p, const char *name,
	char **ret_digest, struct err *err);
/* -ENOENT or -EBADMSG when it cannot be used. */
int cache_template_open(const struct paths *p, const char *digest,
	struct template *ret, struct err *err);

struct kernel {
	char *vmlinux;
	char *initrd;
};
void kernel_done(struct kernel *k);
/* 1 it is there, 0 there is none, -errno. */
int cache_kernel(const struct paths *p, struct kernel *ret, struct err *err);

/* One as the API shows it, NULL when there is none; with all of meta.json. */
json_t *cache_template_json(const struct paths *p, const char *name);
json_t *cache_template_detail(const struct paths *p, const char *name);
/* Takes the name away, durably; the image stays. */
int cache_template_unname(
	const struct paths *p, const char *name, struct err *err);
/* {"templates":[...]} of the API. */
json_t *cache_templates_json(const struct paths *p);

#endif
