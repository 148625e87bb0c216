/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/host.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/sysinfo.h>

/* A container's limit is what "the host has" for this user. */
static uint64_t cgroup_limit(void)
{
	static const char *const files[] = {"/sys/fs/cgroup/memory.max",
		"/sys/fs/cgroup/memory/memory.limit_in_bytes"};
	uint64_t limit = UINT64_MAX;
	char *end;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *text = NULL;
		uint64_t v;

		if (fd_slurp_at(AT_FDCWD, files[i], 64, &text) <= 0)
			continue;
		errno = 0;
		v = strtoull(text, &end, 10);
		if (errno == 0 && end != text && v > 0)
			limit = MIN(limit, v);
	}
	return limit;
}

static int read_boot_id(char *dst, size_t size, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n = fd_slurp_at(
		AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &text);

	if (n < 0)
		return err_sys(err, (int)-n, "read the kernel's boot id");
	text[strcspn(text, "\n")] = '\0';
	if (strlen(text) + 1 > size)
		return err_set(err, EIO, "unexpected boot id");
	memcpy(dst, text, strlen(text) + 1);
	return 0;
}

int host_read(struct host *ret, struct err *err)
{
	struct host h = {.boot_ns = now_real_ns()};
	struct sysinfo si;
	cpu_set_t set;
	int r;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		h.cpus = (uint32_t)CPU_COUNT(&set);
	else
		h.cpus = (uint32_t)MAX(1L, sysconf(_SC_NPROCESSORS_ONLN));
	if (sysinfo(&si) < 0)
		return err_sys(err, errno, "read the memory size");
	h.memory = (uint64_t)si.totalram * si.mem_unit;
	h.memory = MIN(h.memory, cgroup_limit());
	r = read_boot_id(h.boot_id, sizeof(h.boot_id), err);
	if (r < 0)
		return r;
	*ret = h;
	return 0;
}
