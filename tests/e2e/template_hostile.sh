#!/usr/bin/env bash
# timeout: 1200
# Archives that mean harm: each is refused with its reason, nothing outside of
# the cache is touched and nothing is left in it. A job that is killed at any
# point leaves a store that works.
. "$(dirname "$0")/lib.sh"
cd "$W" || exit 1
rm "$COVE_HOME/cache"
mkdir -p "$COVE_HOME/cache"
STORE=$COVE_HOME/cache/templates

BUSYBOX=$(command -v busybox) || {
	skip "hostile archives" "busybox-static is not installed"
	plan_done
}
command -v zstd >/dev/null || {
	skip "hostile archives" "zstd is not installed"
	plan_done
}
python3 "$TOP/tests/e2e/images.py" "$BUSYBOX" "$T/img" || exit 1
ok "make the archives" bash -c "python3 '$TOP/tests/e2e/hostile_archives.py' \
	'$T/bad' '$T/victim' >'$T/list'"
touch "$T/before"

while IFS=$'\t' read -r file why; do
	name=$(basename "$file")
	verb=import
	case $name in *.cove) verb=load ;; esac
	start=$SECONDS
	out=$("$COVE" template "$verb" "$file" evil 2>&1)
	rc=$?
	if [ "$why" = ok ]; then
		is "$name: harmless" "$rc" 0
		"$COVE" template rm evil >/dev/null
		continue
	fi
	[ "$rc" -eq 1 ] && printf '%s' "$out" | grep -Eq -- "$why"
	result $? "$name: refused in $((SECONDS - start)) s" "exit $rc: $out"
done <"$T/list"

is "no template came of it" "$("$COVE" template ls -q)" ""
is "nothing is left in the store" \
	"$(find "$STORE" -mindepth 1 -maxdepth 1 ! -name .lock ! -name names)" ""
is "nothing was written elsewhere" "$(find "$T" -newer "$T/before" \
	-path "$COVE_HOME" -prune -o -newer "$T/before" -type f ! -name list \
	-print)" ""
[ ! -e "$T/victim" ]
result $? "the victim was not touched"
ok "a device can be left out" "$COVE" template import --skip-devices \
	"$T/bad/chr.tar" nodev

ok "100 jobs killed at random points, the store is whole after each" \
	python3 "$TOP/tests/e2e/kill_jobs.py" "$COVE_LIBEXEC/cove-image" \
	"$T/img/layout" "$STORE" 100
ok "and works" "$COVE" template import "$T/img/layout" after
is "nothing of the killed ones is left" "$(find "$STORE" -name 'tmp-*')" ""
plan_done
