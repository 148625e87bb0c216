/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel file of the user: what is accepted is an ELF with a version. */
#include "image/bzimage.h"
#include "image/kernel_elf.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct blob elf = {0};
	struct err err = {0};
	char *version = NULL;

	if (bzimage_unpack(data, size, 4 * MIB, &elf, &err) < 0) {
		assert(err.code && err.text[0]);
		return 0;
	}
	assert(elf.len <= 4 * MIB && elf.len > 64);
	assert(vmlinux_check(elf.p, elf.len, NULL) == 0);
	if (vmlinux_version(elf.p, elf.len, &version, NULL) == 0)
		assert(strlen(version) < 64 && !strchr(version, '/'));
	free(version);
	elf_split_tables(elf.p, elf.len);
	assert(vmlinux_check(elf.p, elf.len, NULL) == 0);
	blob_done(&elf);
	return 0;
}
