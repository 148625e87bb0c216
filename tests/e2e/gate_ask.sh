#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Questions to the person, rates and quotas, the log followed and verified.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/host_servers.sh"
mkdir "$W/www"
echo hello-from-the-host >"$W/www/index.html"
head -c 3000000 /dev/urandom >"$W/www/big"
serve_dir "$W/www"
trap 'kill $server; cleanup' EXIT
url=http://host.cove.internal:$port/
C() { timeout 600 "$COVE" "$@" </dev/null 2>&1; }
get() { C exec "$1" curl -sS -m 300 "${@:2}"; }
pending() { [ -n "$(C policy pending --json | grep '"id"')" ]; }
asked() { # command for what comes in, then the answer
	get box "$url" >"$T/answer" &
	local client=$!
	wait_for 120 pending
	"${@}" >"$T/said" 2>&1
	wait "$client"
	cat "$T/answer"
}

like "an impossible quota" "$(C create --name box --net-quota 10)" \
	"impossible here"
like "an impossible rate" "$(C create --name box --net-rate fast)" "rate"
C policy init closed >/dev/null
like "it is created" \
	"$(C create --name box --ask --net-rate 100m/50m --net-quota 200m shell)" "box$"
like "inspect has the rate" "$(C inspect box)" \
	"net rate +100 MiB up, 50 MiB down"
like "and the quota" "$(C inspect box)" "net quota +200 MiB"
timeout 1500 "$COVE" policy log -f </dev/null >"$T/followed" 2>&1 &
follower=$!

like "once" "$(asked C policy approve "host.cove.internal:$port")" hello-from
like "the next one is asked again, and rejected" \
	"$(asked C policy reject host.cove.internal)" "you rejected it"
like "the event says so" "$(C logs box)" "ask host.cove.internal:$port waits"
like "nothing waits: an error" "$(C policy approve q99)" "nothing waits"
like "for the session" \
	"$(asked C policy approve "host.cove.internal:$port" --session)" hello-from
like "then it is not asked" "$(get box "$url")" hello-from
like "ls shows where it is from" "$(C policy ls box)" "session-q.*allow"
C stop box >/dev/null
C start box >/dev/null
like "a new session asks again, for always" \
	"$(asked C policy approve "host.cove.internal:$port" --always)" hello-from
C stop box >/dev/null
C start box >/dev/null
like "always is always" "$(get box "$url")" hello-from
C policy deny "host:$port" --sandbox box >/dev/null
like "a rule needs no person" "$(get box "$url")" "a rule denies it"
C policy rm "host:$port" --sandbox box >/dev/null

C policy allow "host:$port" --sandbox box --quota 2m >/dev/null
like "a rule's quota cuts" "$(get box -o /dev/null "${url}big")" "curl:"
like "and then denies in words" "$(get box "$url")" "quota is used up"
like "with an event" "$(C logs box)" "quota.net the quota of rule"
C policy rm "host:$port" --sandbox box >/dev/null
like "a deny rule has no rate" \
	"$(C policy deny "host:$port" --rate 1m)" "only allow has"
C policy allow "host:$port" --sandbox box --rate 1m >/dev/null
slow=$(get box -o /dev/null -w '%{time_total}' "${url}big")
like "a rule's rate holds: 3 MB take over two seconds" "$slow" "^[2-9]|^1[0-9]"

like "inspect counts bytes" "$(field box 'o["net_used"] > 1000000')" True
wait_for 60 grep -Eq "deny +host.cove.internal:$port" "$T/followed"
kill "$follower" 2>/dev/null
like "the followed log has the denial" "$(cat "$T/followed")" \
	"deny +host.cove.internal:$port"
like "and what was allowed" "$(cat "$T/followed")" \
	"allow +host.cove.internal:$port"
like "the log is intact" "$(C policy log box --verify)" "box: intact"
status "with status 0" 0 "$COVE" policy log box --verify
log=$(echo "$COVE_HOME"/state/sandboxes/*/net/net.log)
sed -i 3d "$log"
like "a line taken out shows" "$(C policy log box --verify)" "box: CHANGED"
status "with status 1" 1 "$COVE" policy log box --verify
plan_done
