/* SPDX-License-Identifier: Apache-2.0 */
/* Published ports as JSON: what a client or our own file says. */
#include "daemon/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

struct raw {
	char *address;
	uint32_t host_port;
	uint32_t port;
	uint32_t last;
	char *protocol;
};

static const struct field fields[] = {
	{"address", FIELD_STR, offsetof(struct raw, address), 0, 45},
	{"host_port", FIELD_U32, offsetof(struct raw, host_port), 0, 65535},
	{"port", FIELD_U32, offsetof(struct raw, port), 1, 65535,
		.required = true},
	{"last", FIELD_U32, offsetof(struct raw, last), 0, 65535},
	{"protocol", FIELD_STR, offsetof(struct raw, protocol), 3, 3},
};

static int check(const struct raw *raw, struct err *err)
{
	uint8_t a[16];

	if (raw->protocol && !streq(raw->protocol, "tcp") &&
		!streq(raw->protocol, "udp"))
		return err_set(err, EINVAL, "'protocol' must be tcp or udp");
	if (!raw->address || !*raw->address ||
		inet_pton(AF_INET, raw->address, a) == 1 ||
		inet_pton(AF_INET6, raw->address, a) == 1)
		return 0;
	return err_set(err, EINVAL, "'%.45s' is not an address of this host",
		raw->address);
}

static int read_one(json_t *j, struct publish *ret, struct err *err)
{
	struct raw raw = {0};
	int r = fields_read(j, fields, ARRAY_SIZE(fields), &raw, err);

	r = r ? r : check(&raw, err);
	if (r == 0) {
		*ret = (struct publish){.host_port = (uint16_t)raw.host_port,
			.port = (uint16_t)raw.port,
			.last = (uint16_t)raw.last,
			.udp = raw.protocol && streq(raw.protocol, "udp")};
		if (raw.address)
			memcpy(ret->address, raw.address,
				strlen(raw.address) + 1);
	}
	free(raw.address);
	free(raw.protocol);
	return r;
}

int publish_read(
	json_t *array, struct publish **ret, size_t *ret_n, struct err *err)
{
	size_t n = json_array_size(array);
	_cleanup_free_ struct publish *p = NULL;

	if (n > SPEC_PORTS_MAX)
		return err_set(err, EINVAL, "more than %u published ports",
			SPEC_PORTS_MAX);
	p = xcalloc(n + 1, sizeof(*p));
	for (size_t i = 0; i < n; i++)
		if (read_one(json_array_get(array, i), &p[i], err) < 0)
			return err_wrap(err, "published port %zu", i + 1);
	*ret = TAKE_PTR(p);
	*ret_n = n;
	return 0;
}

json_t *publish_json(const struct publish *p, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list,
			json_pack("{s:s, s:i, s:i, s:i, s:s}", "address",
				p[i].address, "host_port", p[i].host_port,
				"port", p[i].port, "last", p[i].last,
				"protocol", publish_protocol(&p[i])));
	return list;
}
