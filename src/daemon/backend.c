/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/backend.h"

const struct backend backend_engine = {
	.choose = engine_choose,
	.start = engine_start,
	.adopt = engine_adopt,
	.kill = engine_kill,
	.quit = engine_quit,
	.close = engine_close,
	.is_open = engine_is_open,
	.cpu_ms = engine_cpu_ms,
	.memory = engine_memory,
	.gate = true,
};
