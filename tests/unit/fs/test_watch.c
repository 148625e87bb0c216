/* SPDX-License-Identifier: Apache-2.0 */
/* Long validities, and how they are taken back. The agent is played here. */
#include "client.h"

#include "base/fd.h"
#include "fs/watch.h"
#include "wire/share.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum manner { GOOD, SILENT, LAZY };

struct scene {
	struct world w;
	struct loop loop;
	struct watch stream;
	struct timer stop;
	unsigned quiet; /* looks at the loop that saw nothing to do */
	int sock;       /* the agent's end */
	struct buf in;
	enum manner manner;
	uint64_t frames;
	char paths[4096]; /* all that were revoked, each followed by "\n" */
	unsigned n_paths;
	unsigned settled;
	struct fuse_attr seen; /* what the agent's last look-up brought */
};

static void agent_path(struct scene *s, const struct tlv *t)
{
	size_t used = strlen(s->paths);

	s->n_paths++;
	if (used + t->len + 2 < sizeof(s->paths))
		snprintf(s->paths + used, sizeof(s->paths) - used, "%.*s\n",
			(int)t->len, (const char *)t->p);
	if (s->manner == GOOD) {
		char path[4096], *name;
		struct fuse_entry_out e;

		snprintf(path, sizeof(path), "/%.*s", (int)t->len,
			(const char *)t->p);
		name = strrchr(path, '/');
		*name++ = 0;
		if (lookup(&s->w.c,
			    path[0] ? walk(&s->w.c, path + 1) : FUSE_ROOT_ID,
			    name, &e) == 0)
			s->seen = e.attr;
	}
}

static void agent_frame(struct scene *s, const struct frame *f)
{
	struct tlv_iter it = tlv_iter(f->p, f->len);
	uint8_t reply[FRAME_HEAD + TLV_HEAD + 8];
	struct buf body;
	uint64_t seq = 0;
	struct tlv t;

	assert_int_equal(f->type, SF_REVOKE);
	s->frames++;
	while (tlv_next(&it, &t) == 1) {
		if (t.tag == ST_SEQ)
			assert_int_equal(tlv_u64(&t, &seq), 0);
		else if (t.tag == ST_PATH)
			agent_path(s, &t);
	}
	assert_int_equal(seq, s->frames);
	if (s->manner == SILENT)
		return;
	buf_init(&body, 64);
	assert_int_equal(tlv_put_u64(&body, ST_SEQ, seq), 0);
	frame_head(reply, SF_REVOKED, (uint32_t)buf_len(&body));
	memcpy(reply + FRAME_HEAD, buf_head(&body), buf_len(&body));
	assert_int_equal(
		fd_write_all(s->sock, reply, FRAME_HEAD + buf_len(&body)), 0);
	buf_done(&body);
}

static void on_stream(struct loop *l, struct watch *wt, uint32_t events)
{
	struct scene *s = container_of(wt, struct scene, stream);
	struct frame f;

	if (buf_read_fd(&s->in, s->sock, FRAME_MAX) <= 0) {
		loop_unwatch(l, wt);
		return;
	}
	while (frame_peek(&s->in, &f) == 1) {
		agent_frame(s, &f);
		buf_consume(&s->in, FRAME_HEAD + f.len);
	}
}

/* Longer than events are gathered: what is under way shows until then. */
#define QUIET_MS (GATHER_MS + 2)

static void on_stop(struct loop *l, struct timer *t)
{
	struct scene *s = container_of(t, struct scene, stop);
	struct pollfd p = {.fd = l->epfd, .events = POLLIN};

	/* Late timers are all due at once: then this is not the end. */
	s->quiet = poll(&p, 1, 0) > 0 ? 0 : s->quiet + 1;
	if (s->quiet < 3)
		loop_timer(l, t, QUIET_MS, on_stop);
	else
		loop_stop(l, 0);
}

/* Lets everything happen that is going to happen. */
static void spin(struct scene *s, uint64_t ms)
{
	s->quiet = 0;
	loop_timer(&s->loop, &s->stop, ms, on_stop);
	s->loop.stopped = false;
	assert_int_equal(loop_run(&s->loop), 0);
}

static void agent_connect(struct scene *s)
{
	int sv[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	s->sock = sv[1];
	s->frames = 0;
	buf_clear(&s->in);
	assert_int_equal(
		loop_watch(&s->loop, &s->stream, sv[1], EPOLLIN, on_stream), 0);
	fs_share(s->w.fs, sv[0]);
}

static void agent_gone(struct scene *s)
{
	loop_unwatch(&s->loop, &s->stream);
	closep(&s->sock);
}

static int open_with(void **state, const struct fs_config *config)
{
	struct scene *s = xnew(struct scene);
	struct err err = {0};

	assert_int_equal(loop_init(&s->loop), 0);
	buf_init(&s->in, 4 * FRAME_MAX);
	world_open(&s->w, config);
	assert_int_equal(fs_watch(s->w.fs, &s->loop, &err), 0);
	agent_connect(s);
	*state = s;
	return 0;
}

static int open_scene(void **state)
{
	return open_with(state, &fs_config_default);
}

static int open_impatient(void **state)
{
	struct fs_config config = fs_config_default;

	config.settle_ms = 1;
	return open_with(state, &config);
}

static int close_scene(void **state)
{
	struct scene *s = *state;

	if (s->sock >= 0)
		agent_gone(s);
	world_close(&s->w);
	loop_untimer(&s->loop, &s->stop);
	loop_done(&s->loop);
	buf_done(&s->in);
	free(s);
	return 0;
}

static uint64_t validity(struct scene *s, const char *name)
{
	struct fuse_entry_out e;

	assert_int_equal(lookup(&s->w.c, walk(&s->w.c, "0"), name, &e), 0);
	return e.entry_valid < e.attr_valid ? e.entry_valid : e.attr_valid;
}

static void test_only_with_an_agent(void **state)
{
	struct scene *s = *state;

	file_put(at(&s->w, "rw/f"), "x");
	assert_int_equal(validity(s, "f"), 0);
	spin(s, 50);
	assert_int_equal(s->frames, 1); /* "are you there?" */
	assert_int_equal(s->n_paths, 0);
	assert_int_equal(validity(s, "f"), 30);
	agent_gone(s);
	spin(s, 50);
	assert_int_equal(validity(s, "f"), 0);
	agent_connect(s);
	spin(s, 50);
	assert_int_equal(validity(s, "f"), 30);
}

static void test_changes_are_taken_back(void **state)
{
	struct scene *s = *state;
	struct fuse_attr a;
	uint64_t f, g;

	spin(s, 50);
	file_put(at(&s->w, "rw/f"), "x");
	file_put(at(&s->w, "rw/g"), "x");
	f = walk(&s->w.c, "0/f");
	g = walk(&s->w.c, "0/g");
	spin(s, 50);
	s->n_paths = 0;
	s->paths[0] = 0;

	file_put(at(&s->w, "rw/f"), "longer");
	spin(s, 50);
	assert_string_equal(s->paths, "0/f\n");
	assert_int_equal(getattr(&s->w.c, f, &a), 0);
	assert_int_equal(a.size, 6);

	s->paths[0] = 0;
	assert_int_equal(chmod(at(&s->w, "rw/f"), 0600), 0);
	spin(s, 50);
	assert_string_equal(s->paths, "0/f\n");

	s->paths[0] = 0;
	assert_int_equal(rename(at(&s->w, "rw/g"), at(&s->w, "rw/f")), 0);
	spin(s, 50);
	assert_non_null(strstr(s->paths, "0/f\n"));
	assert_non_null(strstr(s->paths, "0/g\n"));
	assert_true(walk(&s->w.c, "0/f") == g);
	assert_true(walk(&s->w.c, "0/g") == 0);

	s->paths[0] = 0;
	assert_int_equal(unlink(at(&s->w, "rw/f")), 0);
	spin(s, 50);
	assert_non_null(strstr(s->paths, "0/f\n"));
}

/* What the guest has not cached is nobody's business. */
static void test_strangers_are_not(void **state)
{
	struct scene *s = *state;

	spin(s, 50);
	assert_int_equal(mkdir(at(&s->w, "rw/d"), 0755), 0);
	file_put(at(&s->w, "rw/known"), "x");
	assert_true(walk(&s->w.c, "0/known") != 0);
	spin(s, 50);
	s->n_paths = 0;
	file_put(at(&s->w, "rw/d/f"), "x");
	file_put(at(&s->w, "rw/d/f"), "y");
	unlink(at(&s->w, "rw/d/f"));
	spin(s, 50);
	assert_int_equal(s->n_paths, 0);
	/* A new name changes its directory, not its neighbours. */
	s->paths[0] = 0;
	file_put(at(&s->w, "rw/new"), "x");
	spin(s, 50);
	assert_string_equal(s->paths, "0\n");
}

static void test_own_changes_are_not(void **state)
{
	struct scene *s = *state;
	struct client *c = &s->w.c;
	uint64_t dir, node, fh;
	struct fuse_attr a;

	spin(s, 50);
	dir = walk(c, "0");
	for (int i = 0; i < 50; i++) {
		struct fuse_setattr_in in = {
			.valid = FATTR_MODE, .mode = 0600 + (i & 1)};
		char name[32], other[32];

		snprintf(name, sizeof(name), "f%d", i);
		snprintf(other, sizeof(other), "g%d", i / 2);
		assert_int_equal(
			create(c, dir, name, O_RDWR, 0600, &node, &fh), 0);
		assert_int_equal(write_at(c, node, fh, 0, "data", 0), 0);
		assert_int_equal(setattr(c, node, &in), 0);
		assert_int_equal(write_at(c, node, fh, 4, "more", 0), 0);
		assert_int_equal(getattr(c, node, &a), 0);
		assert_int_equal(rename_to(c, dir, name, dir, other, 0), 0);
		assert_int_equal(release(c, FUSE_RELEASE, node, fh), 0);
		if (i % 3 == 0)
			assert_int_equal(
				call_name(c, FUSE_UNLINK, dir, NULL, 0, other),
				0);
		assert_int_equal(getattr(c, dir, &a), 0);
	}
	spin(s, 100);
	assert_int_equal(s->n_paths, 0);
}

static void test_hard_links_have_no_lease(void **state)
{
	struct scene *s = *state;
	struct fuse_entry_out e;
	uint64_t dir;

	spin(s, 50);
	file_put(at(&s->w, "rw/a"), "x");
	dir = walk(&s->w.c, "0");
	assert_int_equal(lookup(&s->w.c, dir, "a", &e), 0);
	assert_int_equal(e.attr_valid, 30);
	/* The guest must learn that there is a second name. */
	assert_int_equal(link(at(&s->w, "rw/a"), at(&s->w, "rw/b")), 0);
	spin(s, 50);
	assert_non_null(strstr(s->paths, "0/b\n"));
	assert_int_equal(lookup(&s->w.c, dir, "a", &e), 0);
	assert_int_equal(e.attr.nlink, 2);
	assert_int_equal(e.attr_valid, 0);
	assert_int_equal(e.entry_valid, 30);
}

/* -- causality -- */

static void on_settled(void *arg)
{
	struct scene *s = arg;

	s->settled++;
	loop_stop(&s->loop, 0);
}

static void test_settle(void **state)
{
	struct scene *s = *state;
	struct fuse_attr a;
	uint64_t f;

	spin(s, 50);
	assert_true(fs_settle(s->w.fs, on_settled, s));
	file_put(at(&s->w, "rw/f"), "x");
	f = walk(&s->w.c, "0/f");
	assert_true(validity(s, "f") == 30);
	spin(s, 50);
	file_put(at(&s->w, "rw/f"), "changed");
	s->paths[0] = 0;
	assert_false(fs_settle(s->w.fs, on_settled, s));
	assert_int_equal(s->settled, 0);
	spin(s, 3000);
	assert_int_equal(s->settled, 1);
	assert_string_equal(s->paths, "0/f\n");
	assert_int_equal(getattr(&s->w.c, f, &a), 0);
	assert_int_equal(a.size, 7);
	assert_true(fs_settle(s->w.fs, on_settled, s));
}

static void test_settle_gives_up(void **state)
{
	struct scene *s = *state;

	spin(s, 50);
	file_put(at(&s->w, "rw/f"), "x");
	assert_int_equal(validity(s, "f"), 30);
	spin(s, 50);
	s->manner = SILENT;
	file_put(at(&s->w, "rw/f"), "changed");
	assert_false(fs_settle(s->w.fs, on_settled, s));
	spin(s, 10000);
	assert_int_equal(s->settled, 1);
	/* Nobody waits for it again, and nothing is lent any more. */
	file_put(at(&s->w, "rw/f"), "again and again");
	assert_true(fs_settle(s->w.fs, on_settled, s));
	assert_int_equal(validity(s, "f"), 0);
}

static void test_agent_that_only_says_so(void **state)
{
	struct scene *s = *state;

	spin(s, 50);
	s->manner = LAZY;
	for (int i = 0; i < 8; i++) {
		file_put(at(&s->w, "rw/f"), "x");
		(void)walk(&s->w.c, "0/f");
		spin(s, 30);
		assert_int_equal(unlink(at(&s->w, "rw/f")), 0);
		spin(s, 30);
	}
	file_put(at(&s->w, "rw/f"), "x");
	assert_int_equal(validity(s, "f"), 0);
}

static void test_agent_that_lies(void **state)
{
	static const char *const lies[] = {"garbage that is no frame at all",
		/* REVOKED of a frame that was never sent */
		"\x10\0\0\0\2\0\0\0\1\0\0\0\x08\0\0\0\xff\0\0\0\0\0\0\0",
		/* REVOKED that ends inside a record */
		"\x06\0\0\0\2\0\0\0\1\0\0\0\x08\0"};
	static const size_t lens[] = {31, 24, 14};
	struct scene *s = *state;

	file_put(at(&s->w, "rw/f"), "x");
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		spin(s, 50);
		assert_int_equal(validity(s, "f"), 30);
		assert_int_equal(fd_write_all(s->sock, lies[i], lens[i]), 0);
		spin(s, 50);
		assert_int_equal(validity(s, "f"), 0);
		agent_gone(s);
		agent_connect(s);
	}
}

/* More events than the kernel keeps: everything is compared. */
static void test_lost_events(void **state)
{
	struct scene *s = *state;
	struct fuse_attr a;
	uint64_t f;

	spin(s, 50);
	file_put(at(&s->w, "rw/f"), "x");
	assert_int_equal(mkdir(at(&s->w, "rw/d"), 0755), 0);
	f = walk(&s->w.c, "0/f");
	(void)walk(&s->w.c, "0/d/none");
	spin(s, 50);
	for (int i = 0; i < 9000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "rw/d/%d", i % 100);
		file_put(at(&s->w, name), "");
		unlink(at(&s->w, name));
	}
	s->paths[0] = 0;
	file_put(at(&s->w, "rw/f"), "changed");
	spin(s, 300);
	assert_non_null(strstr(s->paths, "0/f\n"));
	assert_int_equal(getattr(&s->w.c, f, &a), 0);
	assert_int_equal(a.size, 7);
}

/* A change that size and times do not show. */
static void test_hidden_change(void **state)
{
	struct scene *s = *state;
	struct timespec ts[2] = {{1000000000, 0}, {1000000000, 0}};
	struct fuse_attr a;
	uint64_t f;

	spin(s, 50);
	file_put(at(&s->w, "rw/f"), "one");
	assert_int_equal(utimensat(AT_FDCWD, at(&s->w, "rw/f"), ts, 0), 0);
	f = walk(&s->w.c, "0/f");
	spin(s, 50);
	s->paths[0] = 0;
	file_put(at(&s->w, "rw/f"), "two");
	assert_int_equal(utimensat(AT_FDCWD, at(&s->w, "rw/f"), ts, 0), 0);
	spin(s, 50);
	assert_string_equal(s->paths, "0/f\n");
	/* The guest drops its pages when mtime moves: it does, for once. */
	assert_int_equal(s->seen.mtimensec, 1);
	assert_int_equal(getattr(&s->w.c, f, &a), 0);
	assert_int_equal(a.mtime, 1000000000);
	assert_int_equal(a.mtimensec, 0);
}

#define IN_SCENE(t) cmocka_unit_test_setup_teardown(t, open_scene, close_scene)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_only_with_an_agent),
		IN_SCENE(test_changes_are_taken_back),
		IN_SCENE(test_strangers_are_not),
		IN_SCENE(test_own_changes_are_not),
		IN_SCENE(test_hard_links_have_no_lease),
		IN_SCENE(test_settle),
		cmocka_unit_test_setup_teardown(
			test_settle_gives_up, open_impatient, close_scene),
		IN_SCENE(test_agent_that_only_says_so),
		IN_SCENE(test_agent_that_lies),
		IN_SCENE(test_lost_events),
		IN_SCENE(test_hidden_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
