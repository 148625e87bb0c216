#!/usr/bin/env bash
# timeout: 900
# A template from a Dockerfile, built by the Docker of a throw-away sandbox.
. "$(dirname "$0")/lib.sh"
cd "$W" || exit 1

# Templates of its own, with the one that builds; the rest is that of all tests.
rm "$COVE_HOME/cache"
mkdir -p "$COVE_HOME/cache"
cp -al "$CACHE/templates" "$COVE_HOME/cache/" 2>/dev/null ||
	cp -r "$CACHE/templates" "$COVE_HOME/cache/"
ln -s "$CACHE/kernels" "$CACHE/disks" "$COVE_HOME/cache/"

BUSYBOX=$(command -v busybox) || {
	skip "templates" "busybox-static is not installed"
	plan_done
}
mkdir ctx bad
cp "$BUSYBOX" ctx/busybox
cat >ctx/Dockerfile <<'X'
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox --install -s /bin; mkdir /tmp"]
ENV COLOUR=green
X
printf 'FROM scratch\nCOPY nothing /x\n' >bad/Dockerfile

ok "a Dockerfile becomes a template" "$COVE" template build ctx built
is "its sandbox is what the Dockerfile says" \
	"$("$COVE" run --rm -T built -- sh -c 'echo $COLOUR; ls /bin/busybox')" \
	"green
/bin/busybox"
out=$("$COVE" template build bad never 2>&1)
like "a Dockerfile that fails says why" "$out" 'nothing'
is "and makes no template" "$("$COVE" template ls -q | sort | tr '\n' ' ')" \
	"built shell "
is "no sandbox is left" "$("$COVE" ls -q)" ""
plan_done
