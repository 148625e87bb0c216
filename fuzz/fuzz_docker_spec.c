/* SPDX-License-Identifier: Apache-2.0 */
/* The specification of a container: what is changed is only ever added to. */
#include "agent/docker_spec.h"

#include <assert.h>
#include <string.h>

static void check(const char *json, const char *source)
{
	struct buf out;
	int r;

	buf_init(&out, DOCKER_SPEC_MAX);
	r = docker_spec_edit(json, source, &out);
	if (r == 1) {
		const char *text = (const char *)buf_head(&out);
		size_t kept = 0;

		assert(text[buf_len(&out) - 1] == '\0');
		assert(strlen(text) == buf_len(&out) - 1);
		for (; *text; text++)
			if (*text == json[kept])
				kept++;
		assert(json[kept] == '\0');
	} else {
		assert(r <= 0 && buf_len(&out) == 0);
	}
	buf_done(&out);
}

/* The hook is our program, and dockerd's path an argument. */
static void check_hook(const char *json)
{
	struct buf out;
	int r;

	buf_init(&out, DOCKER_SPEC_MAX);
	r = docker_spec_hook(json, &out);
	if (r == 1) {
		const char *text = (const char *)buf_head(&out);

		assert(strlen(text) == buf_len(&out) - 1);
		assert(strlen(text) > strlen(json));
		assert(strstr(text, "\"/proc/1/exe\""));
		assert(strstr(text, "\"" DOCKER_OWN_SETKEY "\",\""));
	} else {
		assert(r == 0 && buf_len(&out) == 0);
	}
	assert(docker_spec_pid(json) >= 0);
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *json = xstrndup((const char *)data, size);
	char *root = docker_spec_root(json);

	check(json, NULL);
	check(json, "/run/bundle/ca.crt");
	check_hook(json);
	assert(!root || (!strchr(root, '"') && !strchr(root, '\\')));
	free(root);
	free(json);
	return 0;
}
