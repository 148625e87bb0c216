/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci - the two configuration registers of a PCI host bridge that has nothing
 * behind it (PCI 3.0, section 3.2.2.3.2): the address can be read back, the
 * data is all ones. A kernel that finds a way to configure PCI, told not to
 * look further, does not print that there is none: 67 bytes and as many exits,
 * and an alarming first line in every console log. Runs on vCPU threads.
 */
#ifndef VMM_PCI_H
#define VMM_PCI_H

#include "vmm/bus.h"

#define PCI_LEN 8u

/* Not in a snapshot: who reads it has written it before. */
struct pci {
	uint32_t address; /* atomic */
};

extern const struct bus_ops pci_ops;

#endif
