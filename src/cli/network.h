/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network - what a person writes about a sandbox's network on the command
 * line: published ports and rates, as the JSON and the numbers of the API.
 */
#ifndef CLI_NETWORK_H
#define CLI_NETWORK_H

#include "base/opt.h"
#include <jansson.h>

/*
 * "[[ADDRESS:]HOST_PORT:]PORT[/tcp|/udp]", an IPv6 address in brackets; HOST_PORT
 * may be empty or 0: any that is free. -EUSAGE with text.
 */
int publish_parse(const char *text, json_t **ret, struct err *err);
/* All of them as an array; a new reference. */
int publish_parse_all(
	const struct opt_strs *all, json_t **ret, struct err *err);
/* "UP[/DOWN]" a second: 500k, 10m (bytes), 8mbit (bits, decimal). UP holds for
 * both when DOWN is missing. */
int rate_parse(const char *text, uint64_t *ret_up, uint64_t *ret_down,
	struct err *err);
/* "80" or "53/udp" of an entry of the API; heap. */
char *publish_port(const json_t *entry);
/* "127.0.0.1:8080 -> 80"; heap. */
char *publish_text(const json_t *entry);

#endif
