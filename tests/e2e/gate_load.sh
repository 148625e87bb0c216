#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cove-gate with much to do: many streams, much data, many connections.
TOP=$(cd "$(dirname "$0")/../.." && pwd)
exec python3 "$TOP/tests/e2e/gate_load.py" \
	"${COVE_LIBEXEC:-${COVE_BUILD:-$TOP/build}/bin}/cove-gate"
