#!/usr/bin/env bash
# timeout: 1800
# A guest that drives registers and rings by hand, mostly wrong: our processes
# survive, and a sane guest boots on the same programs afterwards.
# COVE_EVIL_SECONDS (default 60) for each of the two devices and both at once.
exec python3 "$(dirname "$0")/evil.py"
