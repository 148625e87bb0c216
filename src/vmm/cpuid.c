/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cpuid.h"

#include <string.h>

#define BIT(n) (1u << (n))

/* Leaf 1, ECX */
#define L1C_MONITOR BIT(3)
#define L1C_VMX BIT(5)
#define L1C_PDCM BIT(15)
#define L1C_X2APIC BIT(21)
#define L1C_TSC_DEADLINE BIT(24)
#define L1C_HYPERVISOR BIT(31)
/* Leaf 1, EDX */
#define L1D_HTT BIT(28)
/* Leaf 7.0 */
#define L7B_HLE BIT(4)
#define L7B_RTM BIT(11)
#define L7C_WAITPKG BIT(5)
#define L7D_AMX (BIT(22) | BIT(24) | BIT(25))
/* Leaf 0xd.0 EAX: AMX state, 8 KiB for every task */
#define LDA_AMX (BIT(17) | BIT(18))
/* Leaf 0x80000001, ECX */
#define X1C_CMP_LEGACY BIT(1)
#define X1C_SVM BIT(2)
#define X1C_PERFCTR (BIT(23) | BIT(24) | BIT(28))

static unsigned width_of(unsigned n_cpus)
{
	unsigned bits = 0;

	while (BIT(bits) < n_cpus)
		bits++;
	return bits;
}

static void leaf1(struct kvm_cpuid_entry2 *e, unsigned n)
{
	e->ecx &= ~(L1C_MONITOR | L1C_VMX | L1C_PDCM);
	/* KVM's own timer; without it the guest calibrates for 100 ms. */
	e->ecx |= L1C_HYPERVISOR | L1C_TSC_DEADLINE | L1C_X2APIC;
	/* EBX: number, logical processors, CLFLUSH size, brand. */
	e->ebx = (e->ebx & 0xffffu) | n << 16;
	e->edx = n > 1 ? e->edx | L1D_HTT : e->edx & ~L1D_HTT;
}

/* One thread a core, all cores in one package. */
static void topology(struct kvm_cpuid_entry2 *e, unsigned n)
{
	e->eax = e->ebx = e->ecx = 0;
	if (e->index == 0) {
		e->ebx = 1;
		e->ecx = 1 << 8; /* level type: thread */
	} else if (e->index == 1) {
		e->eax = width_of(n);
		e->ebx = n;
		e->ecx = 2 << 8 | 1; /* level type: core */
	} else {
		e->ecx = e->index;
	}
}

/* Caches up to L2 belong to one core, L3 to all. */
static void caches(struct kvm_cpuid_entry2 *e, unsigned n)
{
	uint32_t level = e->eax >> 5 & 7;
	uint32_t sharers = level >= 3 ? n - 1 : 0;

	if ((e->eax & 0x1f) == 0)
		return; /* the end of the list */
	e->eax = (e->eax & 0x3fffu) | sharers << 14;
	if (e->function == 4)
		e->eax |= (BIT(width_of(n)) - 1) << 26;
}

static void leaf7(struct kvm_cpuid_entry2 *e)
{
	if (e->index != 0)
		return;
	e->ebx &= ~(L7B_HLE | L7B_RTM);
	e->ecx &= ~L7C_WAITPKG;
	e->edx &= ~L7D_AMX;
}

static void amd_sizes(struct kvm_cpuid_entry2 *e, unsigned n)
{
	e->ecx = width_of(n) << 12 | (n - 1);
}

static void amd_features(struct kvm_cpuid_entry2 *e, unsigned n)
{
	e->ecx &= ~(X1C_SVM | X1C_PERFCTR);
	e->ecx = n > 1 ? e->ecx | X1C_CMP_LEGACY : e->ecx & ~X1C_CMP_LEGACY;
}

static void wipe(struct kvm_cpuid_entry2 *e)
{
	e->eax = e->ebx = e->ecx = e->edx = 0;
}

static void edit(struct kvm_cpuid_entry2 *e, unsigned n)
{
	switch (e->function) {
	case 1:
		leaf1(e, n);
		break;
	case 4:
	case 0x8000001d:
		caches(e, n);
		break;
	case 7:
		leaf7(e);
		break;
	case 0xa: /* no performance counters */
	case 0x80000022:
	case 0x8000000a: /* no nested virtualization */
	case 0x8000001f: /* no memory encryption */
		wipe(e);
		break;
	case 0xb:
	case 0x1f:
		topology(e, n);
		break;
	case 0xd:
		if (e->index == 0)
			e->eax &= ~LDA_AMX;
		break;
	case 0x80000001:
		amd_features(e, n);
		break;
	case 0x80000008:
		amd_sizes(e, n);
		break;
	default:
		break;
	}
}

void cpuid_template(struct kvm_cpuid2 *c, unsigned n_cpus)
{
	for (uint32_t i = 0; i < c->nent; i++)
		edit(&c->entries[i], n_cpus);
}

void cpuid_number(struct kvm_cpuid2 *c, unsigned index)
{
	for (uint32_t i = 0; i < c->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[i];
		switch (e->function) {
		case 1:
			e->ebx = (e->ebx & 0xffffffu) | index << 24;
			break;
		case 0xb:
		case 0x1f:
			e->edx = index;
			break;
		case 0x8000001e:
			e->eax = index;
			e->ebx = index; /* core, one thread each */
			e->ecx = 0;
			break;
		default:
			break;
		}
	}
}
