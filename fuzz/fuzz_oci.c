/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents of images, and other words of registries: the first byte chooses
 * which. What comes out must be what its users rely on.
 */
#include "image/build_meta.h"
#include "image/fetch.h"
#include "image/ref.h"

#include <assert.h>
#include <string.h>

static struct oci_doc doc;
static struct oci_saved saved;
static struct oci_config config;
static struct oci_diffs diffs;
static struct build_result result;
static char token[OCI_TOKEN_MAX];

static void check_strings(
	const struct oci_strings *s, const char *text, size_t max)
{
	uint32_t at = 0, n = 0;

	while (oci_strings_next(s, text, max, &at))
		n++;
	assert(n == s->n && at == s->len);
}

static void check_config(const struct oci_config *c)
{
	check_strings(&c->env, c->env_text, OCI_ENV_MAX);
	check_strings(&c->entrypoint, c->entrypoint_text, OCI_ARGV_MAX);
	check_strings(&c->cmd, c->cmd_text, OCI_ARGV_MAX);
	check_strings(&c->history, c->history_text, OCI_HISTORY_MAX);
}

static void check_doc(void)
{
	if (doc.kind == OCI_INDEX) {
		assert(oci_is_hex(doc.pick.hex));
		return;
	}
	assert(oci_is_hex(doc.config.hex) && doc.n_layers <= OCI_LAYERS_MAX);
	for (uint32_t k = 0; k < doc.n_layers; k++)
		assert(oci_is_hex(doc.layers[k].hex));
}

static void text_input(const uint8_t *p, size_t len, bool ref)
{
	_cleanup_free_ char *text = xstrndup((const char *)p, len);
	struct fetch_reply reply = {0};
	struct image_ref r;

	if (!ref)
		fetch_challenge(text, &reply);
	else if (image_ref_parse(text, &r, NULL) == 0)
		assert(r.repo[0] && r.tag[0] && r.host[0] &&
			!strpbrk(r.host, "/?#@ \r\n") &&
			!strpbrk(r.repo, "?#@: \r\n") && !strstr(r.repo, ".."));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = {0};
	const uint8_t *p = data + 1;
	size_t len = size - 1;
	int r = 0;

	if (size < 1)
		return 0;
	switch (data[0] % 7) {
	case 0:
		r = oci_doc_parse(p, len, "", &doc, &err);
		if (r == 0)
			check_doc();
		break;
	case 1:
		r = oci_saved_parse(p, len, "", &saved, &err);
		break;
	case 2:
		r = oci_config_parse(p, len, &config, &diffs, &err);
		if (r == 0)
			check_config(&config);
		break;
	case 3:
		r = oci_token_parse(p, len, token, &err);
		break;
	case 4:
		memset(&result, 0, sizeof(result));
		r = build_unmeta(p, len, &result, &err);
		if (r == 0)
			check_config(&result.config);
		break;
	default:
		text_input(p, len, data[0] % 7 == 5);
	}
	assert(r == 0 || (err.code == -r && err.text[0]));
	return 0;
}
