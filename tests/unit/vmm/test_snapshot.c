/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "vmm/cpuid.h"
#include "vmm/ram_file.h"
#include "vmm/snapshot.h"

#include <errno.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static void fill(struct snapshot *s)
{
	*s = (struct snapshot){.memory = 64 * MIB, .cpus = 2, .n_devices = 2};
	s->vcpu = xcalloc(2, sizeof(*s->vcpu));
	s->vcpu[1].regs.rip = 0x1234;
	s->vcpu[1].n_msrs = 1;
	s->cpuid = xcalloc(
		1, sizeof(*s->cpuid) + 2 * sizeof(s->cpuid->entries[0]));
	s->cpuid->nent = 2;
	s->cpuid->entries[1].function = 7;
	s->clock.clock = 42;
	s->irqchip[2].chip_id = 2;
	s->uart.ier = 2;
	s->device[0].id = 2;
	s->device[0].mmio.q[0].last_avail = 99;
	s->device[1].id = 26;
	s->device[1].extra = (uint8_t *)xstrdup("names");
	s->device[1].extra_len = 5;
}

static void encode(struct buf *b)
{
	struct snapshot s;

	fill(&s);
	buf_init(b, SNAPSHOT_MAX);
	assert_int_equal(snapshot_encode(&s, b), 0);
	snapshot_done(&s);
}

static void test_round_trip(void **state)
{
	struct snapshot s;
	struct err err;
	struct buf b;

	encode(&b);
	assert_int_equal(
		snapshot_decode(buf_head(&b), buf_len(&b), &s, &err), 0);
	assert_int_equal(s.memory, 64 * MIB);
	assert_int_equal(s.cpus, 2);
	assert_int_equal(s.vcpu[1].regs.rip, 0x1234);
	assert_int_equal(s.cpuid->entries[1].function, 7);
	assert_int_equal(s.clock.clock, 42);
	assert_int_equal(s.irqchip[2].chip_id, 2);
	assert_int_equal(s.uart.ier, 2);
	assert_int_equal(s.n_devices, 2);
	assert_int_equal(s.device[0].mmio.q[0].last_avail, 99);
	assert_int_equal(s.device[1].extra_len, 5);
	assert_memory_equal(s.device[1].extra, "names", 5);
	snapshot_done(&s);
	buf_done(&b);
}

/* A file may end anywhere, and any byte of it may be another. */
static void test_damage(void **state)
{
	struct snapshot s;
	struct err err;
	struct buf b;

	encode(&b);
	for (size_t len = 0; len < buf_len(&b); len += len < 256 ? 1 : 251)
		assert_int_equal(
			snapshot_decode(buf_head(&b), len, &s, &err), -EBADMSG);
	for (size_t i = 0; i < buf_len(&b); i += i < 256 ? 1 : 97) {
		uint8_t *p = b.data + b.off + i;
		*p ^= 0xff;
		if (snapshot_decode(buf_head(&b), buf_len(&b), &s, &err) == 0)
			snapshot_done(&s);
		*p ^= 0xff;
	}
	buf_done(&b);
}

static void test_memory_file_is_sparse(void **state)
{
	int fd = memfd_create("memory", MFD_CLOEXEC);
	struct ram ram, copy;
	struct err err;
	struct stat st;

	assert_int_equal(ram_open(&ram, 16 * MIB, -1, &err), 0);
	memset(gmem_ptr(ram.gm, 5 * MIB, 8192), 7, 8192);
	memset(gmem_ptr(ram.gm, 16 * MIB - 1, 1), 9, 1);
	assert_int_equal(ram_write(&ram, fd, &err), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 16 * MIB);
	assert_int_equal(st.st_blocks * 512, 3 * 4096);
	/* Two private copies do not see each other, nor change the file. */
	assert_int_equal(ram_open(&copy, 16 * MIB, fd, &err), 0);
	memset(gmem_ptr(copy.gm, 5 * MIB, 1), 1, 1);
	ram_done(&ram);
	assert_int_equal(ram_open(&ram, 16 * MIB, fd, &err), 0);
	assert_int_equal(*(uint8_t *)gmem_ptr(ram.gm, 5 * MIB, 1), 7);
	assert_int_equal(*(uint8_t *)gmem_ptr(ram.gm, 16 * MIB - 1, 1), 9);
	ram_done(&ram);
	ram_done(&copy);
	(void)close(fd);
}

static void test_memory_map(void **state)
{
	struct ram ram;
	struct err err;

	assert_int_equal(ram_open(&ram, 1 * MIB, -1, &err), -EINVAL);
	assert_int_equal(ram_open(&ram, 64 * MIB + 1, -1, &err), -EINVAL);
	assert_int_equal(
		ram_open(&ram, UINT64_MAX & ~4095ull, -1, &err), -EINVAL);
	assert_int_equal(ram_open(&ram, 5 * GIB, -1, &err), 0);
	assert_int_equal(ram.n, 2);
	assert_non_null(gmem_ptr(ram.gm, GPA_LOW_END - 1, 1));
	assert_null(gmem_ptr(ram.gm, GPA_LOW_END - 1, 2));
	assert_null(gmem_ptr(ram.gm, GPA_HIGH - 1, 1));
	assert_non_null(gmem_ptr(ram.gm, GPA_HIGH, 2 * GIB));
	assert_null(gmem_ptr(ram.gm, GPA_HIGH, 2 * GIB + 1));
	ram_done(&ram);
}

static void test_processor(void **state)
{
	struct kvm_cpuid2 *c =
		xcalloc(1, sizeof(*c) + 4 * sizeof(c->entries[0]));

	c->nent = 4;
	c->entries[0] = (struct kvm_cpuid_entry2){
		.function = 1, .ecx = 1u << 5, .ebx = 0xff000800};
	c->entries[1] = (struct kvm_cpuid_entry2){
		.function = 0xb, .index = 1, .flags = 1};
	c->entries[2] = (struct kvm_cpuid_entry2){
		.function = 0x80000001, .ecx = 1u << 2};
	c->entries[3] =
		(struct kvm_cpuid_entry2){.function = 0xa, .eax = 0xffff};
	cpuid_template(c, 6);
	cpuid_number(c, 3);
	/* No virtualization inside, a deadline timer, its own number. */
	assert_false(c->entries[0].ecx & 1u << 5);
	assert_true(c->entries[0].ecx & 1u << 24);
	assert_true(c->entries[0].ecx & 1u << 31);
	assert_int_equal(c->entries[0].ebx, 3u << 24 | 6u << 16 | 0x0800);
	assert_int_equal(c->entries[1].eax, 3); /* bits for six */
	assert_int_equal(c->entries[1].ebx, 6);
	assert_int_equal(c->entries[1].edx, 3);
	assert_false(c->entries[2].ecx & 1u << 2);
	assert_int_equal(c->entries[3].eax, 0);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_memory_file_is_sparse),
		cmocka_unit_test(test_memory_map),
		cmocka_unit_test(test_processor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
