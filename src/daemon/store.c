/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <string.h>

#define APPLICATION_ID 0x436f7665 /* "Cove" */

struct store {
	sqlite3 *db;
	char *path;
};

/* steps[i] takes the schema from version i to i + 1. Never edited, only added
 * to: every store ever written goes through them. */
static const char *const steps[] = {
	"CREATE TABLE sandbox("
	" id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, spec TEXT NOT NULL,"
	" state TEXT NOT NULL, reason TEXT NOT NULL, digest TEXT NOT NULL,"
	" kernel TEXT NOT NULL, engine TEXT NOT NULL,"
	" created_ns INTEGER NOT NULL, started_ns INTEGER NOT NULL,"
	" fresh INTEGER NOT NULL) STRICT;"
	"CREATE TABLE process("
	" owner TEXT NOT NULL, role TEXT NOT NULL, pid INTEGER NOT NULL,"
	" start INTEGER NOT NULL, boot_id TEXT NOT NULL,"
	" PRIMARY KEY(owner, role)) STRICT;"
	"CREATE TABLE event("
	" seq INTEGER PRIMARY KEY, sandbox TEXT NOT NULL,"
	" time_ns INTEGER NOT NULL, type TEXT NOT NULL, text TEXT NOT NULL)"
	" STRICT;"
	"CREATE INDEX event_of ON event(sandbox, seq);",
};

void row_done(struct row *r)
{
	free(r->id);
	free(r->name);
	free(r->spec);
	free(r->state);
	free(r->reason);
	free(r->digest);
	free(r->kernel);
	free(r->engine);
	*r = (struct row){0};
}

/* What SQLite said, in the words of a person who must act on it. */
static int sql_err(const struct store *s, struct err *err, const char *what)
{
	int code = sqlite3_extended_errcode(s->db);

	switch (code & 0xff) {
	case SQLITE_FULL:
		return err_set(err, ENOSPC,
			"%s: the disk that holds %s is full", what, s->path);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return err_set(err, EBADMSG,
			"%s: the store %s is damaged (%s); it was left as it "
			"is: restore it, or move it away to start empty",
			what, s->path, sqlite3_errmsg(s->db));
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(err, EBUSY,
			"%s: another program has the store %s open", what,
			s->path);
	case SQLITE_CONSTRAINT:
		return err_set(err, EEXIST, "%s: already there", what);
	case SQLITE_READONLY:
		return err_set(
			err, EROFS, "%s: %s cannot be written", what, s->path);
	case SQLITE_IOERR: {
		int e = sqlite3_system_errno(s->db);

		if (e == ENOSPC || e == EDQUOT)
			return err_set(err, ENOSPC,
				"%s: the disk that holds %s is full", what,
				s->path);
		return err_sys(err, e > 0 ? e : EIO, "%s: %s", what, s->path);
	}
	default:
		return err_set(err, EIO, "%s: %s: %s", what, s->path,
			sqlite3_errmsg(s->db));
	}
}

static void finalizep(sqlite3_stmt **st)
{
	sqlite3_finalize(*st);
}
#define _cleanup_stmt_ _cleanup_(finalizep)

/* Binds by format: 't' const char *, 'i' int64_t. */
static sqlite3_stmt *prepare(
	struct store *s, const char *sql, const char *fmt, va_list ap)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

	for (int i = 1; r == SQLITE_OK && *fmt; fmt++, i++) {
		if (*fmt == 't')
			r = sqlite3_bind_text(st, i, va_arg(ap, const char *),
				-1, SQLITE_TRANSIENT);
		else
			r = sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
	}
	return r == SQLITE_OK ? TAKE_PTR(st) : NULL;
}

static int run(struct store *s, struct err *err, const char *what,
	const char *sql, const char *fmt, ...)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	va_list ap;

	va_start(ap, fmt);
	st = prepare(s, sql, fmt, ap);
	va_end(ap);
	if (!st || sqlite3_step(st) != SQLITE_DONE)
		return sql_err(s, err, what);
	return 0;
}

static int exec(
	struct store *s, struct err *err, const char *what, const char *sql)
{
	if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return sql_err(s, err, what);
	return 0;
}

/* Ends the transaction that is open, whatever happened in it. */
static int commit(struct store *s, int r, struct err *err, const char *what)
{
	if (r == 0)
		r = exec(s, err, what, "COMMIT");
	/* After some failures SQLite has rolled back by itself. */
	if (r < 0 && !sqlite3_get_autocommit(s->db))
		(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

/* One integer, e.g. of a PRAGMA. */
static int query_int(
	struct store *s, const char *sql, int64_t *ret, struct err *err)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK ||
		sqlite3_step(st) != SQLITE_ROW)
		return sql_err(s, err, "open");
	*ret = sqlite3_column_int64(st, 0);
	return 0;
}

static int quick_check(struct store *s, struct err *err)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	const char *text;

	if (sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &st, NULL) !=
			SQLITE_OK ||
		sqlite3_step(st) != SQLITE_ROW)
		return sql_err(s, err, "open");
	text = (const char *)sqlite3_column_text(st, 0);
	if (text && streq(text, "ok"))
		return 0;
	return err_set(err, EBADMSG,
		"the store %s is damaged (%.200s); it was left as it is: "
		"restore it, or move it away to start empty",
		s->path, text ? text : "no answer");
}

static int upgrade(struct store *s, int64_t version, struct err *err)
{
	int r = exec(s, err, "upgrade", "BEGIN IMMEDIATE");

	if (r < 0)
		return r;
	if (version == 0)
		r = exec(s, err, "create",
			"CREATE TABLE schema(version INTEGER NOT NULL) STRICT;"
			"INSERT INTO schema VALUES(0);"
			"PRAGMA application_id = 0x436f7665;");
	for (; r == 0 && version < (int64_t)ARRAY_SIZE(steps); version++)
		r = exec(s, err, "upgrade", steps[version]);
	if (r == 0)
		r = run(s, err, "upgrade", "UPDATE schema SET version = ?", "i",
			version);
	return commit(s, r, err, "upgrade");
}

/* Is this file ours, whole, and of a version that is known? */
static int check_schema(struct store *s, struct err *err)
{
	int64_t app = 0, tables = 0, version = 0;
	int r;

	r = query_int(s, "PRAGMA application_id", &app, err);
	if (r == 0)
		r = query_int(
			s, "SELECT count(*) FROM sqlite_schema", &tables, err);
	if (r < 0)
		return r;
	if (tables > 0 && app != APPLICATION_ID)
		return err_set(err, EBADMSG,
			"%s is a database of another program; it was left as "
			"it is",
			s->path);
	if (tables > 0)
		r = quick_check(s, err);
	if (r == 0 && tables > 0)
		r = query_int(s, "SELECT version FROM schema", &version, err);
	if (r < 0)
		return r;
	if (version > (int64_t)ARRAY_SIZE(steps))
		return err_set(err, EPROTO,
			"the store %s was written by a newer Cove (schema "
			"%lld, this one knows %zu); it was left as it is",
			s->path, (long long)version, ARRAY_SIZE(steps));
	if (version < (int64_t)ARRAY_SIZE(steps))
		return upgrade(s, version, err);
	return 0;
}

static int forget_other_boots(
	struct store *s, const char *boot_id, struct err *err)
{
	int r = exec(s, err, "open",
		"CREATE TEMP TABLE boot(id TEXT NOT NULL) STRICT;");

	if (r == 0)
		r = run(s, err, "open", "INSERT INTO boot VALUES(?)", "t",
			boot_id);
	if (r == 0)
		r = run(s, err, "open",
			"DELETE FROM process WHERE boot_id != ?", "t", boot_id);
	return r;
}

static int open_db(struct store *s, struct err *err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
		SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;

	if (sqlite3_open_v2(s->path, &s->db, flags, NULL) != SQLITE_OK)
		return sql_err(s, err, "open");
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_busy_timeout(s->db, 1000);
	return 0;
}

/* Only after the check: switching to WAL writes to the file. */
static int set_modes(struct store *s, struct err *err)
{
	/* FULL: a sandbox that was reported as created survives a power cut. */
	return exec(s, err, "open",
		"PRAGMA journal_mode = WAL;"
		"PRAGMA synchronous = FULL;"
		"PRAGMA foreign_keys = ON;"
		"PRAGMA wal_autocheckpoint = 256;"
		"PRAGMA journal_size_limit = 1048576;");
}

static void store_freep(struct store **s)
{
	if (*s)
		store_close(*s);
}

int store_open(const char *state_dir, const char *boot_id, struct store **ret,
	bool *ret_new, struct err *err)
{
	_cleanup_(store_freep) struct store *s = xnew(struct store);
	bool fresh;
	int r;

	s->path = xasprintf("%s/%s", state_dir, STORE_FILE);
	fresh = access(s->path, F_OK) < 0;
	r = open_db(s, err);
	if (r == 0)
		r = check_schema(s, err);
	if (r == 0)
		r = set_modes(s, err);
	if (r == 0)
		r = forget_other_boots(s, boot_id, err);
	if (r < 0)
		return r;
	*ret_new = fresh;
	*ret = TAKE_PTR(s);
	return 0;
}

void store_close(struct store *s)
{
	(void)sqlite3_close(s->db);
	free(s->path);
	free(s);
}

int store_insert(struct store *s, const struct row *r, struct err *err)
{
	return run(s, err, "save the sandbox",
		"INSERT INTO sandbox(id, name, spec, state, reason, digest,"
		" kernel, engine, created_ns, started_ns, fresh)"
		" VALUES(?,?,?,?,?,?,?,?,?,?,?)",
		"ttttttttiii", r->id, r->name, r->spec, r->state, r->reason,
		r->digest, r->kernel, r->engine, (int64_t)r->created_ns,
		(int64_t)r->started_ns, (int64_t)r->fresh);
}

int store_update(struct store *s, const struct row *r, struct err *err)
{
	return run(s, err, "save the sandbox",
		"UPDATE sandbox SET state = ?, reason = ?, digest = ?,"
		" kernel = ?, engine = ?, started_ns = ?, fresh = ?,"
		" spec = ? WHERE id = ?",
		"tttttiitt", r->state, r->reason, r->digest, r->kernel,
		r->engine, (int64_t)r->started_ns, (int64_t)r->fresh, r->spec,
		r->id);
}

int store_delete(struct store *s, const char *id, struct err *err)
{
	int r = exec(s, err, "remove the sandbox", "BEGIN IMMEDIATE");

	if (r < 0)
		return r;
	r = run(s, err, "remove the sandbox",
		"DELETE FROM sandbox WHERE id = ?", "t", id);
	if (r == 0)
		r = store_proc_clear(s, id, err);
	if (r == 0)
		r = run(s, err, "remove the sandbox",
			"DELETE FROM event WHERE sandbox = ?", "t", id);
	return commit(s, r, err, "remove the sandbox");
}

static char *column(sqlite3_stmt *st, int i)
{
	const char *text = (const char *)sqlite3_column_text(st, i);

	return xstrdup(text ? text : "");
}

int store_each(struct store *s, store_row_fn *fn, void *arg, struct err *err)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r, step;

	if (sqlite3_prepare_v2(s->db,
		    "SELECT id, name, spec, state, reason, digest, kernel,"
		    " engine, created_ns, started_ns, fresh FROM sandbox"
		    " ORDER BY created_ns",
		    -1, &st, NULL) != SQLITE_OK)
		return sql_err(s, err, "read the sandboxes");
	while ((step = sqlite3_step(st)) == SQLITE_ROW) {
		_cleanup_(row_done) struct row row = {
			.id = column(st, 0),
			.name = column(st, 1),
			.spec = column(st, 2),
			.state = column(st, 3),
			.reason = column(st, 4),
			.digest = column(st, 5),
			.kernel = column(st, 6),
			.engine = column(st, 7),
			.created_ns = (uint64_t)sqlite3_column_int64(st, 8),
			.started_ns = (uint64_t)sqlite3_column_int64(st, 9),
			.fresh = sqlite3_column_int64(st, 10) != 0,
		};

		r = fn(arg, &row, err);
		if (r < 0)
			return r;
	}
	return step == SQLITE_DONE ? 0 : sql_err(s, err, "read the sandboxes");
}

int store_proc_put(struct store *s, const char *owner, const char *role,
	const struct proc_id *id, struct err *err)
{
	return run(s, err, "record a process",
		"INSERT OR REPLACE INTO process(owner, role, pid, start,"
		" boot_id) SELECT ?, ?, ?, ?, id FROM boot",
		"ttii", owner, role, (int64_t)id->pid, (int64_t)id->start);
}

int store_proc_clear(struct store *s, const char *owner, struct err *err)
{
	return run(s, err, "forget a process",
		"DELETE FROM process WHERE owner = ?", "t", owner);
}

int store_proc_clear_role(struct store *s, const char *role, struct err *err)
{
	return run(s, err, "forget processes",
		"DELETE FROM process WHERE role = ?", "t", role);
}

int store_proc_each(
	struct store *s, store_proc_fn *fn, void *arg, struct err *err)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int step;

	if (sqlite3_prepare_v2(s->db,
		    "SELECT owner, role, pid, start FROM process", -1, &st,
		    NULL) != SQLITE_OK)
		return sql_err(s, err, "read the processes");
	while ((step = sqlite3_step(st)) == SQLITE_ROW) {
		struct proc_id id = {
			.pid = (pid_t)sqlite3_column_int64(st, 2),
			.start = (uint64_t)sqlite3_column_int64(st, 3),
		};

		fn(arg, (const char *)sqlite3_column_text(st, 0),
			(const char *)sqlite3_column_text(st, 1), &id);
	}
	return step == SQLITE_DONE ? 0 : sql_err(s, err, "read the processes");
}

int store_event_put(
	struct store *s, const char *id, const struct event *e, struct err *err)
{
	int r = exec(s, err, "save an event", "BEGIN IMMEDIATE");

	if (r < 0)
		return r;
	r = run(s, err, "save an event",
		"INSERT INTO event(sandbox, time_ns, type, text)"
		" VALUES(?,?,?,?)",
		"titt", id, (int64_t)e->time_ns, e->type, e->text);
	/* A guest can cause events: the oldest make room. */
	if (r == 0)
		r = run(s, err, "save an event",
			"DELETE FROM event WHERE sandbox = ?1 AND seq <= "
			"(SELECT seq FROM event WHERE sandbox = ?1"
			" ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
			"ti", id, (int64_t)STORE_EVENTS_MAX);
	return commit(s, r, err, "save an event");
}

int store_event_each(struct store *s, const char *id, unsigned max,
	store_event_fn *fn, void *arg, struct err *err)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int step;

	if (sqlite3_prepare_v2(s->db,
		    "SELECT * FROM (SELECT seq, time_ns, type, text FROM event"
		    " WHERE sandbox = ?1 ORDER BY seq DESC LIMIT ?2)"
		    " ORDER BY seq",
		    -1, &st, NULL) != SQLITE_OK ||
		sqlite3_bind_text(st, 1, id, -1, SQLITE_TRANSIENT) !=
			SQLITE_OK ||
		sqlite3_bind_int64(st, 2, max) != SQLITE_OK)
		return sql_err(s, err, "read the events");
	while ((step = sqlite3_step(st)) == SQLITE_ROW) {
		struct event e = {
			.time_ns = (uint64_t)sqlite3_column_int64(st, 1),
			.type = (const char *)sqlite3_column_text(st, 2),
			.text = (const char *)sqlite3_column_text(st, 3),
		};

		fn(arg, &e);
	}
	return step == SQLITE_DONE ? 0 : sql_err(s, err, "read the events");
}
