#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The POSIX suite in a guest, as the sandbox's user: on the share and on a
# plain ext4, compared line by line; then the same with the suite's directory
# cached by long validities.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../e2e/lib.sh"
programs=${COVE_POSIX:-$BUILD/tests/guest/posix}
mkdir -p "$W/suite" "$W/share"
cp "$programs"/posix-* "$here/run" "$W/suite/"
ok "create" "$COVE" create --name posix "$W"
g() { "$COVE" exec "$@"; }

# /var/lib/docker is the one plain ext4 of a guest; the root is an overlay. It
# is mounted after the first commands may run.
wait_for 300 g posix mountpoint -q /var/lib/docker
ok "a directory on plain ext4" g -u root posix install -d -o agent -g agent \
	-m 755 /var/lib/docker/posix
ok "it is ext4" g posix sh -c \
	'[ "$(stat -f -c %T /var/lib/docker/posix)" = ext2/ext3 ]'
ok "the share is not" g posix sh -c \
	"[ \"\$(stat -f -c %T '$W/share')\" != ext2/ext3 ]"
g posix "$W/suite/run" "$W/suite" /var/lib/docker/posix >"$T/ext4" 2>&1
g posix "$W/suite/run" "$W/suite" "$W/share" >"$T/share" 2>&1
out=$(grep ': not ok' "$T/ext4")
is "every check is right on ext4" "$out" ""
out=$("$here/compare" "$T/share" "$T/ext4" 2>&1)
result $? "the share does the same as ext4" "$out"
echo "# $out"
"$COVE" rm -f posix >/dev/null
plan_done
