/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend - engine.h as a table, so that the life cycle can be tested without
 * a virtual machine. The functions' contracts are those of engine.h.
 */
#ifndef DAEMON_BACKEND_H
#define DAEMON_BACKEND_H

#include "daemon/engine.h"

struct backend {
	int (*choose)(
		const char *want, struct engine_choice *ret, struct err *err);
	int (*start)(const struct engine_config *cfg, engine_record_fn *record,
		void *arg, struct engine *ret, struct err *err);
	int (*adopt)(
		const struct proc_id id[ENGINE_N_ROLES], struct engine *ret);
	void (*kill)(struct engine *e);
	void (*quit)(struct engine *e);
	void (*close)(struct engine *e);
	bool (*is_open)(const struct engine *e);
	uint64_t (*cpu_ms)(const struct engine *e);
	uint64_t (*memory)(const struct engine *e);
	bool gate; /* guests have a network: a cove-gate runs beside each */
};

/* The real one. */
extern const struct backend backend_engine;

#endif
