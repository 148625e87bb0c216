#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What cove-gate does with HTTP, TLS and secrets, without a guest.
TOP=$(cd "$(dirname "$0")/../.." && pwd)
exec python3 "$TOP/tests/e2e/gate_http.py" \
	"${COVE_LIBEXEC:-${COVE_BUILD:-$TOP/build}/bin}/cove-gate"
