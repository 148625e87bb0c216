/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/vq.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	"ring fields are used as they lie in memory");

/* Offsets in the avail and used arrays, counted in 16-bit words. */
#define RING_FLAGS 0
#define RING_IDX 1
#define AVAIL_RING 2

static uint16_t load16(const uint16_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static void store16(uint16_t *p, uint16_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

/* The index first, then what it announces. */
static uint16_t avail_idx(const struct vq *q)
{
	return __atomic_load_n(&q->avail[RING_IDX], __ATOMIC_ACQUIRE);
}

static uint16_t *used_event(const struct vq *q)
{
	return &q->avail[AVAIL_RING + q->cfg.size];
}

static uint16_t *avail_event(const struct vq *q)
{
	return &q->used[2 + 4 * (size_t)q->cfg.size];
}

static int broken(struct vq *q)
{
	q->broken = true;
	return -EBADMSG;
}

int vq_start(struct vq *q, struct gmem *gm, const struct vq_config *cfg,
	uint16_t last_avail)
{
	size_t n = cfg->size, event = cfg->event_idx ? 2 : 0;
	const void *desc;
	uint16_t *avail, *used;

	assert(!q->live);
	if (!n || n > VQ_SIZE_MAX || (n & (n - 1)))
		return -EINVAL;
	/* virtio 1.2 section 2.7: alignments 16, 2, 4 */
	if (cfg->desc % 16 || cfg->avail % 2 || cfg->used % 4)
		return -EINVAL;
	desc = gmem_ptr(gm, cfg->desc, 16 * n);
	avail = gmem_ptr(gm, cfg->avail, 4 + 2 * n + event);
	used = gmem_ptr(gm, cfg->used, 4 + 8 * n + event);
	if (!desc || !avail || !used)
		return -EINVAL;
	*q = (struct vq){
		.cfg = *cfg,
		.gm = gmem_ref(gm),
		.desc = desc,
		.avail = avail,
		.used = used,
		.generation = q->generation + 1,
		.last_avail = last_avail,
		.used_idx = load16(&used[RING_IDX]),
		.live = true,
	};
	q->told_idx = q->used_idx;
	return 0;
}

uint16_t vq_stop(struct vq *q)
{
	if (!q->live)
		return q->last_avail;
	q->live = false;
	q->generation++;
	gmem_unref(q->gm);
	q->gm = NULL;
	q->desc = NULL;
	q->avail = q->used = NULL;
	return q->last_avail;
}

bool vq_pending(const struct vq *q)
{
	return q->live && !q->broken && avail_idx(q) != q->last_avail;
}

/* One walk over a chain: the table it is in, and what is still allowed. */
struct walk {
	const uint8_t *table;
	uint32_t n_table;
	uint32_t steps; /* left; a table cannot hold a longer chain */
	bool inside;    /* an indirect table */
	struct iovec *iov;
	unsigned n_iov;
	unsigned n;
	bool writing;
};

static struct vring_desc copy_desc(const struct walk *w, uint32_t i)
{
	struct vring_desc d;

	memcpy(&d, w->table + 16 * (size_t)i, sizeof(d));
	/* The copy is what is checked: never let the compiler read twice. */
	__asm__ volatile("" : "+m"(d) : : "memory");
	return d;
}

static int enter_indirect(
	struct vq *q, struct walk *w, const struct vring_desc *d)
{
	const uint8_t *table;

	/* section 2.7.5.3: one level, nothing after it, whole entries */
	if (!q->cfg.indirect || w->inside || (d->flags & VRING_DESC_F_NEXT))
		return -EBADMSG;
	if (!d->len || d->len % 16 || d->len / 16 > UINT16_MAX)
		return -EBADMSG;
	table = gmem_ptr(q->gm, d->addr, d->len);
	if (!table)
		return -EBADMSG;
	w->table = table;
	w->n_table = d->len / 16;
	w->steps = MIN(w->n_table, VQ_SIZE_MAX);
	w->inside = true;
	return 0;
}

/* Parts that touch become one: fewer vectors for preadv and friends. */
static bool extend_last(struct walk *w, const struct vq_chain *c, uint8_t *p,
	uint32_t len, bool write)
{
	struct iovec *last = &w->iov[w->n ? w->n - 1 : 0];

	if (write ? !c->n_wr : !c->n_rd)
		return false;
	if ((uint8_t *)last->iov_base + last->iov_len != p)
		return false;
	last->iov_len += len;
	return true;
}

static int add_part(struct vq *q, struct walk *w, struct vq_chain *c,
	const struct vring_desc *d)
{
	bool write = d->flags & VRING_DESC_F_WRITE;
	uint32_t *total = write ? &c->wr_len : &c->rd_len;
	uint8_t *p;

	/* section 2.7.4.2: all readable parts come before the writable ones */
	if (w->writing && !write)
		return -EBADMSG;
	w->writing = write;
	if (!d->len)
		return 0;
	p = gmem_ptr(q->gm, d->addr, d->len);
	if (!p || d->len > VQ_BYTES_MAX - *total)
		return -EBADMSG;
	*total += d->len;
	if (extend_last(w, c, p, d->len, write))
		return 0;
	if (w->n == w->n_iov)
		return -ENOBUFS;
	w->iov[w->n++] = (struct iovec){p, d->len};
	if (write)
		c->n_wr++;
	else
		c->n_rd++;
	return 0;
}

static int walk_chain(
	struct vq *q, struct walk *w, struct vq_chain *c, uint16_t head)
{
	uint32_t i = head;
	int r;

	for (;;) {
		struct vring_desc d;

		if (i >= w->n_table || !w->steps--)
			return -EBADMSG;
		d = copy_desc(w, i);
		if (d.flags & VRING_DESC_F_INDIRECT) {
			r = enter_indirect(q, w, &d);
			if (r < 0)
				return r;
			i = 0;
			continue;
		}
		r = add_part(q, w, c, &d);
		if (r < 0)
			return r;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
		i = d.next;
	}
}

int vq_pop(
	struct vq *q, struct iovec *iov, unsigned n_iov, struct vq_chain *ret)
{
	struct vq_chain c = {.generation = q->generation};
	struct walk w = {.iov = iov, .n_iov = n_iov};
	uint16_t ready;
	int r;

	if (!q->live)
		return 0;
	if (q->broken)
		return -EBADMSG;
	ready = (uint16_t)(avail_idx(q) - q->last_avail);
	if (!ready)
		return 0;
	if (ready > q->cfg.size)
		return broken(q);
	c.head = load16(
		&q->avail[AVAIL_RING + (q->last_avail & (q->cfg.size - 1))]);
	w.table = q->desc;
	w.n_table = w.steps = q->cfg.size;
	r = walk_chain(q, &w, &c, c.head);
	if (r == -ENOBUFS && n_iov < VQ_IOV_MAX)
		return r;
	if (r < 0)
		return broken(q);
	c.rd = iov;
	c.wr = iov + c.n_rd;
	q->last_avail++;
	*ret = c;
	return 1;
}

void vq_unpop(struct vq *q, unsigned n)
{
	q->last_avail = (uint16_t)(q->last_avail - n);
}

bool vq_push(struct vq *q, const struct vq_chain *c, uint32_t len)
{
	struct vring_used_elem *e;
	uint16_t slot;

	if (!q->live || c->generation != q->generation)
		return false;
	slot = q->used_idx & (q->cfg.size - 1);
	e = (struct vring_used_elem *)(void *)(q->used + 2) + slot;
	__atomic_store_n(&e->id, c->head, __ATOMIC_RELAXED);
	__atomic_store_n(&e->len, len, __ATOMIC_RELAXED);
	q->used_idx++;
	__atomic_store_n(&q->used[RING_IDX], q->used_idx, __ATOMIC_RELEASE);
	return true;
}

bool vq_should_notify(struct vq *q)
{
	uint16_t told = q->told_idx;
	bool valid = q->told_valid;

	if (!q->live || told == q->used_idx)
		return false;
	q->told_idx = q->used_idx;
	q->told_valid = true;
	/* Our index before its event: the driver does it the other way. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!q->cfg.event_idx)
		return !(load16(&q->avail[RING_FLAGS]) &
			VRING_AVAIL_F_NO_INTERRUPT);
	if (!valid)
		return true;
	return vring_need_event(load16(used_event(q)), q->used_idx, told);
}

void vq_kicks_off(struct vq *q)
{
	/* With event indices the driver kicks only at the one we named. */
	if (q->live && !q->cfg.event_idx)
		store16(&q->used[RING_FLAGS], VRING_USED_F_NO_NOTIFY);
}

bool vq_kicks_on(struct vq *q)
{
	if (!q->live)
		return false;
	if (q->cfg.event_idx)
		store16(avail_event(q), q->last_avail);
	else
		store16(&q->used[RING_FLAGS], 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return vq_pending(q);
}

uint16_t vq_offered(const struct vq *q)
{
	return q->live ? avail_idx(q) : 0;
}

void vq_kick_next(struct vq *q, uint16_t offered)
{
	if (q->live && q->cfg.event_idx)
		store16(avail_event(q), offered);
	else if (q->live)
		store16(&q->used[RING_FLAGS], 0);
}

size_t vq_iov_read(const struct iovec *iov, unsigned n, void *p, size_t len)
{
	uint8_t *to = p;
	size_t done = 0;

	for (unsigned i = 0; i < n && done < len; i++) {
		size_t k = MIN(iov[i].iov_len, len - done);

		memcpy(to + done, iov[i].iov_base, k);
		done += k;
	}
	return done;
}

size_t vq_iov_write(
	const struct iovec *iov, unsigned n, const void *p, size_t len)
{
	const uint8_t *from = p;
	size_t done = 0;

	for (unsigned i = 0; i < n && done < len; i++) {
		size_t k = MIN(iov[i].iov_len, len - done);

		memcpy(iov[i].iov_base, from + done, k);
		done += k;
	}
	return done;
}

unsigned vq_iov_slice(const struct iovec *in, unsigned n, size_t skip,
	size_t len, struct iovec *out)
{
	unsigned k = 0;

	for (unsigned i = 0; i < n && len; i++) {
		size_t part = in[i].iov_len;

		if (skip >= part) {
			skip -= part;
			continue;
		}
		part = MIN(part - skip, len);
		out[k++] =
			(struct iovec){(uint8_t *)in[i].iov_base + skip, part};
		skip = 0;
		len -= part;
	}
	return k;
}
