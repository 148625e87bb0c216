/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vcpu_regs.h"

#include "vmm/cpuid.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#define CR0_PE 0x1ull
#define CR0_ET 0x10ull
#define CR0_NE 0x20ull
#define CR0_WP 0x10000ull
#define CR0_PG 0x80000000ull
#define CR4_PAE 0x20ull
#define EFER_LME 0x100ull
#define EFER_LMA 0x400ull

#define MSR_MISC_ENABLE 0x1a0u
#define MISC_FAST_STRING 1ull
#define MSR_MTRR_DEF_TYPE 0x2ffu
#define MTRR_ENABLED_WB 0x806ull

int regs_cpuid(int vcpu, const struct kvm_cpuid2 *table, unsigned index)
{
	size_t len = sizeof(*table) + table->nent * sizeof(table->entries[0]);
	_cleanup_free_ struct kvm_cpuid2 *mine = xcalloc(1, len);

	memcpy(mine, table, len);
	cpuid_number(mine, index);
	return ioctl(vcpu, KVM_SET_CPUID2, mine) < 0 ? -errno : 0;
}

static struct kvm_segment code(bool is64)
{
	return (struct kvm_segment){.limit = 0xffffffff,
		.selector = 0x10,
		.type = 11,
		.present = 1,
		.s = 1,
		.g = 1,
		.db = !is64,
		.l = is64};
}

static struct kvm_segment data(void)
{
	return (struct kvm_segment){.limit = 0xffffffff,
		.selector = 0x18,
		.type = 3,
		.present = 1,
		.s = 1,
		.g = 1,
		.db = 1};
}

static void set_segments(struct kvm_sregs *s, bool is64)
{
	s->cs = code(is64);
	s->ds = s->es = s->fs = s->gs = s->ss = data();
	s->tr = (struct kvm_segment){.limit = 0x67, .type = 11, .present = 1};
	s->gdt.base = GPA_GDT;
	s->gdt.limit = 31;
	s->idt.base = 0;
	s->idt.limit = 0;
}

static int set_sregs(int vcpu, bool is64)
{
	struct kvm_sregs s;

	if (ioctl(vcpu, KVM_GET_SREGS, &s) < 0)
		return -errno;
	set_segments(&s, is64);
	s.cr0 = CR0_PE | CR0_ET;
	s.cr4 = 0;
	if (is64) {
		s.cr0 |= CR0_PG | CR0_NE | CR0_WP;
		s.cr4 |= CR4_PAE;
		s.cr3 = GPA_PAGE_TABLES;
		s.efer |= EFER_LME | EFER_LMA;
	}
	return ioctl(vcpu, KVM_SET_SREGS, &s) < 0 ? -errno : 0;
}

/* One register in a list of one: a longer list stops at the first bad one. */
union msr_list {
	struct kvm_msrs head;
	uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
};

int regs_set_msr(int vcpu, uint32_t index, uint64_t value)
{
	union msr_list list = {.room = {0}};
	int n;

	list.head.nmsrs = 1;
	list.head.entries[0].index = index;
	list.head.entries[0].data = value;
	n = ioctl(vcpu, KVM_SET_MSRS, &list);
	return n < 0 ? -errno : n == 1 ? 0 : -EINVAL;
}

int regs_get_msr(int vcpu, uint32_t index, uint64_t *ret)
{
	union msr_list list = {.room = {0}};
	int n;

	list.head.nmsrs = 1;
	list.head.entries[0].index = index;
	n = ioctl(vcpu, KVM_GET_MSRS, &list);
	if (n != 1)
		return n < 0 ? -errno : -EINVAL;
	*ret = list.head.entries[0].data;
	return 0;
}

/* Firmware would leave these; a host that lacks one can do without. */
static void set_msrs(int vcpu)
{
	static const struct {
		uint32_t index;
		uint64_t value;
	} m[] = {
		{MSR_MISC_ENABLE, MISC_FAST_STRING},
		{MSR_MTRR_DEF_TYPE, MTRR_ENABLED_WB},
	};
	for (size_t i = 0; i < ARRAY_SIZE(m); i++)
		(void)regs_set_msr(vcpu, m[i].index, m[i].value);
}

int regs_boot(int vcpu, const struct boot_entry *entry)
{
	bool is64 = entry->protocol == BOOT_LINUX;
	struct kvm_regs r = {.rip = entry->rip, .rflags = 2};
	int ret = set_sregs(vcpu, is64);

	if (ret < 0)
		return ret;
	if (is64)
		r.rsi = GPA_ZERO_PAGE;
	else
		r.rbx = GPA_START_INFO;
	set_msrs(vcpu);
	return ioctl(vcpu, KVM_SET_REGS, &r) < 0 ? -errno : 0;
}
