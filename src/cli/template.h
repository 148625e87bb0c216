/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template - making templates: what `cove template` asks coved for, with its
 * progress. Names and files are the person's; coved checks them again.
 */
#ifndef CLI_TEMPLATE_H
#define CLI_TEMPLATE_H

#include "cli/command.h"

struct template_opts {
	bool help;
	bool json;
	bool quiet;
	const char *output;
	const char *image;
	const char *user;
	const char *file;
	bool root;
	bool skip_devices;
};

/* "/v1/templates/NAME<tail>"; heap, NULL with text for an impossible name. */
char *template_path(const char *name, const char *tail, struct err *err);
/* What a template from that file or image is called; heap. */
char *template_name_of(const char *source);
char *template_name_of_image(const char *ref);
/* POST /v1/templates, and what came of it; the exit code. */
int template_make(const struct call *call, const char *from, const char *source,
	const char *name);
/*
 * The same; origin is what inspect shows, like the digest of a template whose
 * configuration it takes over ("" none).
 */
int template_make_like(const struct call *call, const char *from,
	const char *source, const char *name, const char *origin,
	const char *like);
/* template_capture.c */
int template_save_sandbox(const struct call *call);
int template_build(const struct call *call);
/* The action: -o FILE NAME. */
int template_save(const struct call *call);
/* template_login.c */
int template_login(const struct call *call);
int template_logout(const struct call *call);

#endif
