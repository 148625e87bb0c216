#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 2500
# whole sandboxes on true KVM, in the testbed
cd "$(dirname "$0")/../.." || exit 1
COVE_BUILD=${COVE_BUILD:-build} exec scripts/check-kvm
