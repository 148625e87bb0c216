/* SPDX-License-Identifier: Apache-2.0 */
/* The birth message, over a real socket with real descriptors. */
#include "cm.h"

#include "base/fd.h"
#include "vmm/config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

struct bed {
	int sock[2];
	struct buf b;
	int fds[FD_PASS_MAX];
	uint32_t n;
	struct vmm_config cfg;
	struct err err;
};

static struct bed *bed;

static int set_up(void **state)
{
	bed = xnew(struct bed);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
				 bed->sock),
		0);
	buf_init(&bed->b, BIRTH_MAX);
	return 0;
}

static int tear_down(void **state)
{
	for (uint32_t i = 0; i < bed->n; i++)
		(void)close(bed->fds[i]);
	(void)close(bed->sock[0]);
	(void)close(bed->sock[1]);
	buf_done(&bed->b);
	free(bed);
	return 0;
}

static uint32_t null_fd(void)
{
	bed->fds[bed->n] = open("/dev/null", O_RDWR | O_CLOEXEC);
	return bed->n++;
}

static void put_fd(uint16_t tag)
{
	assert_int_equal(tlv_put_u32(&bed->b, tag, null_fd()), 0);
}

static void put_minimum(void)
{
	put_fd(BT_VMM_KVM);
	put_fd(BT_VMM_KERNEL);
	(void)tlv_put_str(&bed->b, BT_VMM_CMDLINE, "quiet");
	(void)tlv_put_u64(&bed->b, BT_VMM_MEMORY, 64 * MIB);
}

static void put_disk(const char *serial, uint32_t flags)
{
	size_t mark = tlv_begin(&bed->b, BT_VMM_DISK);

	put_fd(BD_FD);
	(void)tlv_put_str(&bed->b, BD_SERIAL, serial);
	(void)tlv_put_u32(&bed->b, BD_FLAGS, flags);
	tlv_end(&bed->b, mark);
}

static int open_count(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int exchange(void)
{
	assert_int_equal(sock_send_fds(bed->sock[0], buf_head(&bed->b),
				 buf_len(&bed->b), bed->fds, bed->n),
		0);
	return config_receive(bed->sock[1], &bed->cfg, &bed->err);
}

static void test_all_fields(void **state)
{
	put_minimum();
	(void)tlv_put_str(&bed->b, BT_NAME, "a-name");
	(void)tlv_put_u32(&bed->b, BT_VMM_CPUS, 4);
	put_disk("root", BDF_RO);
	put_disk("upper", 0);
	put_fd(BT_CONSOLE_LOG);
	size_t mark = tlv_begin(&bed->b, BT_EXPORT);
	put_fd(BE_FD);
	(void)tlv_put_str(&bed->b, BE_NAME, "0");
	(void)tlv_put_u32(&bed->b, BE_FLAGS, 1);
	tlv_end(&bed->b, mark);
	(void)tlv_put_str(&bed->b, 999, "from a newer coved");
	assert_int_equal(exchange(), 0);
	assert_string_equal(bed->cfg.name, "a-name");
	assert_string_equal(bed->cfg.cmdline, "quiet");
	assert_int_equal(bed->cfg.memory, 64 * MIB);
	assert_int_equal(bed->cfg.cpus, 4);
	assert_int_equal(bed->cfg.n_disks, 2);
	assert_string_equal(bed->cfg.disk[0].serial, "root");
	assert_true(bed->cfg.disk[0].read_only);
	assert_false(bed->cfg.disk[1].read_only);
	assert_int_equal(bed->cfg.n_exports, 1);
	assert_string_equal(bed->cfg.export[0].name, "0");
	assert_true(bed->cfg.console_log >= 0);
	assert_int_equal(bed->cfg.vsock_listen, -1);
	config_done(&bed->cfg);
}

/* Whatever is wrong: a text, and nothing stays open. */
static void assert_refused(void)
{
	int before = open_count();

	assert_true(exchange() < 0);
	assert_true(bed->err.text[0] != '\0');
	assert_int_equal(open_count(), before);
}

static void test_no_kernel(void **state)
{
	put_fd(BT_VMM_KVM);
	assert_refused();
}

static void test_fd_out_of_range(void **state)
{
	put_minimum();
	(void)tlv_put_u32(&bed->b, BT_VMM_INITRD, 60);
	assert_refused();
}

static void test_fd_twice(void **state)
{
	put_minimum();
	(void)tlv_put_u32(&bed->b, BT_VMM_INITRD, 0); /* that is kvm */
	assert_refused();
}

static void test_long_serial(void **state)
{
	put_minimum();
	put_disk("this-serial-is-too-long", 0);
	assert_refused();
}

static void test_too_many_disks(void **state)
{
	put_minimum();
	for (unsigned i = 0; i <= BIRTH_DISKS; i++)
		put_disk("d", 0);
	assert_refused();
}

static void test_too_many_cpus(void **state)
{
	put_minimum();
	(void)tlv_put_u32(&bed->b, BT_VMM_CPUS, 65);
	assert_refused();
}

static void test_half_a_snapshot(void **state)
{
	put_fd(BT_VMM_KVM);
	put_fd(BT_VMM_STATE);
	assert_refused();
}

static void test_garbage(void **state)
{
	put_minimum();
	bed->b.data[bed->b.off + 4] ^= 0x80;
	assert_refused();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_all_fields),
		TEST(test_no_kernel),
		TEST(test_fd_out_of_range),
		TEST(test_fd_twice),
		TEST(test_long_serial),
		TEST(test_too_many_disks),
		TEST(test_too_many_cpus),
		TEST(test_half_a_snapshot),
		TEST(test_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
