/* SPDX-License-Identifier: Apache-2.0 */
/*
 * system - small facts of the running guest: time, entropy, names, memory,
 * loopback. PID 1 only. All of them report, none of them stops the boot.
 */
#ifndef AGENT_SYSTEM_H
#define AGENT_SYSTEM_H

#include "base/util.h"

uint64_t system_uptime_ms(void);
/* Nanoseconds since the epoch; 0 is ignored. */
void system_set_clock(uint64_t realtime_ns);
/* Mixed into the kernel's pool and credited in full. */
void system_add_entropy(const void *p, size_t len);
void system_set_hostname(const char *name);
void system_loopback_up(void);
/* Bytes; available is what can be had without swapping. */
void system_memory(uint64_t *ret_total, uint64_t *ret_available);
/* Bytes that an ordinary user can still write below dir; ~0 if unknown. */
uint64_t system_disk_free(const char *dir);
/* Never returns. */
_Noreturn void system_power_off(void);

#endif
