#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cove-gate against servers on loopback, without a guest.
TOP=$(cd "$(dirname "$0")/../.." && pwd)
exec python3 "$TOP/tests/e2e/gate_host.py" \
	"${COVE_LIBEXEC:-${COVE_BUILD:-$TOP/build}/bin}/cove-gate"
