/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/snapshot.h"

#include "base/fd.h"
#include "wire/tlv.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum section {
	SN_VERSION = 1,
	SN_MEMORY = 2,
	SN_CPUS = 3,
	SN_CPUID = 4,
	SN_VCPU = 5, /* one for each processor, in order */
	SN_CLOCK = 6,
	SN_IRQCHIP = 7, /* three */
	SN_UART = 8,
	SN_DEVICE = 9, /* nested, in the order of the bus */
	SN_END = 10,   /* a file without it was cut short */
};

enum device_field { SD_ID = 1, SD_MMIO = 2, SD_EXTRA = 3 };

void snapshot_done(struct snapshot *s)
{
	free(TAKE_PTR(s->cpuid));
	free(TAKE_PTR(s->vcpu));
	for (size_t i = 0; i < s->n_devices; i++)
		free(TAKE_PTR(s->device[i].extra));
	s->n_devices = 0;
}

static size_t cpuid_len(uint32_t n)
{
	return sizeof(struct kvm_cpuid2) + n * sizeof(struct kvm_cpuid_entry2);
}

static int put_device(struct buf *b, const struct snapshot_device *d)
{
	size_t mark = tlv_begin(b, SN_DEVICE);
	int r = mark == (size_t)-1 ? -ENOBUFS : 0;

	r = r ? r : tlv_put_u32(b, SD_ID, d->id);
	r = r ? r : tlv_put(b, SD_MMIO, &d->mmio, sizeof(d->mmio));
	r = r ? r : tlv_put(b, SD_EXTRA, d->extra, d->extra_len);
	if (r == 0)
		tlv_end(b, mark);
	return r;
}

int snapshot_encode(const struct snapshot *s, struct buf *b)
{
	int r = tlv_put_u32(b, SN_VERSION, SNAPSHOT_VERSION);

	r = r ? r : tlv_put_u64(b, SN_MEMORY, s->memory);
	r = r ? r : tlv_put_u32(b, SN_CPUS, s->cpus);
	r = r ? r : tlv_put(b, SN_CPUID, s->cpuid, cpuid_len(s->cpuid->nent));
	for (uint32_t i = 0; i < s->cpus && r == 0; i++)
		r = tlv_put(b, SN_VCPU, &s->vcpu[i], sizeof(s->vcpu[i]));
	r = r ? r : tlv_put(b, SN_CLOCK, &s->clock, sizeof(s->clock));
	for (size_t i = 0; i < ARRAY_SIZE(s->irqchip) && r == 0; i++)
		r = tlv_put(
			b, SN_IRQCHIP, &s->irqchip[i], sizeof(s->irqchip[i]));
	r = r ? r : tlv_put(b, SN_UART, &s->uart, sizeof(s->uart));
	for (size_t i = 0; i < s->n_devices && r == 0; i++)
		r = put_device(b, &s->device[i]);
	return r ? r : tlv_put_u32(b, SN_END, 0);
}

/* --- decoding --------------------------------------------------------------- */

struct progress {
	struct snapshot s;
	uint32_t n_irqchips;
	bool version;
	bool clock;
	bool uart;
	bool end;
};

static int take(const struct tlv *t, void *to, size_t len)
{
	if (t->len != len)
		return -EBADMSG;
	memcpy(to, t->p, len);
	return 0;
}

static int take_cpus(const struct tlv *t, struct snapshot *s)
{
	if (s->vcpu || tlv_u32(t, &s->cpus) < 0 || s->cpus < 1 ||
		s->cpus > VCPU_MAX)
		return -EBADMSG;
	s->vcpu = xcalloc(s->cpus, sizeof(*s->vcpu));
	return 0;
}

static int take_vcpu(const struct tlv *t, struct snapshot *s)
{
	if (s->n_vcpus >= s->cpus)
		return -EBADMSG;
	return take(t, &s->vcpu[s->n_vcpus++], sizeof(*s->vcpu));
}

static int take_cpuid(const struct tlv *t, struct snapshot *s)
{
	uint32_t n;

	if (s->cpuid || t->len < sizeof(struct kvm_cpuid2))
		return -EBADMSG;
	n = get_le32(t->p);
	if (n > KVM_CPUID_MAX || t->len != cpuid_len(n))
		return -EBADMSG;
	s->cpuid = xcalloc(1, t->len);
	memcpy(s->cpuid, t->p, t->len);
	return 0;
}

static int take_extra(const struct tlv *t, struct snapshot_device *d)
{
	if (d->extra || t->len > SNAPSHOT_EXTRA_MAX)
		return -EBADMSG;
	d->extra = xcalloc(1, t->len + 1u);
	memcpy(d->extra, t->p, t->len);
	d->extra_len = t->len;
	return 0;
}

static int take_device(const struct tlv *t, struct snapshot *s)
{
	struct tlv_iter it = tlv_iter(t->p, t->len);
	struct snapshot_device *d = &s->device[s->n_devices];
	struct tlv f;
	int r;

	if (s->n_devices == VIRTIO_MAX)
		return -EBADMSG;
	s->n_devices++; /* so that snapshot_done() frees it */
	while ((r = tlv_next(&it, &f)) > 0) {
		if (f.tag == SD_ID)
			r = tlv_u32(&f, &d->id);
		else if (f.tag == SD_MMIO)
			r = take(&f, &d->mmio, sizeof(d->mmio));
		else if (f.tag == SD_EXTRA)
			r = take_extra(&f, d);
		if (r < 0)
			return r;
	}
	return r;
}

static int take_section(const struct tlv *t, struct progress *p)
{
	struct snapshot *s = &p->s;
	uint32_t v;

	switch (t->tag) {
	case SN_VERSION:
		p->version = tlv_u32(t, &v) == 0 && v == SNAPSHOT_VERSION;
		return p->version ? 0 : -EBADMSG;
	case SN_MEMORY:
		return tlv_u64(t, &s->memory);
	case SN_CPUS:
		return take_cpus(t, s);
	case SN_CPUID:
		return take_cpuid(t, s);
	case SN_VCPU:
		return take_vcpu(t, s);
	case SN_CLOCK:
		p->clock = true;
		return take(t, &s->clock, sizeof(s->clock));
	case SN_IRQCHIP:
		if (p->n_irqchips == ARRAY_SIZE(s->irqchip))
			return -EBADMSG;
		return take(
			t, &s->irqchip[p->n_irqchips++], sizeof(s->irqchip[0]));
	case SN_UART:
		p->uart = true;
		return take(t, &s->uart, sizeof(s->uart));
	case SN_DEVICE:
		return take_device(t, s);
	case SN_END:
		p->end = true;
		return 0;
	default:
		return -EBADMSG;
	}
}

static bool complete(const struct progress *p)
{
	return p->version && p->end && p->clock && p->uart && p->s.cpuid &&
		p->s.vcpu && p->s.n_vcpus == p->s.cpus &&
		p->n_irqchips == ARRAY_SIZE(p->s.irqchip);
}

int snapshot_decode(
	const uint8_t *p, size_t len, struct snapshot *ret, struct err *err)
{
	_cleanup_free_ struct progress *pr = xnew(struct progress);
	struct tlv_iter it = tlv_iter(p, len);
	struct tlv t;
	int r;

	while ((r = tlv_next(&it, &t)) > 0) {
		r = pr->end ? -EBADMSG : take_section(&t, pr);
		if (r < 0)
			break;
	}
	if (r < 0 || !complete(pr)) {
		snapshot_done(&pr->s);
		return err_set(err, EBADMSG,
			"the snapshot is damaged or of another version");
	}
	*ret = pr->s;
	return 0;
}

int snapshot_write(const struct snapshot *s, int fd, struct err *err)
{
	struct buf b;
	int r;

	buf_init(&b, SNAPSHOT_MAX);
	r = snapshot_encode(s, &b);
	if (r == 0)
		r = fd_write_all(fd, buf_head(&b), buf_len(&b));
	buf_done(&b);
	return r < 0 ? err_sys(err, -r, "cannot write the snapshot") : 0;
}

int snapshot_read(int fd, struct snapshot *ret, struct err *err)
{
	_cleanup_free_ uint8_t *p = NULL;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 1 ||
		st.st_size > (off_t)SNAPSHOT_MAX)
		return err_set(err, EINVAL, "this is no snapshot");
	p = xcalloc(1, (size_t)st.st_size);
	r = fd_read_all(fd, p, (size_t)st.st_size);
	if (r < 0)
		return err_sys(err, -r, "cannot read the snapshot");
	return snapshot_decode(p, (size_t)st.st_size, ret, err);
}
