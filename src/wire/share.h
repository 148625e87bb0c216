/* SPDX-License-Identifier: Apache-2.0 */
/*
 * share - cache revocation between the file server (cove-devices) and the
 * agent. The server hands out long-lived attribute and entry caches and takes
 * them back when the host changed a file: it connects to PORT_SHARE in the
 * guest and sends REVOKE frames; the agent makes its kernel look each path up
 * again past the caches, so that a LOOKUP of the last component reaches the
 * server, and answers REVOKED with the same number, in order. The first frame
 * after the connect may hold no path: it asks whether anybody is there. A guest that does not answer only sees older files itself.
 */
#ifndef WIRE_SHARE_H
#define WIRE_SHARE_H

#include "wire/frame.h"
#include "wire/tlv.h"

enum share_frame {
	SF_REVOKE = 1,  /* ST_SEQ, ST_PATH repeated: relative to SHARE_DIR */
	SF_REVOKED = 2, /* ST_SEQ */
};

enum share_tag {
	ST_SEQ = 1,  /* u64 */
	ST_PATH = 2, /* str "EXPORT/dir/file" */
	ST_PID = 3,  /* u32, in REVOKED: who looked up; informal */
};

#endif
