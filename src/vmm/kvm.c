/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/kvm.h"

#include "vmm/layout.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

/* Without these there is no fallback worth having: all are 10 years old. */
static const struct {
	int cap;
	const char *name;
} required[] = {
	{KVM_CAP_IRQCHIP, "IRQCHIP"},
	{KVM_CAP_USER_MEMORY, "USER_MEMORY"},
	{KVM_CAP_SET_TSS_ADDR, "SET_TSS_ADDR"},
	{KVM_CAP_EXT_CPUID, "EXT_CPUID"},
	{KVM_CAP_IRQFD, "IRQFD"},
	{KVM_CAP_IOEVENTFD, "IOEVENTFD"},
	{KVM_CAP_IOEVENTFD_ANY_LENGTH, "IOEVENTFD_ANY_LENGTH"},
	{KVM_CAP_TSC_DEADLINE_TIMER, "TSC_DEADLINE_TIMER"},
	{KVM_CAP_IMMEDIATE_EXIT, "IMMEDIATE_EXIT"},
};

static int check_caps(struct kvm *k, struct err *err)
{
	int version = ioctl(k->dev, KVM_GET_API_VERSION, 0);

	if (version != KVM_API_VERSION)
		return err_set(err, ENOTSUP,
			"/dev/kvm speaks version %d, needed is %d", version,
			KVM_API_VERSION);
	for (size_t i = 0; i < ARRAY_SIZE(required); i++)
		if (ioctl(k->dev, KVM_CHECK_EXTENSION, required[i].cap) <= 0)
			return err_set(err, ENOTSUP,
				"/dev/kvm has no KVM_CAP_%s", required[i].name);
	return 0;
}

/*
 * Lines lead to the IOAPIC only. By default they lead to the old PIC as well,
 * which the guest is told does not exist and so never silences.
 */
static int route_lines(struct kvm *k, struct err *err)
{
	_cleanup_free_ struct kvm_irq_routing *r =
		xcalloc(1, sizeof(*r) + GSI_LIMIT * sizeof(r->entries[0]));

	r->nr = GSI_LIMIT;
	for (uint32_t i = 0; i < GSI_LIMIT; i++) {
		r->entries[i].gsi = i;
		r->entries[i].type = KVM_IRQ_ROUTING_IRQCHIP;
		r->entries[i].u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
		r->entries[i].u.irqchip.pin = i;
	}
	if (ioctl(k->vm, KVM_SET_GSI_ROUTING, r) < 0)
		return err_sys(err, errno, "cannot route interrupts");
	return 0;
}

/* Kernels from 4.20 on keep port writes, too; the ring is one page. */
static size_t find_ring(const struct kvm *k)
{
	int page = ioctl(k->dev, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO);
	bool ports =
		ioctl(k->dev, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_PIO) > 0;

	if (!ports || page <= 0 || ((size_t)page + 1) * PAGE > k->run_size)
		return 0;
	return (size_t)page * PAGE;
}

/*
 * The whole interrupt controller is the kernel's: with a split one every
 * IOAPIC access of a stock kernel would come to us.
 */
static int make_machine(struct kvm *k, struct err *err)
{
	uint64_t identity = GPA_IDENTITY_MAP;
	int size;

	do
		k->vm = ioctl(k->dev, KVM_CREATE_VM, 0);
	while (k->vm < 0 && errno == EINTR);
	if (k->vm < 0)
		return err_sys(err, errno, "cannot create a virtual machine");
	if (ioctl(k->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0 ||
		ioctl(k->vm, KVM_SET_TSS_ADDR, GPA_TSS) < 0)
		return err_sys(err, errno, "cannot place the TSS");
	if (ioctl(k->vm, KVM_CREATE_IRQCHIP, 0) < 0)
		return err_sys(err, errno, "cannot make interrupt controllers");
	k->readonly =
		ioctl(k->dev, KVM_CHECK_EXTENSION, KVM_CAP_READONLY_MEM) > 0;
	size = ioctl(k->dev, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run))
		return err_set(
			err, EIO, "KVM_GET_VCPU_MMAP_SIZE says %d", size);
	k->run_size = (size_t)size;
	k->ring_at = find_ring(k);
	return route_lines(k, err);
}

int kvm_open(struct kvm *k, int dev, struct err *err)
{
	int r;

	*k = (struct kvm){.dev = dev, .vm = -1};
	r = check_caps(k, err);
	if (r == 0)
		r = make_machine(k, err);
	if (r < 0)
		kvm_done(k);
	return r;
}

void kvm_done(struct kvm *k)
{
	closep(&k->vm);
	closep(&k->dev);
}

void kvm_seal(struct kvm *k)
{
	closep(&k->dev);
}

static int add_slot(struct kvm *k, uint64_t gpa, void *hva, uint64_t len,
	uint32_t flags, struct err *err)
{
	struct kvm_userspace_memory_region slot = {
		.slot = k->n_slots,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = len,
		.userspace_addr = (uint64_t)(uintptr_t)hva,
	};

	if (ioctl(k->vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return err_sys(err, errno, "cannot give the guest memory");
	k->n_slots++;
	return 0;
}

int kvm_add_memory(
	struct kvm *k, uint64_t gpa, void *hva, uint64_t len, struct err *err)
{
	return add_slot(k, gpa, hva, len, 0, err);
}

int kvm_add_readonly(
	struct kvm *k, uint64_t gpa, void *hva, uint64_t len, struct err *err)
{
	if (!k->readonly)
		return 0;
	return add_slot(k, gpa, hva, len, KVM_MEM_READONLY, err);
}

int kvm_irqfd(struct kvm *k, unsigned gsi, int fd)
{
	struct kvm_irqfd irqfd = {.fd = (uint32_t)fd, .gsi = gsi};

	return ioctl(k->vm, KVM_IRQFD, &irqfd) < 0 ? -errno : 0;
}

/*
 * Length 0 matches a write of any size and value, so KVM need not decode the
 * instruction where the hardware lets it off.
 */
int kvm_doorbell(struct kvm *k, uint64_t gpa, int fd, int value)
{
	struct kvm_ioeventfd bell = {.addr = gpa, .len = 0, .fd = fd};

	if (value >= 0) {
		bell.len = 4;
		bell.datamatch = (uint64_t)value;
		bell.flags = KVM_IOEVENTFD_FLAG_DATAMATCH;
	}
	return ioctl(k->vm, KVM_IOEVENTFD, &bell) < 0 ? -errno : 0;
}

void kvm_keep_port(struct kvm *k, uint16_t port)
{
	struct kvm_coalesced_mmio_zone zone = {
		.addr = port, .size = 1, .pio = 1};

	if (k->ring_at && ioctl(k->vm, KVM_REGISTER_COALESCED_MMIO, &zone) < 0)
		k->ring_at = 0;
}

void kvm_irq(struct kvm *k, unsigned gsi)
{
	struct kvm_irq_level line = {.irq = gsi, .level = 1};

	(void)ioctl(k->vm, KVM_IRQ_LINE, &line);
	line.level = 0;
	(void)ioctl(k->vm, KVM_IRQ_LINE, &line);
}

int kvm_new_vcpu(struct kvm *k, unsigned index, int *ret_fd, struct err *err)
{
	int fd = ioctl(k->vm, KVM_CREATE_VCPU, (unsigned long)index);

	if (fd < 0)
		return err_sys(err, errno, "cannot make vCPU %u", index);
	*ret_fd = fd;
	return 0;
}

int kvm_supported_cpuid(struct kvm *k, struct kvm_cpuid2 **ret, struct err *err)
{
	struct kvm_cpuid2 *c =
		xcalloc(1, sizeof(*c) + KVM_CPUID_MAX * sizeof(c->entries[0]));

	c->nent = KVM_CPUID_MAX;
	if (ioctl(k->dev, KVM_GET_SUPPORTED_CPUID, c) < 0) {
		int r = err_sys(
			err, errno, "cannot ask for the CPU's features");
		free(c);
		return r;
	}
	*ret = c;
	return 0;
}
