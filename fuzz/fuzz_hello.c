/* SPDX-License-Identifier: Apache-2.0 */
/* The host's answer to HELLO: what is accepted can be applied as it is. */
#include "agent/config.h"
#include "wire/agent.h"

#include <assert.h>
#include <string.h>

static void check_mount(const struct mount_spec *m)
{
	assert(m->export[0] && !strchr(m->export, '/'));
	assert(!streq(m->export, ".") && !streq(m->export, ".."));
	assert(m->target[0] == '/' && m->target[1]);
	assert(!strstr(m->target, "/../") && !strstr(m->target, "//"));
	assert(strlen(m->target) < AGENT_PATH_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config c;
	struct err err = {0};

	if (config_parse(data, size, &c, &err) < 0) {
		assert(err.code && err.text[0]);
		return 0;
	}
	assert(config_name_ok(c.name) && strlen(c.name) <= 63);
	assert(strlen(c.sandbox) == 36);
	assert(c.n_mounts <= CONFIG_MOUNTS);
	assert(c.n_entropy <= CONFIG_ENTROPY_MAX);
	assert(!c.workdir || c.workdir[0] == '/');
	for (size_t i = 0; i < c.n_mounts; i++)
		check_mount(&c.mounts[i]);
	for (size_t i = 0; i < c.env.n; i++)
		assert(strchr(c.env.v[i], '='));
	config_done(&c);
	return 0;
}
