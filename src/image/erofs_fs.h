/* SPDX-License-Identifier: Apache-2.0 */
/*
 * erofs_fs - on-disk structures of EROFS as Linux 6.1 reads them, all
 * little-endian and packed by nature. Only what the writer uses.
 */
#ifndef IMAGE_EROFS_FS_H
#define IMAGE_EROFS_FS_H

#include <stdint.h>

#define EROFS_SUPER_AT 1024u
#define EROFS_MAGIC 0xE0F5E1E2u
#define EROFS_COMPAT_CHKSUM 0x1u
#define EROFS_COMPAT_MTIME 0x2u

struct erofs_super {
	uint32_t magic;
	uint32_t checksum;
	uint32_t feature_compat;
	uint8_t blkszbits;
	uint8_t sb_extslots;
	uint16_t root_nid;
	uint64_t inos;
	uint64_t build_time;
	uint32_t build_time_nsec;
	uint32_t blocks;
	uint32_t meta_blkaddr;
	uint32_t xattr_blkaddr;
	uint8_t uuid[16];
	char volume_name[16];
	uint32_t feature_incompat;
	uint8_t unused[44];
};
_Static_assert(sizeof(struct erofs_super) == 128, "superblock");

/* i_format: bit 0 the inode's form, bits 1-3 the data's. */
#define EROFS_I_COMPACT 0u
#define EROFS_I_EXTENDED 1u
#define EROFS_I_PLAIN (0u << 1)
#define EROFS_I_INLINE (2u << 1)

#define EROFS_SLOT 32u /* a nid counts these from meta_blkaddr */

struct erofs_inode_compact {
	uint16_t i_format;
	uint16_t i_xattr_icount;
	uint16_t i_mode;
	uint16_t i_nlink;
	uint32_t i_size;
	uint32_t i_reserved;
	uint32_t i_u; /* first block, or device number */
	uint32_t i_ino;
	uint16_t i_uid;
	uint16_t i_gid;
	uint32_t i_reserved2;
};
_Static_assert(sizeof(struct erofs_inode_compact) == 32, "compact inode");

struct erofs_inode_extended {
	uint16_t i_format;
	uint16_t i_xattr_icount;
	uint16_t i_mode;
	uint16_t i_reserved;
	uint64_t i_size;
	uint32_t i_u;
	uint32_t i_ino;
	uint32_t i_uid;
	uint32_t i_gid;
	uint64_t i_mtime;
	uint32_t i_mtime_nsec;
	uint32_t i_nlink;
	uint8_t i_reserved2[16];
};
_Static_assert(sizeof(struct erofs_inode_extended) == 64, "extended inode");

/* Precedes inline attributes; i_xattr_icount = (bytes - 12) / 4 + 1. */
struct erofs_xattr_head {
	uint32_t h_reserved;
	uint8_t h_shared_count;
	uint8_t h_reserved2[7];
};
_Static_assert(sizeof(struct erofs_xattr_head) == 12, "xattr head");

/* Then name and value; the whole padded to 4 bytes. */
struct erofs_xattr_entry {
	uint8_t e_name_len;
	uint8_t e_name_index;
	uint16_t e_value_size;
};

struct erofs_dirent {
	uint64_t nid;
	uint16_t nameoff;
	uint8_t file_type;
	uint8_t reserved;
} __attribute__((packed));
_Static_assert(sizeof(struct erofs_dirent) == 12, "dirent");

#endif
