#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Images of the kinds that people have, each booted: one static program and
# nothing else; a musl distribution's way (loader, busybox, no bash, no GNU);
# Debian's smallest root; what ENTRYPOINT, CMD, USER, WORKDIR and ENV say.
# timeout: 1500
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/debian_root.sh"
cd "$W" || exit 1
rm "$COVE_HOME/cache"
mkdir -p "$COVE_HOME/cache"
ln -s "$CACHE/kernels" "$CACHE/disks" "$COVE_HOME/cache/"
C() { timeout 300 "$COVE" "$@" </dev/null 2>&1; }

BUSYBOX=$(command -v busybox) || {
	skip "images" "busybox-static is not installed"
	plan_done
}
cat >say.c <<'X'
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	char dir[99] = "";

	getcwd(dir, sizeof(dir));
	printf("uid %d in %s, GREETING=%s:", getuid(), dir, getenv("GREETING"));
	for (int i = 1; i < argc; i++)
		printf(" %s", argv[i]);
	puts("");
	return argc > 2 ? 3 : 0;
}
X
musl-gcc -Os -static -o say-static say.c && musl-gcc -Os -o say-musl say.c ||
	exit 1
# Layouts like those of "docker build": FROM scratch, COPY, CMD and so on.
python3 - "$TOP/tests/e2e" "$BUSYBOX" <<'X' || exit 1
import json, sys
sys.path.insert(0, sys.argv[1])
import images
def image(name, tar, **config):
    layer = tar.bytes()
    images.layout(name, [layer], json.dumps({
        "architecture": "amd64", "os": "linux", "config": config,
        "rootfs": {"type": "layers",
                   "diff_ids": ["sha256:" + images.digest(layer)]}}).encode(),
        single=True)
read = lambda path: open(path, "rb").read()

t = images.Tar()
t.add("say", read("say-static"), mode=0o755)
image("scratch", t, Entrypoint=["/say"], Cmd=["by", "default"],
      User="1234:77", WorkingDir="/some/where", Env=["GREETING=hi there"])

t = images.busybox_layer(sys.argv[2])
t.dir("lib")
t.add("lib/ld-musl-x86_64.so.1", read("/lib/ld-musl-x86_64.so.1"), mode=0o755)
t.dir("etc")
t.add("etc/os-release", b"ID=musl-like\n")
t.add("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n"
      b"nobody:x:65534:65534:nobody:/:/sbin/nologin\n")
t.add("etc/group", b"root:x:0:root\nnobody:x:65534:\n")
t.add("bin/say", read("say-musl"), mode=0o755)
image("musl", t, Cmd=["/bin/sh"], Env=["PATH=/bin:/sbin"])
X
for i in scratch musl; do
	ok "import $i" "$COVE" template import "$i" "$i"
done

# With a shared directory that would be the working directory.
C create --name sc -T scratch >/dev/null
is "scratch: entry point, command, user, directory, environment" \
	"$(C run --name sc -T scratch)" \
	"uid 1234 in /some/where, GREETING=hi there: by default"
is "what the caller says goes before" \
	"$(C run --name sc -T scratch -e GREETING=hello -- a b)" \
	"uid 1234 in /some/where, GREETING=hello: a b"
status "the exit code is the program's" 3 \
	timeout 300 "$COVE" run --name sc -T scratch -- a b
C rm -f sc >/dev/null

C create --name mu -T musl >/dev/null
is "musl: a program with musl's loader runs" "$(C exec -e GREETING=x mu say 1)" \
	"uid 0 in $(C exec mu pwd), GREETING=x: 1"
is "its shell is busybox, its user root" \
	"$(C exec mu sh -c 'id -u; readlink /bin/sh' | tr '\n' ' ')" "0 busybox "
is "files are kept and names resolved by its own libc's rules" \
	"$(C exec mu sh -c 'echo kept >/data; sync; cat /data')" kept
C rm -f mu >/dev/null

why=$(debian_root) || {
	skip "Debian's smallest root" "$why"
	plan_done
}
ok "import Debian's smallest root" "$COVE" template import \
	--skip-devices "$DEBIAN_ROOT" deb
C create --name deb -T deb . >/dev/null
like "it is Debian" "$(C exec deb cat /etc/os-release)" 'Debian GNU/Linux'
is "its user is agent, in the shared directory" \
	"$(C exec deb sh -c 'id -un; pwd' | tr '\n' ' ')" "agent $W "
like "apt works as root" "$(C exec -u root deb apt-get --version)" '^apt 3'
is "perl as it comes" "$(C exec deb perl -e 'print 6*7')" 42
ok "a sandbox of it becomes a template" "$COVE" template save deb deb2
C rm -f deb >/dev/null
like "that boots" "$(C run --rm -T deb2 -- cat /etc/os-release)" 'Debian'
plan_done
