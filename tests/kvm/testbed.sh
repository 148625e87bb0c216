#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 5000
# the monitor on true KVM, in the testbed
cd "$(dirname "$0")/../.." || exit 1
exec scripts/check-kvm
