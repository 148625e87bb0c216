/* SPDX-License-Identifier: Apache-2.0 */
#include "image/bzimage.h"

#include "wire/wire.h"

#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <lz4.h>
#include <string.h>

/* The setup header, offsets from the start of the file. */
#define SETUP_SECTS 0x1f1u
#define SETUP_MAGIC 0x202u
#define SETUP_VERSION 0x206u
#define SETUP_PAYLOAD 0x248u
#define SETUP_PAYLOAD_LEN 0x24cu
#define SETUP_MIN 0x250u

#define LZ4_LEGACY 0x184C2102u
#define LZ4_CHUNK (8 * MIB) /* of the legacy format, uncompressed */

static int bad(struct err *err, const char *why)
{
	return err_set(err, EBADMSG, "not a usable x86-64 kernel: %s", why);
}

static bool has_magic(const uint8_t *p, size_t len, const char *magic, size_t n)
{
	return len >= n && memcmp(p, magic, n) == 0;
}

/* Decoders. */

static void archive_freep(struct archive **a)
{
	if (*a)
		archive_read_free(*a);
}

/* Reads the one "entry" of a raw stream to its end. */
static int slurp_archive(
	struct archive *a, size_t max, struct blob *ret, struct err *err)
{
	_cleanup_(blob_done) struct blob b = {0};
	size_t cap = 64 * KIB;

	b.p = xcalloc(1, cap);
	for (;;) {
		la_ssize_t n = archive_read_data(a, b.p + b.len, cap - b.len);

		if (n < 0)
			return bad(err, "its compressed data is damaged");
		if (n == 0)
			break;
		b.len += (size_t)n;
		if (b.len > max)
			return bad(err, "it unpacks to too many bytes");
		if (b.len == cap) {
			cap *= 2;
			b.p = xrealloc(b.p, cap, 1);
		}
	}
	ret->len = b.len;
	ret->p = TAKE_PTR(b.p);
	return 0;
}

int blob_decompress(const uint8_t *p, size_t len, size_t max, struct blob *ret,
	struct err *err)
{
	_cleanup_(archive_freep) struct archive *a = archive_read_new();
	struct archive_entry *e;

	if (!a || archive_read_support_format_raw(a) != ARCHIVE_OK ||
		archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
		archive_read_support_filter_xz(a) != ARCHIVE_OK ||
		archive_read_support_filter_zstd(a) != ARCHIVE_OK)
		return err_set(err, ENOSYS,
			"libarchive lacks gzip, xz or zstd support");
	if (archive_read_open_memory(a, p, len) != ARCHIVE_OK ||
		archive_read_next_header(a, &e) != ARCHIVE_OK)
		return bad(err, "its compressed data is damaged");
	return slurp_archive(a, max, ret, err);
}

/*
 * The legacy LZ4 stream of "lz4 -l": magic, then chunks of le32 length and
 * data. The kernel's build appends the unpacked size as four more bytes.
 */
static int unpack_lz4(const uint8_t *p, size_t len, size_t max,
	struct blob *ret, struct err *err)
{
	_cleanup_(blob_done) struct blob b = {0};
	uint32_t total;

	if (len < 12)
		return bad(err, "its LZ4 data is cut short");
	total = get_le32(p + len - 4);
	if (total == 0 || total > max)
		return bad(err, "it unpacks to too many bytes");
	b.p = xcalloc(1, total);
	p += 4;
	len -= 8;
	while (len >= 4) {
		uint32_t n = get_le32(p);
		size_t room = MIN((size_t)LZ4_CHUNK, total - b.len);
		int got;

		if (n == LZ4_LEGACY) {
			p += 4;
			len -= 4;
			continue;
		}
		if (n == 0 || n > len - 4)
			return bad(err, "its LZ4 data is damaged");
		got = LZ4_decompress_safe((const char *)p + 4,
			(char *)b.p + b.len, (int)n, (int)room);
		if (got < 0)
			return bad(err, "its LZ4 data is damaged");
		b.len += (size_t)got;
		p += 4 + n;
		len -= 4 + n;
	}
	if (b.len != total)
		return bad(err, "its LZ4 data is cut short");
	ret->len = b.len;
	ret->p = TAKE_PTR(b.p);
	return 0;
}

static int unpack(const uint8_t *p, size_t len, size_t max, struct blob *ret,
	struct err *err)
{
	if (has_magic(p, len, "\x02\x21\x4c\x18", 4))
		return unpack_lz4(p, len, max, ret, err);
	if (has_magic(p, len, "\x1f\x8b", 2))
		return blob_decompress(p, len, max, ret, err);
	/* xz and zstd payloads end in the unpacked size, as LZ4 does */
	if (has_magic(p, len, "\xfd\x37zXZ", 5) ||
		has_magic(p, len, "\x28\xb5\x2f\xfd", 4))
		return blob_decompress(p, len - 4, max, ret, err);
	return bad(err, "its compression is none of lz4, gzip, xz, zstd");
}

static int find_payload(const uint8_t *p, size_t len, const uint8_t **ret_p,
	size_t *ret_len, struct err *err)
{
	uint64_t start, sects;
	uint32_t n;

	if (len < SETUP_MIN || get_le32(p + SETUP_MAGIC) != 0x53726448)
		return bad(err, "neither an ELF file nor a bzImage");
	if (get_le16(p + SETUP_VERSION) < 0x208)
		return bad(err, "its boot protocol is older than 2.08");
	sects = p[SETUP_SECTS] ? p[SETUP_SECTS] : 4;
	start = (sects + 1) * 512 + get_le32(p + SETUP_PAYLOAD);
	n = get_le32(p + SETUP_PAYLOAD_LEN);
	if (start > len || n > len - start)
		return bad(err, "its payload lies outside the file");
	*ret_p = p + start;
	*ret_len = n;
	return 0;
}

int bzimage_unpack(const uint8_t *p, size_t len, size_t max, struct blob *ret,
	struct err *err)
{
	_cleanup_(blob_done) struct blob b = {0};
	const uint8_t *payload = NULL;
	size_t payload_len = 0;
	int r;

	if (has_magic(p, len, ELFMAG, SELFMAG)) {
		if (len > max)
			return bad(err, "the file is too large");
		b.p = xcalloc(1, len);
		memcpy(b.p, p, len);
		b.len = len;
	} else {
		r = find_payload(p, len, &payload, &payload_len, err);
		if (r == 0)
			r = unpack(payload, payload_len, max, &b, err);
		if (r < 0)
			return r;
	}
	r = vmlinux_check(b.p, b.len, err);
	if (r < 0)
		return r;
	ret->len = b.len;
	ret->p = TAKE_PTR(b.p);
	return 0;
}

/* The ELF. */

static int check_segment(const Elf64_Phdr *ph, size_t len, struct err *err)
{
	if (ph->p_type != PT_LOAD)
		return 0;
	if (ph->p_offset > len || ph->p_filesz > len - ph->p_offset ||
		ph->p_filesz > ph->p_memsz)
		return bad(err, "an ELF segment lies outside the file");
	if (ph->p_paddr > 4 * GIB || ph->p_memsz > 4 * GIB)
		return bad(err, "an ELF segment lies above 4 GiB");
	return 1;
}

int vmlinux_check(const uint8_t *p, size_t len, struct err *err)
{
	Elf64_Ehdr eh;
	int loads = 0;

	if (len < sizeof(eh))
		return bad(err, "the ELF file is cut short");
	memcpy(&eh, p, sizeof(eh));
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 ||
		eh.e_ident[EI_CLASS] != ELFCLASS64 ||
		eh.e_ident[EI_DATA] != ELFDATA2LSB ||
		eh.e_machine != EM_X86_64 ||
		(eh.e_type != ET_EXEC && eh.e_type != ET_DYN))
		return bad(err, "no executable for x86-64");
	if (eh.e_phentsize != sizeof(Elf64_Phdr) || eh.e_phnum > 64 ||
		eh.e_phoff > len ||
		eh.e_phnum * sizeof(Elf64_Phdr) > len - eh.e_phoff)
		return bad(err, "its program headers lie outside the file");
	for (unsigned int k = 0; k < eh.e_phnum; k++) {
		Elf64_Phdr ph;
		int r;

		memcpy(&ph, p + eh.e_phoff + k * sizeof(ph), sizeof(ph));
		r = check_segment(&ph, len, err);
		if (r < 0)
			return r;
		loads += r;
	}
	return loads ? 0 : bad(err, "it has nothing to load");
}

int vmlinux_version(const uint8_t *p, size_t len, char **ret, struct err *err)
{
	static const char banner[] = "Linux version ";
	const uint8_t *end = p + len, *at = p;
	size_t skip = sizeof(banner) - 1;

	while ((at = memmem(at, (size_t)(end - at), banner, skip))) {
		size_t n = 0;

		at += skip;
		while (n < 64 && n < (size_t)(end - at) &&
			(isalnum(at[n]) || strchr(".-+_~", at[n])) && at[n])
			n++;
		/* a format string of the same words has '%' here */
		if (n >= 3 && n < 64 && isdigit(at[0])) {
			*ret = xstrndup((const char *)at, n);
			return 0;
		}
	}
	return bad(err, "it has no version banner");
}
