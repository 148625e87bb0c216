/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/ram_file.h"

#include "vmm/layout.h"

#include <errno.h>
#include <string.h>

static bool is_zero(const uint8_t *p)
{
	return p[0] == 0 && memcmp(p, p + 1, PAGE - 1) == 0;
}

static int write_at(int fd, const uint8_t *p, size_t len, uint64_t off)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* Runs of pages that hold something, each with one write. */
static int write_part(const struct ram_part *part, int fd)
{
	uint64_t at = 0;

	while (at < part->size) {
		uint64_t from = at;
		int r;

		if (is_zero(part->hva + at)) {
			at += PAGE;
			continue;
		}
		while (at < part->size && at - from < MIB &&
			!is_zero(part->hva + at))
			at += PAGE;
		r = write_at(
			fd, part->hva + from, at - from, part->offset + from);
		if (r < 0)
			return r;
	}
	return 0;
}

int ram_write(const struct ram *ram, int fd, struct err *err)
{
	int r = 0;

	if (ftruncate(fd, (off_t)ram->size) < 0)
		return err_sys(err, errno, "cannot size the memory file");
	for (unsigned i = 0; i < ram->n && r == 0; i++)
		r = write_part(&ram->part[i], fd);
	return r < 0 ? err_sys(err, -r, "cannot write the memory file") : 0;
}
