#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Ways around cove-gate, and whether check and enforcement are the same.
TOP=$(cd "$(dirname "$0")/../.." && pwd)
exec python3 "$TOP/tests/e2e/gate_bypass.py" \
	"${COVE_LIBEXEC:-${COVE_BUILD:-$TOP/build}/bin}/cove-gate"
