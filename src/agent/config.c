/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/config.h"

#include "wire/agent.h"
#include <ctype.h>
#include <errno.h>
#include <string.h>

bool config_name_ok(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > 63 || !isalnum((unsigned char)name[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-.", name[i]))
			return false;
	return true;
}

bool config_uuid_ok(const char *s)
{
	for (size_t i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
			return false;
	}
	return s[36] == '\0';
}

bool config_path_ok(const char *path)
{
	if (path[0] != '/')
		return false;
	while (*path == '/') {
		size_t len = strcspn(++path, "/");

		if (!len || (len <= 2 && strncmp(path, "..", len) == 0))
			return false;
		path += len;
	}
	return true;
}

static int take_str(const struct tlv *t, size_t max, char **ret)
{
	char *s;
	int r = tlv_str(t, max, &s);

	if (r < 0)
		return r;
	free(*ret);
	*ret = s;
	return 0;
}

static void mount_done(struct mount_spec *m)
{
	free(m->export);
	free(m->target);
}

static bool mount_ok(const struct mount_spec *m)
{
	return m->export && m->export[0] && !strchr(m->export, '/') &&
		!streq(m->export, ".") && !streq(m->export, "..") &&
		m->target && config_path_ok(m->target);
}

static int take_mount_field(const struct tlv *t, struct mount_spec *m)
{
	switch (t->tag) {
	case AM_EXPORT:
		return take_str(t, AGENT_NAME_MAX, &m->export);
	case AM_TARGET:
		return take_str(t, AGENT_PATH_MAX - 1, &m->target);
	case AM_FLAGS:
		return tlv_u32(t, &m->flags);
	default:
		return 0;
	}
}

static int take_mount(const struct tlv *nested, struct config *c)
{
	struct tlv_iter it = tlv_iter(nested->p, nested->len);
	struct mount_spec m = {0};
	struct tlv t;
	int r;

	if (c->n_mounts == CONFIG_MOUNTS)
		return -E2BIG;
	while ((r = tlv_next(&it, &t)) == 1) {
		r = take_mount_field(&t, &m);
		if (r < 0)
			break;
	}
	if (r < 0 || !mount_ok(&m)) {
		mount_done(&m);
		return r < 0 ? r : -EBADMSG;
	}
	c->mounts[c->n_mounts++] = m;
	return 0;
}

static int take_env(const struct tlv *t, struct strv *env)
{
	char *s;
	int r = tlv_str(t, AGENT_STR_MAX, &s);

	return r < 0 ? r : strv_setenv(env, s);
}

static int take_entropy(const struct tlv *t, struct config *c)
{
	if (t->len > CONFIG_ENTROPY_MAX)
		return -EBADMSG;
	memcpy(c->entropy, t->p, t->len);
	c->n_entropy = t->len;
	return 0;
}

static int check_version(const struct tlv *t)
{
	uint32_t v;
	int r = tlv_u32(t, &v);

	return r < 0 ? r : v == WIRE_VERSION ? 0 : -EPROTONOSUPPORT;
}

static int take_field(const struct tlv *t, struct config *c)
{
	switch (t->tag) {
	case AT_VERSION:
		return check_version(t);
	case AT_NAME:
		return take_str(t, AGENT_NAME_MAX, &c->name);
	case AT_SANDBOX:
		return take_str(t, AGENT_NAME_MAX, &c->sandbox);
	case AT_WORKDIR:
		return take_str(t, AGENT_PATH_MAX - 1, &c->workdir);
	case AT_AGENT_USER:
		return take_str(t, AGENT_NAME_MAX, &c->user);
	case AT_TRUST:
		return take_str(t, AGENT_STR_MAX, &c->trust);
	case AT_TRUST_HASH:
		return take_str(t, 16, &c->trust_hash);
	case AT_SSH_AGENT:
		return tlv_u32(t, &c->ssh_agent);
	case AT_ENV:
		return take_env(t, &c->env);
	case AT_ENTROPY:
		return take_entropy(t, c);
	case AT_REALTIME_NS:
		return tlv_u64(t, &c->realtime_ns);
	case AT_PIDS_MAX:
		return tlv_u32(t, &c->pids_max);
	case AT_MOUNT:
		return take_mount(t, c);
	default:
		return 0;
	}
}

static int check(const struct config *c, struct err *err)
{
	if (!c->name || !config_name_ok(c->name))
		return err_set(err, EBADMSG, "config: no valid sandbox name");
	if (!c->sandbox || !config_uuid_ok(c->sandbox))
		return err_set(err, EBADMSG, "config: no valid sandbox id");
	if (c->workdir && !streq(c->workdir, "/") &&
		!config_path_ok(c->workdir))
		return err_set(err, EBADMSG, "config: working directory '%s'",
			c->workdir);
	return 0;
}

int config_parse(const void *p, size_t len, struct config *ret, struct err *err)
{
	struct tlv_iter it = tlv_iter(p, len);
	_cleanup_(config_done) struct config c = {0};
	struct tlv t;
	int r;

	while ((r = tlv_next(&it, &t)) == 1) {
		r = take_field(&t, &c);
		if (r < 0)
			return err_sys(err, -r, "config: field %u", t.tag);
	}
	if (r < 0)
		return err_set(err, EBADMSG, "config: malformed");
	r = check(&c, err);
	if (r < 0)
		return r;
	*ret = c;
	c = (struct config){0};
	return 0;
}

void config_done(struct config *c)
{
	free(c->name);
	free(c->sandbox);
	free(c->workdir);
	free(c->user);
	free(c->trust);
	free(c->trust_hash);
	strv_done(&c->env);
	for (size_t i = 0; i < c->n_mounts; i++)
		mount_done(&c->mounts[i]);
	*c = (struct config){0};
}
