/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name - names of sandboxes: 2 to 63 of [a-z0-9.-], first and last a letter or
 * digit. Pure. A name that passes needs no escaping in a URL.
 */
#ifndef CLI_NAME_H
#define CLI_NAME_H

#include "base/err.h"

#define NAME_LEN_MAX 63

/* 0 or -EINVAL with text. Ids (UUIDs) have the shape of a name. */
int name_check(const char *name, struct err *err);
/* "<template>-<last component of dir>" made to fit; dir may be NULL. Heap. */
char *name_default(const char *template, const char *dir);
/* name with "-<suffix>", shortened to fit; heap. */
char *name_with_suffix(const char *name, const char *suffix);
/* Whether name is base or base-N: how run counts up on a collision. */
bool name_is_numbered(const char *name, const char *base);

#endif
