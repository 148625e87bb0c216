/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api - the routes of docs/api.md: one table, one handler each. A handler gets
 * a request whose path and parameters were decoded and whose body was parsed;
 * it checks the rest and answers through conn.h. Clients are hostile.
 */
#ifndef DAEMON_API_H
#define DAEMON_API_H

#include "daemon/conn.h"

#define API_VERSION 1
#define API_PATH_MAX 512u

struct request {
	struct conn *c;
	struct daemon *d;
	const struct http_head *head;
	char name[256]; /* the {name} of the route, "" without one */
	json_t *body;   /* borrowed; NULL when there was none */
};

/* The request of a connection that is CONN_BUSY is complete. */
void api_dispatch(struct conn *c);

/* api_info.c */
void api_version(struct request *rq);
void api_host(struct request *rq);
void api_templates(struct request *rq);
void api_prune(struct request *rq);
void api_daemon_stop(struct request *rq);
/* api_sandbox.c */
void api_list(struct request *rq);
void api_get(struct request *rq);
void api_create(struct request *rq);
void api_start(struct request *rq);
void api_stop(struct request *rq);
void api_delete(struct request *rq);
void api_exec(struct request *rq);
/* api_template.c */
void api_template_make(struct request *rq);
void api_template_get(struct request *rq);
void api_template_delete(struct request *rq);
void api_template_save(struct request *rq);
/* registries.c */
void api_registries(struct request *rq);
/* What cove-image pull --credential reads; NULL in *ret: there is none. */
int registry_credential(
	struct daemon *d, const char *ref, char **ret, struct err *err);
void api_registry_login(struct request *rq);
void api_registry_logout(struct request *rq);
/* api_logs.c */
void api_events(struct request *rq);
void api_logs(struct request *rq);

/* api_ports.c */
void api_ports_get(struct request *rq);
void api_ssh_agent(struct request *rq);
void api_ports_change(struct request *rq);

/* api_policy.c */
void api_policy_get(struct request *rq);
void api_policy_add(struct request *rq);
void api_policy_remove(struct request *rq);
void api_policy_preset(struct request *rq);
void api_policy_reset(struct request *rq);
void api_policy_check(struct request *rq);
/* api_policy_log.c */
void api_policy_log(struct request *rq);
void api_policy_verify(struct request *rq);
/* api_ask.c */
void api_ask_pending(struct request *rq);
void api_ask_answer(struct request *rq);

/* api_secret.c */
void api_services(struct request *rq);
void api_secret_list(struct request *rq);
void api_secret_set(struct request *rq);
void api_secret_remove(struct request *rq);

/* The sandbox a request names; NULL after a 404. */
struct sandbox;
struct sandbox *api_sandbox(struct request *rq);
/* The one that a body or "sandbox=" names: 0, 1 none was named, -1 after a
 * refusal. */
int api_scope(struct request *rq, const char *name, struct sandbox **ret);
int api_query_scope(struct request *rq, struct sandbox **ret);
/* Value of a boolean parameter: "1"/"true", "0"/"false"/absent. 0 or 400. */
int api_flag(struct request *rq, const char *name, bool *ret);
/* detail: with events and sizes that must be looked up. */
json_t *api_sandbox_json(struct sandbox *sb, bool detail);
json_t *api_events_json(struct sandbox *sb, unsigned max);

#endif
