#!/usr/bin/env bash
# An ordinary user with no capability and another uid than 1000 can do it all.
. "$(dirname "$0")/lib.sh"
if [ "$(id -u)" != 0 ]; then
	skip "as an ordinary user" "needs root to make one"
	plan_done
fi
U=cove-test-$$
# Another run beside this one makes its user from the same file.
for _ in 1 2 3 4 5 6 7 8 9; do
	UID_=$((20000 + RANDOM))
	useradd -m -u $UID_ -s /bin/bash "$U" && break
	sleep 1
done
id "$U" >/dev/null || exit 1
drop_user() {
	userdel -rf "$U" >/dev/null 2>&1
	rm -rf "/var/tmp/$U"
}
trap 'as "$COVE" rm -f --all >/dev/null 2>&1; as "$COVE" daemon stop >/dev/null 2>&1; cleanup; drop_user' EXIT
H=/var/tmp/$U
install -d -o "$U" "$H" "$H/home" "$H/work"
# The programs and the cache may lie where the user cannot look: copies.
install -d -m 755 "$H/bin"
cp "$COVE_LIBEXEC"/* "$H/bin/" 2>/dev/null
cp -r --reflink=auto "$CACHE" "$H/home/cache"
chown -R "$U" "$H/home"
export COVE_HOME=$H/home COVE_LIBEXEC=$H/bin
COVE=$H/bin/cove
as() {
	setpriv --reuid $UID_ --regid "$(id -g "$U")" --init-groups --inh-caps=-all \
		--bounding-set=-all --no-new-privs env -i HOME="/home/$U" PATH="$PATH" \
		COVE_HOME="$COVE_HOME" COVE_LIBEXEC="$COVE_LIBEXEC" TERM=dumb "$@"
}
cd "$H/work" || exit 1
is "no capability" "$(as sh -c 'grep CapBnd /proc/self/status | tr -d "[:space:]"')" "CapBnd:0000000000000000"
out=$(as "$COVE" run --rm -- uname -r 2>"$T/err")
is "run as an ordinary user" $? 0
like "its own kernel" "$out" '^[0-9]'
ok "create" as "$COVE" create --name user "$H/work"
as "$COVE" exec user sh -c 'echo x >made-inside'
is "a file made inside belongs to the user outside" "$(stat -c %u "$H/work/made-inside")" "$UID_"
echo y | as tee "$H/work/made-outside" >/dev/null
is "a file made outside belongs to agent inside" \
	"$(as "$COVE" exec user stat -c %U made-outside)" agent
ok "and can be written inside" as "$COVE" exec user sh -c 'echo z >>made-outside'
for p in $(field_pids=$(as "$COVE" inspect --json user | python3 -c 'import json,sys
o=json.load(sys.stdin); o=o[0] if isinstance(o,list) else o
print(*o["pids_host"].values())'); echo "$field_pids"); do
	is "process $p has no capability" "$(awk '/CapEff/ {print $2}' "/proc/$p/status")" 0000000000000000
done
ok "doctor" as "$COVE" doctor
plan_done
