/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/network.h"
#include "cli/cli.h"
#include "cli/text.h"
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

static int bad(const char *text, const char *why, struct err *err)
{
	return err_set(err, EUSAGE,
		"'%.80s': %s; write PORT, HOST_PORT:PORT or "
		"ADDRESS:HOST_PORT:PORT, and /udp behind it for UDP",
		text, why);
}

/* A port number that ends at end; 0 only where any port will do. */
static bool parse_port(const char *p, const char *end, bool zero, uint64_t *ret)
{
	uint64_t v = 0;

	if (p == end)
		return zero ? *ret = 0, true : false;
	for (; p < end; p++) {
		if (*p < '0' || *p > '9' || v > 65535)
			return false;
		v = 10 * v + (uint64_t)(*p - '0');
	}
	*ret = v;
	return v <= 65535 && (v || zero);
}

/* "ADDRESS:HOST_PORT" in front of the guest's port. */
static int parse_host(const char *text, const char *end, char address[46],
	uint64_t *ret_port, struct err *err)
{
	const char *colon = memrchr(text, ':', (size_t)(end - text));
	const char *port = colon ? colon + 1 : text;
	const char *from = text;
	size_t len = colon ? (size_t)(colon - text) : 0;
	uint8_t raw[16];

	if (!parse_port(port, end, true, ret_port))
		return bad(text, "no port of the host", err);
	if (len >= 2 && from[0] == '[' && from[len - 1] == ']') {
		from++;
		len -= 2;
	}
	if (len > 45)
		return bad(text, "no address", err);
	memcpy(address, from, len);
	address[len] = '\0';
	if (len && inet_pton(AF_INET, address, raw) != 1 &&
		inet_pton(AF_INET6, address, raw) != 1)
		return bad(text, "an address is in numbers", err);
	return 0;
}

int publish_parse(const char *text, json_t **ret, struct err *err)
{
	size_t len = strcspn(text, "/");
	const char *end = text + len;
	const char *colon = memrchr(text, ':', len);
	uint64_t host = 0, guest;
	char address[46] = "";
	int r = 0;

	if (*end && !streq(end, "/tcp") && !streq(end, "/udp"))
		return bad(
			text, "only TCP and UDP ports can be published", err);
	if (!parse_port(colon ? colon + 1 : text, end, false, &guest))
		return bad(text, "no port of the sandbox", err);
	if (colon)
		r = parse_host(text, colon, address, &host, err);
	if (r == 0)
		*ret = json_pack("{s:s, s:I, s:I, s:s}", "address", address,
			"host_port", (json_int_t)host, "port",
			(json_int_t)guest, "protocol",
			streq(end, "/udp") ? "udp" : "tcp");
	return r;
}

int publish_parse_all(const struct opt_strs *all, json_t **ret, struct err *err)
{
	json_t *list = json_array();

	for (size_t i = 0; i < all->n; i++) {
		json_t *one;
		int r = publish_parse(all->v[i], &one, err);

		if (r < 0) {
			json_decref(list);
			return r;
		}
		json_array_append_new(list, one);
	}
	*ret = list;
	return 0;
}

static int one_rate(const char *text, uint64_t *ret, struct err *err)
{
	size_t len = strlen(text);
	bool bits = len > 3 && streq(text + len - 3, "bit");
	static const struct {
		char unit;
		uint64_t factor;
	} units[] = {{'k', 1000}, {'m', 1000000}, {'g', 1000000000}};
	_cleanup_free_ char *number = xstrndup(text, bits ? len - 3 : len);
	uint64_t factor = 1, v;
	size_t n = strlen(number);

	if (!bits)
		return parse_size(text, ret, err);
	for (size_t i = 0; n > 1 && i < ARRAY_SIZE(units); i++)
		if ((number[n - 1] | 0x20) == units[i].unit)
			factor = units[i].factor;
	if (factor > 1)
		number[n - 1] = '\0';
	if (parse_u64(number, &v, err) < 0 || !mul_ok(v, factor, &v))
		return err_set(err, EINVAL,
			"'%.40s' is no rate; write 500k, 10m or 8mbit", text);
	*ret = v / 8;
	return 0;
}

int rate_parse(
	const char *text, uint64_t *ret_up, uint64_t *ret_down, struct err *err)
{
	const char *slash = strchr(text, '/');
	_cleanup_free_ char *first =
		xstrndup(text, slash ? (size_t)(slash - text) : strlen(text));
	uint64_t up, down;
	int r = one_rate(first, &up, err);

	r = r ? r : one_rate(slash ? slash + 1 : first, &down, err);
	if (r < 0)
		return err_wrap(err, "rate");
	*ret_up = up;
	*ret_down = down;
	return 0;
}

char *publish_port(const json_t *entry)
{
	bool udp = streq(jstr(entry, "protocol"), "udp");

	return xasprintf(
		"%" PRIu64 "%s", ju64(entry, "port"), udp ? "/udp" : "");
}

char *publish_text(const json_t *entry)
{
	_cleanup_free_ char *port = publish_port(entry);
	const char *address = jstr(entry, "address");
	bool v6 = strchr(address, ':') != NULL;
	uint64_t host = ju64(entry, "host_port");

	if (!host)
		return xasprintf("%s%s%s, any port -> %s", v6 ? "[" : "",
			address, v6 ? "]" : "", port);
	return xasprintf("%s%s%s:%" PRIu64 " -> %s", v6 ? "[" : "", address,
		v6 ? "]" : "", host, port);
}
