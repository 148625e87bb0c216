#!/usr/bin/env bash
# timeout: 900
# Templates from registries: a difficult one of our own, and Debian's
# docker-registry with TLS and passwords. skopeo and umoci say what is right.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/docker_registry.sh"
cd "$W" || exit 1
rm "$COVE_HOME/cache"
mkdir -p "$COVE_HOME/cache"
ln -s "$CACHE/kernels" "$CACHE/disks" "$COVE_HOME/cache/"
BLOBS=$COVE_HOME/cache/blobs
pids=
trap 'kill $pids 2>/dev/null; cleanup' EXIT

BUSYBOX=$(command -v busybox) || {
	skip "registries" "busybox-static is not installed"
	plan_done
}
python3 "$TOP/tests/e2e/images.py" "$BUSYBOX" "$T/img" || exit 1
mkfifo "$T/port"
python3 "$TOP/tests/e2e/registry.py" "$T/img/layout" "$T/log" >"$T/port" &
pids=$!
read -r port <"$T/port"
R=127.0.0.1:$port

digest_of() {
	"$COVE" template inspect "$1" --json | python3 -c 'import json,sys
print(json.load(sys.stdin)["digest"])'
}
pull() { # repository: without what earlier pulls left
	rm -rf "$BLOBS"
	"$COVE" template pull "$R/$1/app:1" "$1" 2>&1
}

ok "import, to compare with" "$COVE" template import "$T/img/layout" ref
want=$(digest_of ref)
ok "pull by tag" "$COVE" template pull "$R/plain/app:1"
is "it is named after the image, and the same" "$(digest_of app:1)" "$want"
: >"$T/log"
ok "pull again" "$COVE" template pull "$R/plain/app:1"
is "no layer is fetched twice" "$(grep -c /blobs/ "$T/log")" 0
image=$("$COVE" template inspect app:1 --json | python3 -c 'import json,sys
print(json.load(sys.stdin)["image_digest"])')
ok "pull by digest" "$COVE" template pull "$R/plain/app@sha256:$image" pinned
like "a digest that is not there" "$("$COVE" template pull \
	"$R/plain/app@sha256:$(printf 0%.0s {1..64})" no 2>&1)" 'cove: '
like "a tag that is not there" \
	"$("$COVE" template pull "$R/plain/app:absent" no 2>&1)" 'has no plain/app'
like "what is no reference" "$("$COVE" template pull "$R/a b" no 2>&1)" \
	'no image reference'

like "a private one asks for a login" "$(pull private)" 'template login'
echo wrong | "$COVE" template login "$R" --user joe
like "a wrong password" "$(pull private)" 'gives no access'
echo secret | "$COVE" template login "$R" --user joe
is "the credential is for its owner only" \
	"$(stat -c %a "$COVE_HOME/state/secret/registries")" 600
is "and nowhere in the clear" \
	"$(grep -rlE 'secret"|am9lOnNlY3JldA' "$COVE_HOME/state" \
		"$COVE_HOME/config" 2>/dev/null)" ""
like "with the right one it is pulled" "$(pull private)" '^private '
ok "logout" "$COVE" template logout "$R"
like "and is refused again" "$(pull private)" 'template login'

like "a broken connection" "$(pull resume)" '^resume '
like "goes on where it was" "$(grep resume/app/blobs "$T/log")" 'bytes=[1-9]'
like "or from the start" "$(pull norange)" '^norange '
is "with the same result" "$(digest_of norange)" "$want"
like "a busy server is asked again" "$(pull busy)" '^busy '
like "blobs elsewhere" "$(pull redirect)" '^redirect '
like "prune frees the layers" "$("$COVE" prune --dry-run)" 'layer [0-9a-f]{64}'
like "a redirect to plain http elsewhere" "$(pull away)" 'not https'
like "redirects for ever" "$(pull loop)" 'for ever'
like "other bytes than the digest says" "$(pull liar)" 'SHA-256'
is "of which nothing is kept" "$(find "$BLOBS" -name 'part-*' -size +0)" ""

# Ctrl-C in the middle of a layer.
rm -rf "$BLOBS"
is "Ctrl-C ends the command" "$(python3 - "$COVE" "$R/stall/app:1" \
	"$BLOBS" <<'X'
import glob, os, signal, subprocess, sys, time
p = subprocess.Popen([sys.argv[1], "template", "pull", sys.argv[2], "stall"],
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
def size(f):
    try:
        return os.path.getsize(f)
    except FileNotFoundError:  # whole now, and under another name
        return 0
until = time.monotonic() + 300
while time.monotonic() < until and not any(
        size(f) > 10000 for f in glob.glob(sys.argv[3] + "/part-*")):
    time.sleep(0.05)
p.send_signal(signal.SIGINT)
print(p.wait(300) in (-signal.SIGINT, 130))
X
)" True
ok "and the pull in the daemon" wait_for 120 sh -c \
	"! ps -eo args | grep -q '[c]ove-image pull.*$R/stall'"
is "no template is made" "$("$COVE" template ls -q | grep -c stall)" 0
ok "the next pull" wait_for 120 "$COVE" template pull "$R/stall/app:1" stall
like "goes on where that one was" "$(grep stall/app/blobs "$T/log")" \
	'bytes=[1-9]'
is "to the same result" "$(digest_of stall)" "$want"

if ! command -v docker-registry skopeo umoci htpasswd >/dev/null; then
	skip "Debian's registry" "docker-registry, skopeo, umoci or htpasswd is missing"
	plan_done
fi
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
	-keyout "$T/key.pem" -out "$T/cert.pem" -days 2 -subj /CN=localhost \
	-addext 'subjectAltName=DNS:localhost' 2>/dev/null
htpasswd -Bbc "$T/passwords" joe secret 2>/dev/null
cat >"$T/registry.yml" <<END
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $T/store}}
http: {addr: 127.0.0.1:@PORT@, tls: {certificate: $T/cert.pem, key: $T/key.pem}}
auth: {htpasswd: {realm: test, path: $T/passwords}}
END
registry_start
result $? "docker-registry runs" "$(cat "$T/registry.log")"
pids="$pids $registry"
R=localhost:$port
skopeo copy -q --dest-creds joe:secret \
	--dest-tls-verify=false "oci:$T/img/single" "docker://$R/a/b:2"
echo secret | "$COVE" template login "$R" --user joe
like "a certificate that nobody knows" \
	"$("$COVE" template pull "https://$R/a/b:2" tls 2>&1)" '[Cc]ertificate'
"$COVE" daemon stop
export SSL_CERT_FILE=$T/cert.pem
ok "docker-registry with TLS and a password" \
	"$COVE" template pull "https://$R/a/b:2" tls
is "gives the same image" "$(digest_of tls)" "$want"
ok "by digest" "$COVE" template pull "https://$R/a/b@sha256:$(
	skopeo inspect --creds joe:secret --tls-verify=false "docker://$R/a/b:2" |
		python3 -c 'import json,sys; print(json.load(sys.stdin)["Digest"][7:])')" byd
is "the same again" "$(digest_of byd)" "$want"
plan_done
