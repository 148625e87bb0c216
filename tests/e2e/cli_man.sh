#!/usr/bin/env bash
# cove(1): well-formed, and nothing of the command table is missing in it.
. "$(dirname "$0")/lib.sh"
export COVE_NO_START=1
page=$BUILD/man/cove.1
if ! [ -f "$page" ]; then
	skip "cove(1)" "scdoc is not installed, so the page was not built"
	plan_done
fi
if ! command -v mandoc >/dev/null; then
	skip "mandoc takes cove(1)" "mandoc is not installed"
	plan_done
fi
# scdoc itself leaves empty paragraphs and long lines behind.
out=$(mandoc -Tlint "$page" | grep -v -e 'skipping paragraph macro' \
	-e 'longer than 80 bytes' -e 'lower case character in document title')
is "mandoc has nothing to say" "$out" ""
text=$(mandoc -Tutf8 "$page" | col -b)
for c in $("$COVE" help | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p'); do
	missing=
	printf '%s\n' "$text" | grep -q "^   cove $c\$" || missing=$c
	for o in $("$COVE" help "$c" | grep -o -e '--[a-z][a-z-]*' | sort -u); do
		[ "$o" = --help ] || [ "$o" = -- ] && continue
		printf '%s\n' "$text" | grep -q -e "$o" || missing="$missing $o"
	done
	is "the page has all of $c" "$missing" ""
done
for s in 'EXIT STATUS' ENVIRONMENT FILES EXAMPLES; do
	printf '%s\n' "$text" | grep -q "^$s\$"
	result $? "section $s"
done
unset COVE_NO_START
plan_done
