/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "devices/birth.h"

#include "base/fd.h"
#include "wire/agent.h"
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

struct bed {
	struct buf msg;
	int sv[2];
	int fds[8]; /* ends of pipes, to pass */
	struct birth birth;
	struct err err;
};

static unsigned count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void bed_init(struct bed *b)
{
	memset(b, 0, sizeof(*b));
	buf_init(&b->msg, BIRTH_MAX);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, b->sv), 0);
	for (int i = 0; i < 8; i += 2)
		assert_int_equal(pipe(&b->fds[i]), 0);
	tlv_put_u32(&b->msg, BT_VERSION, WIRE_VERSION);
}

static int receive(struct bed *b)
{
	assert_int_equal(sock_send_fds(b->sv[0], buf_head(&b->msg),
				 buf_len(&b->msg), b->fds, 8),
		0);
	return birth_receive(&b->birth, b->sv[1], &b->err);
}

static void bed_done(struct bed *b)
{
	birth_done(&b->birth);
	buf_done(&b->msg);
	close(b->sv[0]);
	close(b->sv[1]);
	for (int i = 0; i < 8; i++)
		close(b->fds[i]);
}

static void put_export(struct bed *b, uint32_t fd, const char *name)
{
	size_t mark = tlv_begin(&b->msg, BT_EXPORT);

	tlv_put_u32(&b->msg, BE_FD, fd);
	if (name)
		tlv_put_str(&b->msg, BE_NAME, name);
	tlv_put_u32(&b->msg, BE_FLAGS, AMF_RO);
	tlv_end(&b->msg, mark);
}

static void test_everything(void **state)
{
	unsigned before = count_fds();
	struct bed b;

	bed_init(&b);
	tlv_put_str(&b.msg, BT_NAME, "box");
	tlv_put_u32(&b.msg, BT_FS_SOCKET, 0);
	tlv_put_u32(&b.msg, BT_VSOCK_SOCKET, 1);
	tlv_put_u32(&b.msg, BT_VSOCK_LISTEN, 2);
	tlv_put_u32(&b.msg, BT_RUN_DIR, 3);
	tlv_put_u32(&b.msg, BT_CONSOLE, 4);
	tlv_put_u32(&b.msg, BT_CONSOLE_LOG, 5);
	tlv_put_u32(&b.msg, BT_GUEST_UID, 1000);
	tlv_put_u32(&b.msg, BT_GUEST_GID, 1001);
	tlv_put_u32(&b.msg, 9999, 1); /* from a newer coved */
	put_export(&b, 6, "0");
	assert_int_equal(receive(&b), 0);
	assert_string_equal(b.birth.name, "box");
	assert_true(b.birth.fs_sock >= 0 && b.birth.vsock_sock >= 0);
	assert_true(b.birth.vsock_listen >= 0 && b.birth.run_dir >= 0);
	assert_true(b.birth.console >= 0 && b.birth.console_log >= 0);
	assert_int_equal(b.birth.guest_uid, 1000);
	assert_int_equal(b.birth.guest_gid, 1001);
	assert_int_equal(b.birth.n_exports, 1);
	assert_string_equal(b.birth.exports[0].name, "0");
	assert_int_equal(b.birth.exports[0].flags, AMF_RO);
	bed_done(&b);
	/* The eighth, which nobody claimed, is closed as well. */
	assert_int_equal(count_fds(), before);
}

static void assert_refused(struct bed *b)
{
	assert_true(receive(b) < 0);
	assert_true(b->err.code > 0 && b->err.text[0]);
	bed_done(b);
}

static void test_refusals(void **state)
{
	unsigned before = count_fds();
	struct bed b;

	bed_init(&b);
	tlv_put_u32(&b.msg, BT_RUN_DIR, 8); /* was not passed */
	assert_refused(&b);
	bed_init(&b);
	tlv_put_u32(&b.msg, BT_RUN_DIR, 1);
	tlv_put_u32(&b.msg, BT_CONSOLE, 1); /* twice */
	assert_refused(&b);
	bed_init(&b);
	put_export(&b, 99, "0");
	assert_refused(&b);
	bed_init(&b);
	put_export(&b, 2, NULL);
	assert_refused(&b);
	bed_init(&b);
	tlv_put(&b.msg, BT_VERSION, "\2\0\0\0", 4);
	assert_refused(&b);
	bed_init(&b);
	buf_put(&b.msg, "\1\0", 2); /* cut off */
	assert_refused(&b);
	assert_int_equal(count_fds(), before);
}

static void test_too_many_exports(void **state)
{
	struct bed b;

	bed_init(&b);
	for (unsigned i = 0; i <= BIRTH_EXPORTS; i++) {
		size_t mark = tlv_begin(&b.msg, BT_EXPORT);

		tlv_put_str(&b.msg, BE_NAME, "x");
		tlv_end(&b.msg, mark);
	}
	assert_refused(&b);
}

static void test_nobody_there(void **state)
{
	struct bed b;

	bed_init(&b);
	close(b.sv[0]);
	assert_int_equal(birth_receive(&b.birth, b.sv[1], &b.err), -EPIPE);
	assert_non_null(strstr(b.err.text, "started by coved"));
	b.sv[0] = -1;
	bed_done(&b);
}

static void test_answers(void **state)
{
	struct err none = {0};
	struct bed b;
	char got[64] = "";

	bed_init(&b);
	birth_answer(b.sv[1], &none);
	assert_int_equal(read(b.sv[0], got, sizeof(got)), 1);
	assert_int_equal(got[0], BIRTH_OK);
	err_set(&b.err, EPERM, "not today");
	birth_answer(b.sv[1], &b.err);
	assert_int_equal(read(b.sv[0], got, sizeof(got)), 9);
	assert_memory_equal(got, "not today", 9);
	bed_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_too_many_exports),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
