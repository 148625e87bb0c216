#!/usr/bin/env bash
# timeout: 1200
# Templates from images and root file systems: a sandbox with nothing but
# busybox boots from them, and what the image says about its processes holds.
. "$(dirname "$0")/lib.sh"
cd "$W" || exit 1

# Templates of its own; kernels and empty disks are those of all tests.
rm "$COVE_HOME/cache"
mkdir -p "$COVE_HOME/cache"
ln -s "$CACHE/kernels" "$CACHE/disks" "$COVE_HOME/cache/"

BUSYBOX=$(command -v busybox) || {
	skip "templates" "busybox-static is not installed"
	plan_done
}
python3 "$TOP/tests/e2e/images.py" "$BUSYBOX" "$T/img" || exit 1

ok "import a root file system" "$COVE" template import "$T/img/root.tar" plain
ok "import an OCI layout" "$COVE" template import "$T/img/layout" oci
ok "import an OCI archive" "$COVE" template import "$T/img/oci.tar" oci2
ok "import an archive of docker save, compressed" \
	"$COVE" template import "$T/img/docker.tar.gz" bb:1.0
is "the templates are listed" \
	"$("$COVE" template ls -q | sort | tr '\n' ' ')" "bb:1.0 oci oci2 plain "
d=$("$COVE" template inspect oci --json | python3 -c 'import json,sys
print(json.load(sys.stdin)["digest"])')
is "the same image has the same digest" "$d" \
	"$("$COVE" template inspect oci2 --json | python3 -c 'import json,sys
print(json.load(sys.stdin)["digest"])')"
like "inspect shows the history" "$("$COVE" template inspect oci)" \
	'second layer'
ok "the content is what the digest says" "$COVE_LIBEXEC/cove-image" verify oci

# Busybox and nothing else: no users, no /etc.
is "a root file system boots; its user is agent" \
	"$("$COVE" run --rm plain -- id -u)" 1000
ok "create from an image" "$COVE" create --name box oci
is "exec: the image's environment" "$("$COVE" exec box sh -c 'echo $FOO:$PATH')" \
	"bar:/bin:/usr/bin"
is "exec: the image's user" "$("$COVE" exec box id -un)" app
is "exec: the image's working directory" "$("$COVE" exec box pwd)" /srv/app
is "agent is there as well" "$("$COVE" exec -u agent box id -u)" 1000
is "run: entry point and command of the image" \
	"$("$COVE" run --name box --template oci 2>/dev/null </dev/null)" "entry:one two"
is "run: entry point and command of the caller" \
	"$("$COVE" run --name box --template oci -- x 'y z' </dev/null)" "entry:x y z"
is "run: no entry point" \
	"$("$COVE" run --name box --template oci --entrypoint '' -- echo hi </dev/null)" hi
is "whiteouts" "$("$COVE" exec box sh -c 'ls /data')" new
is "set-id bits and owners" \
	"$("$COVE" exec box sh -c 'stat -c %a:%u:%g /bin/tool')" 4755:7:8

# A sandbox becomes a template; what is shared with it does not.
mkdir "$W/shared" && echo mine >"$W/shared/secret"
ok "create with a share" "$COVE" create --name src oci "$W/shared"
"$COVE" exec -u root src sh -c 'echo kept >/kept; busybox chown 7:8 /kept
	busybox chmod 4711 /kept; rm /data/new; busybox ln /kept /linked'
ok "save a sandbox" "$COVE" template save src snap
"$COVE" rm -f src
ok "create from what was saved" "$COVE" create --name snapped snap
is "files, modes, owners and links are there" "$("$COVE" exec -u root snapped \
	stat -c %a:%u:%g:%h /kept)" 4711:7:8:2
is "what was removed is not" "$("$COVE" exec snapped ls /data)" ""
is "nothing of the share is" "$("$COVE" exec -u root snapped sh -c \
	"cat $W/shared/secret 2>/dev/null")" ""
is "the image's configuration holds" \
	"$("$COVE" exec snapped sh -c 'echo $FOO; pwd; id -un' | tr '\n' ' ')" \
	"bar /srv/app app "
"$COVE" rm -f snapped
"$COVE" template rm snap
status "save of what is not there" 1 "$COVE" template save nothing x1

# Removing and pruning.
like "rm of one in use keeps its image" "$("$COVE" template rm oci oci2 bb:1.0)" \
	'with the last sandbox'
is "it is no longer listed" "$("$COVE" template ls -q)" plain
"$COVE" exec box sh -c 'echo kept >/srv/app/k; sync'
ok "its sandbox stops" "$COVE" stop box
is "and starts again" "$("$COVE" exec box cat /srv/app/k)" kept
"$COVE" rm -f box
like "prune tells what it would free" "$("$COVE" prune --dry-run)" \
	"template $d"
ok "prune" "$COVE" prune -f
is "the image is gone" "$(ls -d "$COVE_HOME/cache/templates/$d" 2>/dev/null)" ""

# To a file and back.
ok "save" "$COVE" template save -o "$T/plain.cove" plain
d=$("$COVE" template inspect plain --json | python3 -c 'import json,sys
print(json.load(sys.stdin)["digest"])')
like "rm frees it" "$("$COVE" template rm plain)" 'freed'
ok "load" "$COVE" template load "$T/plain.cove" again
is "the same digest after loading" "$("$COVE" template inspect again --json |
	python3 -c 'import json,sys; print(json.load(sys.stdin)["digest"])')" "$d"
is "it boots" "$("$COVE" run --rm again -- echo hi)" hi

# What is refused, and how.
status "an unknown template" 1 "$COVE" template inspect nothing
status "no such file" 1 "$COVE" template import "$T/nothing"
status "an impossible name" 1 "$COVE" template import "$T/img/root.tar" 'A B'
status "the name shell" 1 "$COVE" template import "$T/img/root.tar" shell
like "an image for another machine" \
	"$("$COVE" template import "$T/img/arm.tar" 2>&1)" 'is for arm64'
like "several images" \
	"$("$COVE" template import "$T/img/two.tar" 2>&1)" 'choose one with --image'
ok "one of several" "$COVE" template import --image two:b "$T/img/two.tar"
is "named after the file" "$("$COVE" template ls -q | sort | tr '\n' ' ')" \
	"again two "
plan_done
