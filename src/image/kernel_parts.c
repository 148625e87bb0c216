/* SPDX-License-Identifier: Apache-2.0 */
#include "image/kernel_parts.h"

#include "base/fd.h"
#include "image/cpio.h"
#include "image/deb.h"
#include "image/kernel_elf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BLOCK (4 * KIB)

static bool is_zero(const uint8_t *p, size_t len)
{
	return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

/* The bytes from at on that are all holes, or all none, in whole blocks. */
static size_t run_of(const struct blob *b, size_t at, bool *ret_hole)
{
	size_t to = at;

	*ret_hole = is_zero(b->p + at, MIN(BLOCK, b->len - at));
	while (to < b->len &&
		is_zero(b->p + to, MIN(BLOCK, b->len - to)) == *ret_hole)
		to += MIN(BLOCK, b->len - to);
	return to - at;
}

/*
 * A kernel carries its .bss as zeros, a third of the file: holes are neither
 * stored here nor read at each start of a guest.
 */
static int write_sparse(int fd, const struct blob *b, struct err *err)
{
	int r = ftruncate(fd, (off_t)b->len) < 0 ? -errno : 0;
	size_t at = 0, n;
	bool hole;

	for (; at < b->len && r == 0; at += n) {
		n = run_of(b, at, &hole);
		if (hole)
			r = lseek(fd, (off_t)n, SEEK_CUR) < 0 ? -errno : 0;
		else
			r = fd_write_all(fd, b->p + at, n);
	}
	return r < 0 ? err_sys(err, -r, "cannot write the kernel") : 0;
}

static int write_blob(int fd, const struct blob *b, struct err *err)
{
	int r = fd_write_all(fd, b->p, b->len);

	return r < 0 ? err_sys(err, -r, "cannot write the kernel") : 0;
}

static int put_modules(struct cpio *c, const char *dir,
	const struct module_list *l, char *names, size_t names_len,
	struct err *err)
{
	size_t at = 0;

	if (l->n > KERNEL_MODULES_MAX)
		return err_set(err, EFBIG, "too many kernel modules");
	cpio_dir(c, dir);
	for (size_t k = 0; k < l->n; k++) {
		struct module *m = l->v[k];
		_cleanup_free_ char *path =
			xasprintf("%s/%02zu-%s.ko", dir, k, m->file);

		module_strip(m->p, &m->len);
		cpio_file(c, path, 0644, m->p, m->len);
		at += (size_t)snprintf(
			names + at, names_len - at, "%s\n", m->name);
		if (at >= names_len)
			return err_set(err, EFBIG, "too many kernel modules");
	}
	return 0;
}

static int pack(struct modules *mods, struct cpio *c, struct kernel_parts *ret,
	struct err *err)
{
	struct module_list early = {0}, late = {0};
	size_t missing = 0, optional = 0;
	int r = modules_select(
		mods, modules_early, n_modules_early, &early, &missing, err);

	if (r == 0)
		r = modules_select(mods, modules_late, n_modules_late, &late,
			&optional, err);
	if (r == 0)
		r = put_modules(c, "modules", &early, ret->early,
			sizeof(ret->early), err);
	if (r == 0)
		r = put_modules(c, "modules/late", &late, ret->late,
			sizeof(ret->late), err);
	cpio_end(c);
	/* without modules.builtin nobody knows what is missing */
	ret->missing = mods->builtin ? (uint32_t)missing : 0;
	module_list_done(&early);
	module_list_done(&late);
	return r;
}

int kernel_parts_make(struct kernel_src *s, int vmlinux_fd, int modules_fd,
	struct kernel_parts *ret, struct err *err)
{
	_cleanup_(cpio_done) struct cpio mods = {0};
	_cleanup_(blob_done) struct blob elf = {0};
	_cleanup_free_ char *version = NULL;
	int r = 0;

	if (s->deb >= 0)
		r = deb_kernel(s->deb, &s->image, &s->mods, err);
	if (r == 0)
		r = bzimage_unpack(
			s->image.p, s->image.len, VMLINUX_MAX, &elf, err);
	if (r == 0)
		r = vmlinux_version(elf.p, elf.len, &version, err);
	if (r == 0)
		r = pack(&s->mods, &mods, ret, err);
	if (r == 0)
		elf_split_tables(elf.p, elf.len);
	if (r == 0)
		r = write_sparse(vmlinux_fd, &elf, err);
	if (r == 0)
		r = write_blob(modules_fd, &mods.out, err);
	if (r == 0)
		snprintf(ret->version, sizeof(ret->version), "%s", version);
	return r;
}
