#!/usr/bin/env bash
# Ten sandboxes made at the same time, all answer, none sees another.
. "$(dirname "$0")/lib.sh"
N=10
for i in $(seq $N); do
	mkdir -p "$W/$i" && echo "$i" >"$W/$i/id"
	"$COVE" create --name "p$i" --memory 512M "$W/$i" >"$T/create.$i" 2>&1 &
	pids[i]=$!
done
for i in $(seq $N); do
	wait "${pids[i]}"
	result $? "sandbox $i is created" "$(cat "$T/create.$i")"
done
# One that gets no processor for seconds is unresponsive until it answers.
running() { "$COVE" ls --json | grep -o '"state": *"running"' | wc -l; }
all_run() { [ "$(running)" = $N ]; }
wait_for 120 all_run
is "ls shows ten running" "$(running)" $N
for i in $(seq $N); do
	"$COVE" exec "p$i" sh -c 'cat id; hostname; cat /proc/sys/kernel/random/boot_id' \
		>"$T/answer.$i" 2>&1 &
	pids[i]=$!
done
for i in $(seq $N); do wait "${pids[i]}"; done
for i in $(seq $N); do
	is "sandbox $i answers with its own directory" \
		"$(sed -n 1,2p "$T/answer.$i")" "$i
p$i"
done
is "ten different boots" "$(sed -s -n 3p "$T"/answer.* | sort -u | wc -l)" $N
victim=$(field p3 'o["pids_host"]["engine"]')
kill -9 "$victim"
ok "a killed engine shows as failed" \
	wait_for 60 sh -c "'$COVE' inspect --json p3 | grep -q '\"state\": *\"failed\"'"
is "the others did not notice" "$("$COVE" exec p4 cat id)" 4
ok "rm --all" "$COVE" rm -f --all
is "nothing is left" "$("$COVE" ls -q)$(ls -A "$COVE_HOME/state/sandboxes")" ""
plan_done
