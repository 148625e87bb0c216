/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel that the user brought: its headers, segments and notes. */
#include "vmm/vmlinux.h"

#include <assert.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ram ram;
	static int fd = -1;
	struct vmlinux k;
	struct err err;
	int r;

	if (fd < 0) {
		r = ram_open(&ram, 4 * MIB, -1, &err);
		assert(r == 0);
		fd = memfd_create("kernel", MFD_CLOEXEC);
	}
	r = ftruncate(fd, 0);
	assert(r == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	(void)vmlinux_load(fd, &ram, &k, &err);
	return 0;
}
