/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/node.h"

static void table_grow(struct table *t)
{
	size_t n = t->n_slots ? t->n_slots * 2 : 64;
	struct hlink **slot = xcalloc(n, sizeof(*slot));

	for (size_t i = 0; i < t->n_slots; i++) {
		struct hlink *next;

		for (struct hlink *h = t->slot[i]; h; h = next) {
			next = h->next;
			h->next = slot[h->hash & (n - 1)];
			slot[h->hash & (n - 1)] = h;
		}
	}
	free(t->slot);
	t->slot = slot;
	t->n_slots = n;
}

void table_done(struct table *t)
{
	free(t->slot);
	*t = (struct table){0};
}

void table_add(struct table *t, struct hlink *h, uint64_t hash)
{
	struct hlink **slot;

	if (t->n >= t->n_slots)
		table_grow(t);
	slot = &t->slot[hash & (t->n_slots - 1)];
	h->hash = hash;
	h->next = *slot;
	*slot = h;
	t->n++;
}

void table_del(struct table *t, struct hlink *h)
{
	struct hlink **p = &t->slot[h->hash & (t->n_slots - 1)];

	while (*p != h)
		p = &(*p)->next;
	*p = h->next;
	t->n--;
}

static struct hlink *same_hash(struct hlink *h, uint64_t hash)
{
	while (h && h->hash != hash)
		h = h->next;
	return h;
}

struct hlink *table_first(const struct table *t, uint64_t hash)
{
	if (!t->n)
		return NULL;
	return same_hash(t->slot[hash & (t->n_slots - 1)], hash);
}

struct hlink *table_next(const struct hlink *h)
{
	return same_hash(h->next, h->hash);
}
