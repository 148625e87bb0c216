/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modules - which kernel modules a guest needs, in an order in which each can
 * be loaded by finit_module() alone. What a module depends on is read from
 * the module itself (.modinfo "depends" and "softdep pre"), so neither
 * modules.dep nor depmod is needed. Module files come from a package or the
 * user: every ELF offset is checked. No I/O.
 */
#ifndef IMAGE_MODULES_H
#define IMAGE_MODULES_H

#include "image/bzimage.h"

#define MODULE_MAX (32 * MIB)   /* one module, unpacked */
#define MODULES_MAX (768 * MIB) /* all of them, as they came */
#define MODULES_N_MAX 16384u

struct module {
	char *name; /* with '_' for '-' */
	char *file; /* as it came, without directories and suffixes */
	uint8_t *p; /* maybe still compressed */
	size_t len;
	bool placed;
};

struct modules {
	struct module *v;
	size_t n;
	size_t bytes;
	char *builtin; /* modules.builtin, or NULL when unknown */
};

/* What the guest's init loads at once, and what it loads on demand. */
extern const char *const modules_early[];
extern const size_t n_modules_early;
extern const char *const modules_late[];
extern const size_t n_modules_late;

void modules_done(struct modules *m);
/* Takes p over (also on failure). path ends in .ko, .ko.xz, .ko.gz, .ko.zst. */
int modules_add(struct modules *m, const char *path, uint8_t *p, size_t len,
	struct err *err);
bool modules_is_file(const char *path);
bool modules_is_builtin(const struct modules *m, const char *name);

struct module_list {
	struct module **v; /* heap; elements belong to the modules */
	size_t n;
};
/*
 * Appends the wanted modules with what they depend on, unpacked, skipping
 * those placed before. A wanted one that is missing is skipped: *ret_missing
 * counts those that are not built in either.
 */
int modules_select(struct modules *m, const char *const *want, size_t n_want,
	struct module_list *list, size_t *ret_missing, struct err *err);
void module_list_done(struct module_list *l);

/*
 * The next value of a key ("depends") in the module's .modinfo after *at (0
 * at first): NULL when there is none. Borrowed from p.
 */
const char *module_info(
	const uint8_t *p, size_t len, const char *key, size_t *at);

/*
 * Takes away what costs time at loading and serves nobody in a guest: the
 * signature (not enforced, and checked all the same) and BTF.
 */
void module_strip(uint8_t *p, size_t *len);

#endif
