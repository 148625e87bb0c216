#!/usr/bin/env bash
# exec -t under a real pseudo-terminal.
. "$(dirname "$0")/lib.sh"
export COVE
cd "$W" || exit 1
"$COVE" create --name tty >/dev/null || exit 1
python3 "$TOP/tests/e2e/terminal.py"
exit $?
