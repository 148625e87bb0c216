/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that need little: descriptors, capabilities, limits. */
#include "jail/jail.h"

#include "base/log.h"
#include <assert.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define CAP_BIT(cap) (1ull << (cap))

const uint64_t jail_file_capabilities = CAP_BIT(CAP_CHOWN) |
	CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_DAC_READ_SEARCH) |
	CAP_BIT(CAP_FOWNER);

static int close_span(unsigned from, unsigned to, struct err *err)
{
	if (from > to)
		return 0;
	if (syscall(SYS_close_range, from, to, 0) < 0)
		return err_sys(err, errno, "close descriptors");
	return 0;
}

/* The smallest descriptor of keep that is at least from, or -1. */
static int next_kept(const int *keep, size_t n, int from)
{
	int best = -1;

	for (size_t i = 0; i < n; i++)
		if (keep[i] >= from && (best < 0 || keep[i] < best))
			best = keep[i];
	return best;
}

int jail_fds(const int *keep, size_t n, struct err *err)
{
	int from = 3;

	for (;;) {
		int kept = next_kept(keep, n, from);
		int r;

		if (kept < 0)
			return close_span((unsigned)from, ~0u, err);
		r = close_span((unsigned)from, (unsigned)kept - 1, err);
		if (r < 0)
			return r;
		from = kept + 1;
	}
}

static int set_capabilities(uint64_t keep, struct err *err)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	if (syscall(SYS_capget, &head, data) < 0)
		return err_sys(err, errno, "read capabilities");
	for (int i = 0; i < 2; i++) {
		uint32_t mask = (uint32_t)(keep >> 32 * i);

		data[i].effective &= mask;
		data[i].permitted &= mask;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &head, data) < 0)
		return err_sys(err, errno, "give up capabilities");
	return 0;
}

/*
 * Without CAP_SETPCAP the first one fails, and then nothing can be gained
 * anyway; past the kernel's last capability all others fail as well.
 */
static void drop_bounding(uint64_t keep)
{
	for (int cap = 0; cap < 64; cap++)
		if (!(keep & CAP_BIT(cap)) &&
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return;
}

int jail_capabilities(uint64_t keep, struct err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, errno, "PR_SET_NO_NEW_PRIVS");
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	drop_bounding(keep);
	return set_capabilities(keep, err);
}

int jail_limits(struct err *err)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return err_sys(err, errno, "RLIMIT_CORE");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(err, errno, "PR_SET_DUMPABLE");
	return 0;
}

int jail_enter(
	const struct jail_files *f, uint64_t capabilities, struct err *err)
{
	struct err why = {0};
	int r = jail_view(f, &why);

	if (r < 0 && r != -EOPNOTSUPP)
		return err_set(err, why.code, "%s", why.text);
	if (r < 0) {
		log_warn("no namespaces here (%s): using Landlock", why.text);
		r = jail_landlock(f, &why);
	}
	if (r < 0)
		log_warn("no Landlock either (%s): files are guarded only by "
			 "path checks and the system call filter",
			why.text);
	r = jail_capabilities(capabilities, err);
	return r ? r : jail_limits(err);
}
