#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
# what a running monitor can still do
cd "$(dirname "$0")/../.." || exit 1
b=${COVE_BUILD:-build}
exec tests/kvm/confined "$b/src/vmm/cove-vmm" "$b/tests/kvm/kvm-launch" \
	"$b/tests/kvm/kvm-inject" "$b/tests/kvm"
