/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox - the API's words for what commands do to one sandbox. Names are
 * checked before they become part of a path. Answers are new references.
 */
#ifndef CLI_SANDBOX_H
#define CLI_SANDBOX_H

#include "cli/api.h"

/* "/v1/sandboxes/NAME<tail>"; heap. NULL with text for what is no name. */
char *sandbox_path(const char *name, const char *tail, struct err *err);
int sandbox_get(
	const struct api *api, const char *name, json_t **ret, struct err *err);
/* *ret is the array of all sandboxes. */
int sandbox_list(const struct api *api, json_t **ret, struct err *err);
/*
 * POST with progress on stderr: *ret is the member called what of the last
 * line, a new reference.
 */
int progress_call(struct cli *cli, const char *path, const json_t *body,
	const char *what, bool quiet, json_t **ret, struct err *err);
/* Creates and starts; shows progress on stderr unless quiet. */
int sandbox_create(struct cli *cli, const json_t *body, bool quiet,
	json_t **ret, struct err *err);
int sandbox_start(
	struct cli *cli, const char *name, bool quiet, struct err *err);
int sandbox_stop(const struct api *api, const char *name, uint64_t timeout_ms,
	struct err *err);
int sandbox_remove(
	const struct api *api, const char *name, bool force, struct err *err);

#endif
