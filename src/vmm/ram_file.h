/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ram_file - guest memory to a file, sparse: pages of zeros become holes.
 */
#ifndef VMM_RAM_FILE_H
#define VMM_RAM_FILE_H

#include "vmm/ram.h"

/* fd: an empty regular file. The guest does not run meanwhile. */
int ram_write(const struct ram *ram, int fd, struct err *err);

#endif
