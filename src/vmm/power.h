/* SPDX-License-Identifier: Apache-2.0 */
/*
 * power - the three byte-wide registers by which a guest ends: ACPI sleep
 * control and status (ACPI 6.4, section 4.8.3.7) and the reset register named
 * in the FADT. No state. Runs on vCPU threads.
 */
#ifndef VMM_POWER_H
#define VMM_POWER_H

#include "vmm/bus.h"

#define POWER_SLEEP_CONTROL 0u
#define POWER_SLEEP_STATUS 1u
#define POWER_RESET 2u
#define POWER_LEN 4u
#define POWER_RESET_VALUE 0x52u
#define POWER_OFF_TYPE 5u

enum power_event { POWER_EVENT_OFF, POWER_EVENT_RESET };

struct power {
	void (*event)(void *arg, enum power_event event);
	void *arg;
};

extern const struct bus_ops power_ops;

#endif
