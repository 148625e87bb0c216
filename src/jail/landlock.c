/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock: file access below the given entries only. The constants are our
 * own because Debian 12's header stops at ABI 2.
 */
#include "jail/jail.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

#define LL_VERSION 1u /* flag: ask for the ABI */
#define LL_PATH_BENEATH 1

#define LL_EXECUTE (1ull << 0)
#define LL_WRITE_FILE (1ull << 1)
#define LL_READ_FILE (1ull << 2)
#define LL_READ_DIR (1ull << 3)
#define LL_MAKE_CHAR (1ull << 6)
#define LL_MAKE_BLOCK (1ull << 11)
#define LL_ABI1_ALL ((1ull << 13) - 1)
#define LL_REFER (1ull << 13)    /* ABI 2 */
#define LL_TRUNCATE (1ull << 14) /* ABI 3 */
#define LL_FILE_RIGHTS (LL_EXECUTE | LL_WRITE_FILE | LL_READ_FILE | LL_TRUNCATE)

struct ll_ruleset {
	uint64_t handled_fs;
};

struct ll_path_beneath {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

static int add_entry(int rules, const struct jail_entry *e, uint64_t handled,
	struct err *err)
{
	struct ll_path_beneath rule = {.fd = *e->fd};
	struct stat st;

	if (fstat(*e->fd, &st) < 0)
		return err_sys(err, errno, "%s", e->name);
	rule.allowed = handled & ~(LL_MAKE_CHAR | LL_MAKE_BLOCK);
	if (e->read_only)
		rule.allowed = LL_EXECUTE | LL_READ_FILE | LL_READ_DIR;
	if (!S_ISDIR(st.st_mode))
		rule.allowed &= LL_FILE_RIGHTS;
	if (syscall(SYS_landlock_add_rule, rules, LL_PATH_BENEATH, &rule, 0) <
		0)
		return err_sys(err, errno, "Landlock rule for %s", e->name);
	return 0;
}

int jail_landlock(const struct jail_files *f, struct err *err)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LL_VERSION);
	struct ll_ruleset attr = {.handled_fs = LL_ABI1_ALL | LL_REFER};
	_cleanup_close_ int rules = -1;

	/* ABI 1 forbids every rename between directories. */
	if (abi < 2)
		return err_set(
			err, EOPNOTSUPP, "Landlock ABI %ld", abi < 0 ? 0 : abi);
	if (abi >= 3)
		attr.handled_fs |= LL_TRUNCATE;
	rules = (int)syscall(
		SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (rules < 0)
		return err_sys(err, errno, "Landlock ruleset");
	for (size_t i = 0; i < f->n; i++) {
		int r = add_entry(rules, &f->entry[i], attr.handled_fs, err);

		if (r < 0)
			return r;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		return err_sys(err, errno, "Landlock");
	return 0;
}
