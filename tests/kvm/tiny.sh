#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
# bare guests on this machine's /dev/kvm, of whatever kind
cd "$(dirname "$0")/../.." || exit 1
b=${COVE_BUILD:-build}
exec tests/kvm/tiny "$b/src/vmm/cove-vmm" "$b/tests/kvm/kvm-launch" "$b/tests/kvm"
