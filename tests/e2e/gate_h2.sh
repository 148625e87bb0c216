#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# HTTP/2 through cove-gate to hosts that are opened, without a guest.
TOP=$(cd "$(dirname "$0")/../.." && pwd)
# The packages of Debian are there for its own python.
exec /usr/bin/python3 "$TOP/tests/e2e/gate_h2.py" \
	"${COVE_LIBEXEC:-${COVE_BUILD:-$TOP/build}/bin}/cove-gate"
