/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/blk_io.h"

#include "wire/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/virtio_blk.h>
#include <string.h>

#define HEADER 16u /* type, priority, sector */
#define RANGE 16u  /* sector, number of sectors, flags */
#define RANGE_UNMAP 1u

struct request {
	uint32_t type;
	uint64_t sector;
	uint32_t written; /* bytes of data put into the chain */
};

/* True when both are whole sectors inside the disk. */
static bool inside(const struct blk_io *io, uint64_t sector, uint64_t bytes)
{
	uint64_t n = bytes / BLK_SECTOR;

	return bytes % BLK_SECTOR == 0 && sector <= io->sectors &&
		n <= io->sectors - sector;
}

/* Moves all of iov; 0 or -errno. The parts are changed. */
static int transfer(
	int fd, struct iovec *iov, unsigned n, uint64_t off, bool out)
{
	while (n > 0) {
		ssize_t r = out ? pwritev(fd, iov, (int)n, (off_t)off)
				: preadv(fd, iov, (int)n, (off_t)off);
		size_t left = r > 0 ? (size_t)r : 0;

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? -errno : -EIO; /* a file cut short */
		off += left;
		while (n > 0 && left >= iov->iov_len) {
			left -= iov->iov_len;
			iov++;
			n--;
		}
		if (n > 0) {
			iov->iov_base = (uint8_t *)iov->iov_base + left;
			iov->iov_len -= left;
		}
	}
	return 0;
}

static int do_read(
	struct blk_io *io, const struct vq_chain *c, struct request *rq)
{
	struct iovec part[VQ_IOV_MAX];
	uint32_t len = c->wr_len - 1; /* the last byte is the status */
	unsigned n;
	int r;

	if (!inside(io, rq->sector, len))
		return -EINVAL;
	n = vq_iov_slice(c->wr, c->n_wr, 0, len, part);
	r = transfer(io->fd, part, n, rq->sector * BLK_SECTOR, false);
	if (r == 0) {
		rq->written = len;
		io->stats.bytes_read += len;
	}
	return r;
}

static int do_write(
	struct blk_io *io, const struct vq_chain *c, const struct request *rq)
{
	struct iovec part[VQ_IOV_MAX];
	uint32_t len = c->rd_len - HEADER;
	unsigned n;
	int r;

	if (io->read_only)
		return -EROFS;
	if (!inside(io, rq->sector, len))
		return -EINVAL;
	n = vq_iov_slice(c->rd, c->n_rd, HEADER, len, part);
	r = transfer(io->fd, part, n, rq->sector * BLK_SECTOR, true);
	if (r == 0)
		io->stats.bytes_written += len;
	return r;
}

static int do_flush(struct blk_io *io)
{
	io->stats.flushes++;
	if (io->read_only)
		return 0;
	return fdatasync(io->fd) < 0 ? -errno : 0;
}

/* Zeros by hand, where the file system has no better way. */
static int write_zeros(int fd, uint64_t off, uint64_t len)
{
	static const uint8_t zeros[64 * 1024];

	while (len > 0) {
		ssize_t n =
			pwrite(fd, zeros, MIN(len, sizeof(zeros)), (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static int punch(int fd, uint64_t off, uint64_t len, bool zero, bool unmap)
{
	int mode = FALLOC_FL_KEEP_SIZE |
		(zero && !unmap ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE);

	if (len == 0 || fallocate(fd, mode, (off_t)off, (off_t)len) == 0)
		return 0;
	if (errno != EOPNOTSUPP)
		return -errno;
	/* A discard is only a hint. */
	return zero ? write_zeros(fd, off, len) : 0;
}

/* All ranges are checked before the first is touched. */
static int do_ranges(struct blk_io *io, const struct vq_chain *c, bool zero)
{
	uint8_t raw[HEADER + BLK_RANGES_MAX * RANGE];
	size_t len = c->rd_len - HEADER, n = len / RANGE;
	int r = 0;

	if (io->read_only)
		return -EROFS;
	if (len % RANGE || n == 0 || n > BLK_RANGES_MAX)
		return -EINVAL;
	if (vq_iov_read(c->rd, c->n_rd, raw, HEADER + len) != HEADER + len)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		const uint8_t *p = raw + HEADER + i * RANGE;
		uint32_t flags = get_le32(p + 12);

		if (!inside(io, get_le64(p),
			    (uint64_t)get_le32(p + 8) * BLK_SECTOR))
			return -EINVAL;
		if (flags & ~RANGE_UNMAP || (!zero && flags))
			return -EOPNOTSUPP;
	}
	for (size_t i = 0; i < n && r == 0; i++) {
		const uint8_t *p = raw + HEADER + i * RANGE;

		r = punch(io->fd, get_le64(p) * BLK_SECTOR,
			(uint64_t)get_le32(p + 8) * BLK_SECTOR, zero,
			get_le32(p + 12) & RANGE_UNMAP);
	}
	return r;
}

static int do_identify(
	const struct blk_io *io, const struct vq_chain *c, struct request *rq)
{
	if (c->wr_len - 1 < BLK_SERIAL_MAX)
		return -EINVAL;
	(void)vq_iov_write(c->wr, c->n_wr, io->serial, BLK_SERIAL_MAX);
	rq->written = BLK_SERIAL_MAX;
	return 0;
}

static int dispatch(
	struct blk_io *io, const struct vq_chain *c, struct request *rq)
{
	switch (rq->type) {
	case VIRTIO_BLK_T_IN:
		return do_read(io, c, rq);
	case VIRTIO_BLK_T_OUT:
		return do_write(io, c, rq);
	case VIRTIO_BLK_T_FLUSH:
		return do_flush(io);
	case VIRTIO_BLK_T_GET_ID:
		return do_identify(io, c, rq);
	case VIRTIO_BLK_T_DISCARD:
		return do_ranges(io, c, false);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return do_ranges(io, c, true);
	default:
		return -EOPNOTSUPP;
	}
}

static uint8_t status_of(int r)
{
	if (r == 0)
		return VIRTIO_BLK_S_OK;
	return r == -EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
}

static void put_status(const struct vq_chain *c, uint8_t status)
{
	struct iovec last[VQ_IOV_MAX];
	unsigned n = vq_iov_slice(c->wr, c->n_wr, c->wr_len - 1, 1, last);

	(void)vq_iov_write(last, n, &status, 1);
}

uint32_t blk_io_serve(struct blk_io *io, const struct vq_chain *c)
{
	struct request rq = {0};
	uint8_t head[HEADER];
	int r;

	if (c->wr_len < 1 ||
		vq_iov_read(c->rd, c->n_rd, head, HEADER) != HEADER) {
		io->stats.dropped++; /* nowhere to say what is wrong */
		return 0;
	}
	rq.type = get_le32(head);
	rq.sector = get_le64(head + 8);
	io->stats.requests++;
	r = dispatch(io, c, &rq);
	if (r < 0)
		io->stats.errors++;
	put_status(c, status_of(r));
	return rq.written + 1;
}
