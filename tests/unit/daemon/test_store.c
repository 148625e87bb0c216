/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

/* For the steps of the schema. */
#include "daemon/store.c"

#include <stdio.h>
#include <sys/stat.h>

struct place {
	char dir[64];
	char db[96];
};

static int setup(void **state)
{
	struct place *p = xnew(struct place);

	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/cove-store-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	(void)snprintf(p->db, sizeof(p->db), "%s/" STORE_FILE, p->dir);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	char path[128];

	(void)unlink(p->db);
	(void)snprintf(path, sizeof(path), "%s-wal", p->db);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s-shm", p->db);
	(void)unlink(path);
	assert_int_equal(rmdir(p->dir), 0);
	free(p);
	return 0;
}

static struct store *must_open(struct place *p, const char *boot, bool new)
{
	struct store *s = NULL;
	struct err err = {0};
	bool is_new = !new;

	if (store_open(p->dir, boot, &s, &is_new, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(is_new, new);
	return s;
}

static struct row sample(const char *id, const char *name)
{
	return (struct row){
		.id = xstrdup(id),
		.name = xstrdup(name),
		.spec = xstrdup("{\"a\":\"\xc3\xa4'; DROP TABLE sandbox;\"}"),
		.state = xstrdup("creating"),
		.reason = xstrdup(""),
		.digest = xstrdup(""),
		.kernel = xstrdup(""),
		.engine = xstrdup("{}"),
		.created_ns = 17,
		.fresh = true,
	};
}

static int take(void *arg, struct row *r, struct err *err)
{
	row_done(arg);
	*(struct row *)arg = *r;
	*r = (struct row){0};
	return 0;
}

static void count_row(struct store *s, size_t want)
{
	int64_t n = -1;

	assert_int_equal(
		query_int(s, "SELECT count(*) FROM sandbox", &n, NULL), 0);
	assert_int_equal(n, want);
}

static void test_rows(void **state)
{
	struct store *s = must_open(*state, "boot", true);
	struct row a = sample("id-a", "name"), b = sample("id-b", "name");
	struct row got = {0};
	struct err err = {0};

	assert_int_equal(store_insert(s, &a, NULL), 0);
	assert_int_equal(store_insert(s, &b, &err), -EEXIST);
	free(a.state);
	a.state = xstrdup("running");
	a.fresh = false;
	a.started_ns = UINT64_C(1) << 62;
	assert_int_equal(store_update(s, &a, NULL), 0);
	store_close(s);
	s = must_open(*state, "boot", false);
	assert_int_equal(store_each(s, take, &got, NULL), 0);
	assert_string_equal(got.id, "id-a");
	assert_string_equal(got.spec, a.spec);
	assert_string_equal(got.state, "running");
	assert_int_equal(got.created_ns, 17);
	assert_true(got.started_ns == UINT64_C(1) << 62);
	assert_false(got.fresh);
	assert_int_equal(store_delete(s, "id-a", NULL), 0);
	count_row(s, 0);
	assert_int_equal(store_insert(s, &b, NULL), 0);
	row_done(&a);
	row_done(&b);
	row_done(&got);
	store_close(s);
}

struct seen {
	unsigned n;
	struct proc_id last;
};

static void see_proc(void *arg, const char *owner, const char *role,
	const struct proc_id *id)
{
	struct seen *s = arg;

	s->n++;
	s->last = *id;
}

static unsigned procs(struct store *s, struct seen *ret)
{
	*ret = (struct seen){0};
	assert_int_equal(store_proc_each(s, see_proc, ret, NULL), 0);
	return ret->n;
}

static void test_processes_belong_to_a_boot(void **state)
{
	struct store *s = must_open(*state, "boot-1", true);
	const struct proc_id id = {77, UINT64_C(123456789012)};
	struct seen seen;

	assert_int_equal(store_proc_put(s, "a", "engine", &id, NULL), 0);
	assert_int_equal(store_proc_put(s, "a", "engine", &id, NULL), 0);
	assert_int_equal(store_proc_put(s, "a", "devices", &id, NULL), 0);
	assert_int_equal(store_proc_put(s, "j", "job", &id, NULL), 0);
	assert_int_equal(procs(s, &seen), 3);
	assert_int_equal(seen.last.pid, 77);
	assert_true(seen.last.start == id.start);
	assert_int_equal(store_proc_clear(s, "a", NULL), 0);
	assert_int_equal(procs(s, &seen), 1);
	assert_int_equal(store_proc_put(s, "a", "engine", &id, NULL), 0);
	assert_int_equal(store_proc_clear_role(s, "job", NULL), 0);
	assert_int_equal(procs(s, &seen), 1);
	store_close(s);
	/* The host was started anew: that pid is somebody else. */
	s = must_open(*state, "boot-2", false);
	assert_int_equal(procs(s, &seen), 0);
	store_close(s);
}

static void count_event(void *arg, const struct event *e)
{
	struct seen *s = arg;

	s->n++;
	s->last.start = e->time_ns;
	assert_string_equal(e->type, "oom");
}

static void test_events_are_bounded(void **state)
{
	struct store *s = must_open(*state, "boot", true);
	struct event e = {.type = "oom", .text = "x"};
	struct seen seen = {0};

	(void)exec(s, NULL, "test", "PRAGMA synchronous = OFF");
	for (unsigned i = 1; i <= STORE_EVENTS_MAX + 20; i++) {
		e.time_ns = i;
		assert_int_equal(store_event_put(s, "a", &e, NULL), 0);
		if (i % 50 == 0)
			assert_int_equal(store_event_put(s, "b", &e, NULL), 0);
	}
	assert_int_equal(
		store_event_each(s, "a", 9999, count_event, &seen, NULL), 0);
	assert_int_equal(seen.n, STORE_EVENTS_MAX);
	assert_int_equal(seen.last.start, STORE_EVENTS_MAX + 20);
	seen = (struct seen){0};
	assert_int_equal(
		store_event_each(s, "b", 3, count_event, &seen, NULL), 0);
	assert_int_equal(seen.n, 3);
	assert_int_equal(seen.last.start, 500);
	store_close(s);
}

static void spoil(struct place *p, off_t at, const char *bytes, size_t len)
{
	int fd = open(p->db, O_RDWR | O_CREAT, 0600);

	assert_int_equal(pwrite(fd, bytes, len, at), len);
	close(fd);
}

static char *slurp(struct place *p, size_t *ret_len)
{
	char *data = NULL;
	ssize_t n = fd_slurp_at(AT_FDCWD, p->db, 1 << 20, &data);

	assert_true(n >= 0);
	*ret_len = (size_t)n;
	return data;
}

/* Refused, and not a byte of it is changed. */
static void refused(struct place *p, int code, const char *says)
{
	struct store *s = NULL;
	struct err err = {0};
	size_t n1, n2;
	bool is_new;
	_cleanup_free_ char *before = slurp(p, &n1);
	_cleanup_free_ char *after = NULL;

	if (store_open(p->dir, "boot", &s, &is_new, &err) != -code)
		fail_msg("expected %d, got %s", code, err.text);
	if (!strstr(err.text, says) || !strstr(err.text, p->db))
		fail_msg("%s", err.text);
	after = slurp(p, &n2);
	assert_int_equal(n1, n2);
	assert_memory_equal(before, after, n1);
}

static void fill(struct place *p)
{
	struct store *s = must_open(p, "boot", true);
	struct row r = sample("id", "name");

	for (int i = 0; i < 50; i++) {
		free(r.id);
		free(r.name);
		r.id = xasprintf("id-%d", i);
		r.name = xasprintf("name-%d", i);
		assert_int_equal(store_insert(s, &r, NULL), 0);
	}
	row_done(&r);
	store_close(s);
}

static void test_garbage_is_refused(void **state)
{
	struct place *p = *state;

	spoil(p, 0, "this is no database, it is a letter to my aunt", 46);
	refused(p, EBADMSG, "damaged");
}

static void test_damage_is_refused(void **state)
{
	struct place *p = *state;
	char junk[3000];

	fill(p);
	memset(junk, 0x5a, sizeof(junk));
	spoil(p, 3 * 4096, junk, sizeof(junk));
	refused(p, EBADMSG, "damaged");
}

static void test_a_cut_file_is_refused(void **state)
{
	struct place *p = *state;

	fill(p);
	assert_int_equal(truncate(p->db, 5000), 0);
	refused(p, EBADMSG, "damaged");
}

static void test_a_newer_one_is_refused(void **state)
{
	struct place *p = *state;
	struct store *s = must_open(p, "boot", true);

	assert_int_equal(
		exec(s, NULL, "t", "UPDATE schema SET version = 1000"), 0);
	store_close(s);
	refused(p, EPROTO, "newer");
}

static void test_a_foreign_one_is_refused(void **state)
{
	struct place *p = *state;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(p->db, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db, "CREATE TABLE sandbox(x)", NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
	refused(p, EBADMSG, "another program");
}

/* Every version that ever was is taken to the present one. */
static void test_upgrades(void **state)
{
	struct place *p = *state;

	for (size_t version = 1; version <= ARRAY_SIZE(steps); version++) {
		_cleanup_free_ char *set =
			xasprintf("INSERT INTO schema VALUES(%zu)", version);
		struct store *s;
		sqlite3 *db;

		(void)unlink(p->db);
		assert_int_equal(sqlite3_open(p->db, &db), SQLITE_OK);
		assert_int_equal(
			sqlite3_exec(db,
				"PRAGMA application_id = 0x436f7665;"
				"CREATE TABLE schema(version INTEGER NOT NULL) STRICT;",
				NULL, NULL, NULL),
			SQLITE_OK);
		for (size_t i = 0; i < version; i++)
			assert_int_equal(
				sqlite3_exec(db, steps[i], NULL, NULL, NULL),
				SQLITE_OK);
		assert_int_equal(
			sqlite3_exec(db, set, NULL, NULL, NULL), SQLITE_OK);
		sqlite3_close(db);
		s = must_open(p, "boot", false);
		count_row(s, 0);
		store_close(s);
	}
}

/* A write that does not fit is told, and what was there stays. */
static void test_a_full_disk(void **state)
{
	struct place *p = *state;
	struct store *s = must_open(p, "boot", true);
	struct row r = sample("id-0", "name-0");
	struct err err = {0};
	int code = 0;
	int64_t kept = 0;

	assert_int_equal(exec(s, NULL, "t", "PRAGMA max_page_count = 20"), 0);
	for (int i = 0; i < 2000 && code == 0; i++) {
		free(r.id);
		free(r.name);
		r.id = xasprintf("id-%d", i);
		r.name = xasprintf("name-%d", i);
		code = store_insert(s, &r, &err);
		kept += code == 0;
	}
	assert_int_equal(code, -ENOSPC);
	assert_non_null(strstr(err.text, "full"));
	count_row(s, (size_t)kept);
	/* Removing still works, and makes room. */
	assert_int_equal(store_delete(s, "id-0", NULL), 0);
	count_row(s, (size_t)kept - 1);
	row_done(&r);
	store_close(s);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_rows),
		T(test_processes_belong_to_a_boot),
		T(test_events_are_bounded),
		T(test_garbage_is_refused),
		T(test_damage_is_refused),
		T(test_a_cut_file_is_refused),
		T(test_a_newer_one_is_refused),
		T(test_a_foreign_one_is_refused),
		T(test_upgrades),
		T(test_a_full_disk),
	};

	return cmocka_run_group_tests_name("daemon/store", tests, NULL, NULL);
}
