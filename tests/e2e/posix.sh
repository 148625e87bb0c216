#!/usr/bin/env bash
# The POSIX suite of tests/guest/posix in a guest: share against plain ext4.
exec "$(dirname "$0")/../guest/posix/guest.sh"
