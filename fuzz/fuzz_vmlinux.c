/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel that the user brought: its headers, segments and notes. */
#include "vmm/vmlinux.h"

#include <assert.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* New ones each time: what is mapped must not get shorter. */
	int fd = memfd_create("kernel", MFD_CLOEXEC);
	struct vmlinux k;
	struct ram ram;
	struct err err;
	int r = ram_open(&ram, 4 * MIB, -1, &err);

	assert(r == 0 && fd >= 0);
	assert(pwrite(fd, data, size, 0) == (ssize_t)size);
	(void)vmlinux_load(fd, &ram, &k, &err);
	ram_done(&ram);
	(void)close(fd);
	return 0;
}
