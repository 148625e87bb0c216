/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store - what must survive coved: sandboxes, their processes, their events.
 * One SQLite file (WAL, STRICT tables, a schema version); this is the only
 * place that includes SQLite. Every change is durable when the call returns;
 * callers write before they act. Loop thread only. A file that is damaged,
 * foreign or from a newer Cove is refused and left as it is.
 */
#ifndef DAEMON_STORE_H
#define DAEMON_STORE_H

#include "base/fd.h"

#define STORE_FILE "cove.db"
#define STORE_EVENTS_MAX 500u /* kept per sandbox, the newest */

struct store;

/* One sandbox as it is kept. Strings are owned by whoever holds the row. */
struct row {
	char *id;
	char *name;
	char *spec; /* JSON, see spec.h */
	char *state;
	char *reason;
	char *digest; /* of the template in use; "" before it is known */
	char *kernel; /* as the guest reported it */
	char *engine; /* JSON: what the API shows as "engine" */
	uint64_t created_ns;
	uint64_t started_ns;
	bool fresh; /* never was ready: a failed create removes it */
};

void row_done(struct row *r);

struct event {
	uint64_t time_ns;
	const char *type; /* borrowed */
	const char *text;
};

/*
 * Opens or creates state_dir/cove.db. *ret_new says that it did not exist.
 * boot_id: processes recorded under another boot of the host are forgotten.
 */
int store_open(const char *state_dir, const char *boot_id, struct store **ret,
	bool *ret_new, struct err *err);
void store_close(struct store *s);

/* -EEXIST when the name is taken; -ENOSPC when the disk is full. */
int store_insert(struct store *s, const struct row *r, struct err *err);
/* Everything but id, name, spec and created_ns. */
int store_update(struct store *s, const struct row *r, struct err *err);
/* With its processes and events. */
int store_delete(struct store *s, const char *id, struct err *err);
typedef int store_row_fn(void *arg, struct row *r, struct err *err);
/* fn takes the row over (TAKE what it keeps). */
int store_each(struct store *s, store_row_fn *fn, void *arg, struct err *err);

/* Processes: owner is a sandbox id or a job's name, role is unique in it. */
int store_proc_put(struct store *s, const char *owner, const char *role,
	const struct proc_id *id, struct err *err);
int store_proc_clear(struct store *s, const char *owner, struct err *err);
int store_proc_clear_role(struct store *s, const char *role, struct err *err);
typedef void store_proc_fn(void *arg, const char *owner, const char *role,
	const struct proc_id *id);
int store_proc_each(
	struct store *s, store_proc_fn *fn, void *arg, struct err *err);

int store_event_put(struct store *s, const char *id, const struct event *e,
	struct err *err);
typedef void store_event_fn(void *arg, const struct event *e);
/* The newest max events, oldest first. */
int store_event_each(struct store *s, const char *id, unsigned max,
	store_event_fn *fn, void *arg, struct err *err);

#endif
