/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhu_msg - the messages of vhost-user that we speak, as the front end lays
 * them out (QEMU's docs/interop/vhost-user.rst). Little-endian, packed.
 */
#ifndef DEVICES_VHU_MSG_H
#define DEVICES_VHU_MSG_H

#include <stdint.h>

enum vhu_request {
	VHU_GET_FEATURES = 1,
	VHU_SET_FEATURES = 2,
	VHU_SET_OWNER = 3,
	VHU_RESET_OWNER = 4,
	VHU_SET_MEM_TABLE = 5,
	VHU_SET_VRING_NUM = 8,
	VHU_SET_VRING_ADDR = 9,
	VHU_SET_VRING_BASE = 10,
	VHU_GET_VRING_BASE = 11,
	VHU_SET_VRING_KICK = 12,
	VHU_SET_VRING_CALL = 13,
	VHU_SET_VRING_ERR = 14,
	VHU_GET_PROTOCOL_FEATURES = 15,
	VHU_SET_PROTOCOL_FEATURES = 16,
	VHU_GET_QUEUE_NUM = 17,
	VHU_SET_VRING_ENABLE = 18,
	VHU_GET_CONFIG = 24,
	VHU_SET_CONFIG = 25,
	VHU_RESET_DEVICE = 34,
};

#define VHU_VERSION 1u
#define VHU_VERSION_MASK 3u
#define VHU_REPLY 4u
#define VHU_NEED_REPLY 8u

/* A virtio feature bit that says: protocol features can be negotiated. */
#define VHU_F_PROTOCOL (1ull << 30)

#define VHU_P_MQ (1ull << 0)
#define VHU_P_REPLY_ACK (1ull << 3)
#define VHU_P_CONFIG (1ull << 9)
#define VHU_P_RESET_DEVICE (1ull << 13)

#define VHU_REGIONS 8u
#define VHU_CONFIG_MAX 256u
#define VHU_VRING_MASK 0xffu
#define VHU_VRING_NOFD 0x100u

struct vhu_head {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of what follows */
} __attribute__((packed));

struct vhu_vring_state {
	uint32_t index;
	uint32_t num;
} __attribute__((packed));

/* User addresses: those of the front end's own mapping. */
struct vhu_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc;
	uint64_t used;
	uint64_t avail;
	uint64_t log;
} __attribute__((packed));

struct vhu_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t user;
	uint64_t offset; /* in its descriptor */
} __attribute__((packed));

struct vhu_memory {
	uint32_t n;
	uint32_t padding;
	struct vhu_region region[VHU_REGIONS];
} __attribute__((packed));

struct vhu_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t data[VHU_CONFIG_MAX];
} __attribute__((packed));

#define VHU_CONFIG_HEAD 12u

struct vhu_msg {
	struct vhu_head head;
	union {
		uint64_t u64;
		struct vhu_vring_state state;
		struct vhu_vring_addr addr;
		struct vhu_memory memory;
		struct vhu_config config;
	} __attribute__((packed));
} __attribute__((packed));

#define VHU_PAYLOAD_MAX (sizeof(struct vhu_msg) - sizeof(struct vhu_head))

#endif
