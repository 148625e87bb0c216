/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/aml.h"

#include "wire/wire.h"

#include <assert.h>
#include <string.h>

#define PKG_LEN 3u /* we always write the three-byte form: up to 1 MiB */

static void put(struct aml *a, const void *p, size_t len)
{
	assert(len <= a->cap - a->used);
	memcpy(a->p + a->used, p, len);
	a->used += len;
}

static void put8(struct aml *a, uint8_t v)
{
	put(a, &v, 1);
}

static void put16(struct aml *a, uint16_t v)
{
	uint8_t b[2];

	put_le16(b, v);
	put(a, b, sizeof(b));
}

static void put32(struct aml *a, uint32_t v)
{
	uint8_t b[4];

	put_le32(b, v);
	put(a, b, sizeof(b));
}

static void put_int(struct aml *a, uint32_t v)
{
	put8(a, 0x0c); /* DWordPrefix */
	put32(a, v);
}

static void put_name(struct aml *a, const char *name)
{
	assert(strlen(name) == 4);
	put8(a, 0x08); /* NameOp */
	put(a, name, 4);
}

/* The length comes when the block ends; it counts its own bytes. */
static size_t begin(struct aml *a)
{
	static const uint8_t room[PKG_LEN];
	size_t mark = a->used;

	put(a, room, sizeof(room));
	return mark;
}

void aml_end(struct aml *a, size_t mark)
{
	size_t len = a->used - mark;

	assert(len < 1u << 20);
	a->p[mark] = (uint8_t)(2u << 6 | (len & 0xf));
	a->p[mark + 1] = (uint8_t)(len >> 4);
	a->p[mark + 2] = (uint8_t)(len >> 12);
}

size_t aml_scope(struct aml *a, const char *path)
{
	put8(a, 0x10); /* ScopeOp */
	size_t mark = begin(a);
	put(a, path, strlen(path));
	return mark;
}

size_t aml_device(struct aml *a, const char *name)
{
	put8(a, 0x5b); /* ExtOpPrefix */
	put8(a, 0x82); /* DeviceOp */
	size_t mark = begin(a);
	assert(strlen(name) == 4);
	put(a, name, 4);
	return mark;
}

void aml_name_int(struct aml *a, const char *name, uint32_t value)
{
	put_name(a, name);
	put_int(a, value);
}

void aml_name_str(struct aml *a, const char *name, const char *value)
{
	put_name(a, name);
	put8(a, 0x0d); /* StringPrefix */
	put(a, value, strlen(value) + 1);
}

static uint32_t hex(char c)
{
	return (uint32_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* Three letters of five bits, four hex digits; big-endian. */
void aml_name_eisa(struct aml *a, const char *name, const char *id)
{
	uint32_t v = 0;

	assert(strlen(id) == 7);
	for (int i = 0; i < 3; i++)
		v = v << 5 | ((uint32_t)id[i] - 0x40);
	for (int i = 3; i < 7; i++)
		v = v << 4 | hex(id[i]);
	put_name(a, name);
	put_int(a, __builtin_bswap32(v));
}

void aml_name_sleep(struct aml *a, const char *name, uint8_t type)
{
	put_name(a, name);
	put8(a, 0x12); /* PackageOp */
	size_t mark = begin(a);
	put8(a, 4);
	put8(a, 0x0a); /* BytePrefix */
	put8(a, type);
	for (int i = 0; i < 3; i++)
		put8(a, 0x00); /* ZeroOp */
	aml_end(a, mark);
}

/* Buffer (DefBuffer): its size is a DWord, fixed up by aml_crs_end(). */
size_t aml_crs_begin(struct aml *a)
{
	put_name(a, "_CRS");
	put8(a, 0x11); /* BufferOp */
	size_t mark = begin(a);
	put_int(a, 0);
	return mark;
}

void aml_crs_mem(struct aml *a, uint32_t base, uint32_t len)
{
	put8(a, 0x86); /* 32-bit fixed memory range */
	put16(a, 9);
	put8(a, 1); /* writable */
	put32(a, base);
	put32(a, len);
}

void aml_crs_io(struct aml *a, uint16_t base, uint8_t len)
{
	put8(a, 0x47); /* I/O port descriptor */
	put8(a, 1);    /* decodes 16 bits */
	put16(a, base);
	put16(a, base);
	put8(a, 1);
	put8(a, len);
}

void aml_crs_irq(struct aml *a, uint32_t gsi)
{
	put8(a, 0x89); /* extended interrupt */
	put16(a, 6);
	put8(a, 0x03); /* consumer, edge, active high, exclusive */
	put8(a, 1);
	put32(a, gsi);
}

void aml_crs_end(struct aml *a, size_t mark)
{
	put8(a, 0x79); /* end tag, no checksum */
	put8(a, 0);
	size_t bytes = a->used - (mark + PKG_LEN + 5);
	put_le32(a->p + mark + PKG_LEN + 1, (uint32_t)bytes);
	aml_end(a, mark);
}
