#!/usr/bin/env bash
# timeout: 600
# The merged tree of an image is what umoci makes of it, path by path; also of
# one that went through skopeo and a registry.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/docker_registry.sh"
cd "$W" || exit 1
rm "$COVE_HOME/cache"
mkdir -p "$COVE_HOME/cache" "$T/mnt"
IMAGE=$COVE_LIBEXEC/cove-image
trap 'umount "$T/mnt" 2>/dev/null; kill $registry 2>/dev/null; cleanup' EXIT
registry=

for p in umoci skopeo docker-registry; do
	command -v $p >/dev/null && continue
	skip "umoci as oracle" "$p is not installed"
	plan_done
done
python3 "$TOP/tests/e2e/rich_image.py" "$T/rich" || exit 1
ok "import" "$IMAGE" import "$T/rich" --name rich
ok "import with zstd" "$IMAGE" import "$T/rich-zstd" --name zstd
is "the same image" "$(readlink "$COVE_HOME/cache/templates/names/zstd")" \
	"$(readlink "$COVE_HOME/cache/templates/names/rich")"
mount -t erofs -o loop,ro "$COVE_HOME/cache/templates/names/rich/root.erofs" \
	"$T/mnt" 2>/dev/null || {
	skip "umoci as oracle" "EROFS cannot be mounted here (root is needed)"
	plan_done
}
skopeo copy -q "oci:$T/rich" "oci:$T/named:rich"
ok "umoci unpack" umoci unpack --image "$T/named:rich" "$T/bundle"
# umoci does not make the image's working directory, engines do
out=$(python3 "$TOP/tests/e2e/compare_trees.py" "$T/bundle/rootfs" "$T/mnt" \
	srv srv/app .)
result $? "every path is as umoci has it: ${out##*$'\n'}" "$out"
umount "$T/mnt"

cat >"$T/registry.yml" <<END
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $T/store}}
http: {addr: 127.0.0.1:@PORT@}
END
registry_start
result $? "docker-registry runs" "$(cat "$T/registry.log")"
for format in oci v2s2; do
	skopeo copy -q --format $format --dest-tls-verify=false \
		"oci:$T/named:rich" "docker://127.0.0.1:$port/rich:$format"
	ok "pull of a manifest of kind $format" \
		"$IMAGE" pull "127.0.0.1:$port/rich:$format" --name $format
	mount -t erofs -o loop,ro \
		"$COVE_HOME/cache/templates/names/$format/root.erofs" "$T/mnt"
	out=$(python3 "$TOP/tests/e2e/compare_trees.py" "$T/bundle/rootfs" \
		"$T/mnt" srv srv/app .)
	result $? "the same tree: ${out##*$'\n'}" "$out"
	umount "$T/mnt"
done
plan_done
