/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "image/mkelf.h"

#include "wire/wire.h"

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <errno.h>
#include <lz4.h>
#include <string.h>

static const char banner[] = "..Linux version %s (x)..Linux version "
			     "6.1.0-9-cloud-amd64 (b@d) #1 SMP";

/* LZ4 legacy: magic, one chunk, then the size the kernel's build appends. */
static struct blob lz4_payload(const struct blob *b)
{
	int max = LZ4_compressBound((int)b->len), n;
	struct blob out = {xcalloc(1, (size_t)max + 12), 0};

	n = LZ4_compress_default(
		(char *)b->p, (char *)out.p + 8, (int)b->len, max);
	assert_true(n > 0);
	put_le32(out.p, 0x184C2102);
	put_le32(out.p + 4, (uint32_t)n);
	put_le32(out.p + 8 + n, (uint32_t)b->len);
	out.len = (size_t)n + 12;
	return out;
}

static struct blob archive_payload(
	const struct blob *b, const char *filter, bool size)
{
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	struct blob out = {xcalloc(1, 64 * KIB), 0};

	archive_write_set_format_raw(a);
	assert_int_equal(
		archive_write_add_filter_by_name(a, filter), ARCHIVE_OK);
	archive_write_set_bytes_per_block(a, 0);
	archive_write_open_memory(a, out.p, 60 * KIB, &out.len);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_size(e, (la_int64_t)b->len);
	archive_write_header(a, e);
	archive_write_data(a, b->p, b->len);
	archive_write_close(a);
	archive_entry_free(e);
	archive_write_free(a);
	if (size) {
		put_le32(out.p + out.len, (uint32_t)b->len);
		out.len += 4;
	}
	return out;
}

static void expect_kernel(const struct blob *payload, const struct blob *elf)
{
	struct blob bz = elf_bzimage(payload->p, payload->len, 0x20f);
	_cleanup_free_ char *version = NULL;
	struct blob got = {0};
	struct err err = {0};

	assert_int_equal(bzimage_unpack(bz.p, bz.len, MIB, &got, &err), 0);
	assert_int_equal(got.len, elf->len);
	assert_memory_equal(got.p, elf->p, elf->len);
	assert_int_equal(vmlinux_version(got.p, got.len, &version, &err), 0);
	assert_string_equal(version, "6.1.0-9-cloud-amd64");
	blob_done(&got);
	blob_done(&bz);
}

static void test_formats(void **state)
{
	struct blob elf = elf_kernel(banner);
	struct blob p = lz4_payload(&elf);

	expect_kernel(&p, &elf);
	blob_done(&p);
	p = archive_payload(&elf, "gzip", false);
	expect_kernel(&p, &elf);
	blob_done(&p);
	p = archive_payload(&elf, "xz", true);
	expect_kernel(&p, &elf);
	blob_done(&p);
	p = archive_payload(&elf, "zstd", true);
	expect_kernel(&p, &elf);
	blob_done(&p);
	blob_done(&elf);
}

static void test_elf_as_it_is(void **state)
{
	struct blob elf = elf_kernel(banner), got = {0};
	struct err err = {0};

	assert_int_equal(bzimage_unpack(elf.p, elf.len, MIB, &got, &err), 0);
	assert_memory_equal(got.p, elf.p, elf.len);
	blob_done(&got);
	/* and not when it is larger than allowed */
	assert_int_equal(
		bzimage_unpack(elf.p, elf.len, elf.len - 1, &got, &err),
		-EBADMSG);
	blob_done(&elf);
}

static void refused(const struct blob *b, const char *word)
{
	struct blob got = {0};
	struct err err = {0};

	assert_int_equal(
		bzimage_unpack(b->p, b->len, MIB, &got, &err), -EBADMSG);
	if (!strstr(err.text, word))
		fail_msg("'%s' does not say '%s'", err.text, word);
	assert_null(got.p);
}

static void test_refusals(void **state)
{
	struct blob elf = elf_kernel(banner);
	struct blob p = lz4_payload(&elf);
	struct blob bz = elf_bzimage(p.p, p.len, 0x207);
	struct blob junk = {(uint8_t *)xstrdup("junk"), 4};

	refused(&junk, "neither");
	refused(&bz, "older");
	put_le16(bz.p + 0x206, 0x20f);
	put_le32(bz.p + 0x24c, (uint32_t)p.len + 1);
	refused(&bz, "outside");
	put_le32(bz.p + 0x24c, UINT32_MAX);
	put_le32(bz.p + 0x248, UINT32_MAX);
	refused(&bz, "outside");
	put_le32(bz.p + 0x248, 16);
	put_le32(bz.p + 0x24c, 8);
	refused(&bz, "cut short");
	put_le32(bz.p + 0x24c, (uint32_t)p.len);
	/* a size that the data does not have, and one beyond the maximum */
	put_le32(bz.p + bz.len - 4, (uint32_t)elf.len + 1);
	refused(&bz, "cut short");
	put_le32(bz.p + bz.len - 4, 0x7fffffff);
	refused(&bz, "too many");
	put_le32(bz.p + bz.len - 4, (uint32_t)elf.len);
	put_le32(bz.p + 1040 + 4, 0x00ffffff);
	refused(&bz, "damaged");
	memcpy(bz.p + 1040, "????", 4);
	refused(&bz, "none of");
	blob_done(&junk);
	blob_done(&bz);
	blob_done(&p);
	blob_done(&elf);
}

static void test_bomb(void **state)
{
	struct blob zeros = {xcalloc(1, 4 * MIB), 4 * MIB};
	struct blob p = archive_payload(&zeros, "gzip", false);
	struct blob bz = elf_bzimage(p.p, p.len, 0x20f);

	refused(&bz, "too many");
	blob_done(&bz);
	blob_done(&p);
	blob_done(&zeros);
}

static void bad_elf(struct blob *b, const char *word)
{
	struct err err = {0};

	assert_int_equal(vmlinux_check(b->p, b->len, &err), -EBADMSG);
	if (!strstr(err.text, word))
		fail_msg("'%s' does not say '%s'", err.text, word);
}

static void test_elf_checks(void **state)
{
	struct blob b = elf_kernel(banner);
	Elf64_Ehdr eh;
	Elf64_Phdr ph;

	memcpy(&eh, b.p, sizeof(eh));
	memcpy(&ph, b.p + sizeof(eh), sizeof(ph));
	assert_int_equal(vmlinux_check(b.p, b.len, NULL), 0);
#define WITH(s, field, value, at, word)            \
	do {                                       \
		typeof(s) c = s;                   \
		c.field = value;                   \
		memcpy(b.p + (at), &c, sizeof(c)); \
		bad_elf(&b, word);                 \
		memcpy(b.p + (at), &s, sizeof(s)); \
	} while (0)
	WITH(eh, e_machine, EM_AARCH64, 0, "x86-64");
	WITH(eh, e_type, ET_REL, 0, "x86-64");
	WITH(eh, e_phnum, 65, 0, "headers");
	WITH(eh, e_phoff, UINT64_MAX, 0, "headers");
	WITH(eh, e_phentsize, 8, 0, "headers");
	WITH(ph, p_type, PT_NOTE, sizeof(eh), "nothing to load");
	WITH(ph, p_offset, UINT64_MAX, sizeof(eh), "segment");
	WITH(ph, p_filesz, UINT64_MAX, sizeof(eh), "segment");
	WITH(ph, p_memsz, 1, sizeof(eh), "segment");
	WITH(ph, p_paddr, 5 * GIB, sizeof(eh), "4 GiB");
#undef WITH
	b.len = 63;
	bad_elf(&b, "cut short");
	b.len = 100;
	bad_elf(&b, "headers");
	blob_done(&b);
}

static void test_no_version(void **state)
{
	static const char *const texts[] = {"nothing", "Linux version ",
		"Linux version %s", "Linux version ../../etc",
		"Linux version 6", ""};

	for (size_t k = 0; k < ARRAY_SIZE(texts); k++) {
		char *version = NULL;

		assert_int_equal(vmlinux_version((const uint8_t *)texts[k],
					 strlen(texts[k]), &version, NULL),
			-EBADMSG);
		assert_null(version);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_elf_as_it_is),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_elf_checks),
		cmocka_unit_test(test_no_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
