/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find - which sandbox a `run` means: the one called --name, or the one that
 * an earlier run of the same template in the same directory left.
 */
#ifndef CLI_FIND_H
#define CLI_FIND_H

#include "cli/api.h"
#include "cli/spec.h"

/*
 * *ret_sandbox is a new reference, or NULL and *ret_name (heap) is the name
 * that a new one should get. -EEXIST with text when the one that is meant
 * differs in what cannot be changed.
 */
int find_sandbox(const struct api *api, const struct spec *spec,
	const struct run_opts *opts, json_t **ret_sandbox, char **ret_name,
	struct err *err);

/* "<default name>-x7k2": for a sandbox that goes with its command. Heap. */
char *find_random_name(const struct spec *spec);

/* The pure part, over the list of all sandboxes. */
int find_in_list(const json_t *list, const struct spec *spec,
	const struct run_opts *opts, json_t **ret_sandbox, char **ret_name,
	struct err *err);

#endif
