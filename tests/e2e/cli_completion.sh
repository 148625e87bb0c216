#!/usr/bin/env bash
# The completion scripts: valid in their shells, and the bash one at work.
. "$(dirname "$0")/lib.sh"
cd "$W" || exit 1
export COVE_NO_START=1

for shell in bash zsh fish; do
	"$COVE" completion $shell >"$T/cove.$shell"
	is "completion $shell" $? 0
	if command -v $shell >/dev/null; then
		ok "$shell takes it" $shell -n "$T/cove.$shell"
	else
		skip "$shell takes it" "$shell is not installed"
	fi
done

# Completions of a command line whose last word is being typed.
complete_line() {
	bash -c '. "$1"; shift
compopt() { :; }
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_cove; printf "%s\n" "${COMPREPLY[@]}"' _ "$T/cove.bash" cove "$@" |
		sort | tr '\n' ' ' | sed 's/ $//'
}
is "commands" "$(complete_line in)" "inspect"
is "options" "$(complete_line run --d)" "--detach --detach-keys --disk --docker-disk"
is "values of an option" "$(complete_line run --engine '')" "auto kvm qemu"
is "by its letter too" "$(complete_line logs -s '')" "console events"
is "actions" "$(complete_line daemon st)" "start status stop"
is "commands of help" "$(complete_line help "do")" "docker docker-env doctor"
mkdir -p "$W/dir-one" && touch "$W/file"
is "directories" "$(complete_line run ./)" "./dir-one"
is "nothing after --" "$(complete_line run -- '')" ""
# A stand-in for cove that knows two sandboxes.
mkdir "$T/fake"
# shellcheck disable=SC2016
printf '#!/bin/sh\n[ "$1 $2" = "ls -q" ] && printf "box-a\\nbox-b\\n"\n' \
	>"$T/fake/cove"
chmod +x "$T/fake/cove"
PATH=$T/fake:$PATH
is "sandbox names" "$(complete_line exec box-)" "box-a box-b"
is "sandboxes of cp" "$(complete_line cp box-)" "box-a: box-b:"
if command -v fish >/dev/null; then
	out=$(HOME=$T fish -c "source '$T/cove.fish'; complete -C 'cove rm box'" |
		cut -f1 | sort | tr '\n' ' ')
	is "fish knows the names too" "$out" "box-a box-b "
else
	skip "fish knows the names too" "fish is not installed"
fi
unset COVE_NO_START
plan_done
