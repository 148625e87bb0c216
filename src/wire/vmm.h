/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm - what coved may ask a running cove-vmm on its control socket: one
 * request a record (SOCK_SEQPACKET), each a frame (wire/frame.h) whose payload
 * is a TLV body; exactly one answer to each, in order.
 *
 *   PAUSE    DONE when no processor runs and none will
 *   RESUME   DONE
 *   SAVE     only while paused; comes with two descriptors, empty regular
 *            files open for writing: state, memory. DONE when both are
 *            complete. The guest stays paused.
 *   STOP     DONE; then the guest is over and the monitor exits
 *   STATS    STATS with VT_*
 *
 * A refused or failed request is answered FAILED with VT_ERRNO and VT_TEXT.
 */
#ifndef WIRE_VMM_H
#define WIRE_VMM_H

#include "wire/frame.h"
#include "wire/tlv.h"

enum vmm_frame {
	VF_DONE = 1,
	VF_FAILED = 2,
	VF_PAUSE = 3,
	VF_RESUME = 4,
	VF_SAVE = 5,
	VF_STOP = 6,
	VF_STATS = 7,
};

enum vmm_tag {
	VT_ERRNO = 1, /* u32 */
	VT_TEXT = 2,  /* str */
	/* STATS, all u64 */
	VT_EXITS_IO = 10,      /* exits to the monitor: ports */
	VT_EXITS_MMIO = 11,    /* device registers */
	VT_EXITS_OTHER = 12,   /* signals and the rest */
	VT_UNCLAIMED = 13,     /* accesses that no device answered */
	VT_REFUSED = 14,       /* register writes in a wrong state */
	VT_CONSOLE_BYTES = 15, /* written to the serial port */
	VT_DISK_READ = 16,     /* bytes, all disks */
	VT_DISK_WRITTEN = 17,
	VT_MEMORY_RETURNED = 18, /* bytes the guest gave back so far */
};

#define VMM_CONTROL_MAX 4096u /* a record */

#endif
