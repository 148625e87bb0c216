#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The scripts that judge the sources: each planted fault is found, with its
# file and line, and the nearest harmless thing is not. Speaks TAP.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
n=0
failed=0

plant() { # file: text from stdin
	mkdir -p "$tree/$(dirname "$1")"
	{
		echo '/* SPDX-License-Identifier: Apache-2.0 */'
		cat
	} >"$tree/$1"
}

verdict() { # status name
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		printf '%s\n' "$out" | sed 's/^/# /'
		failed=1
	fi
}

finds() { # script text name
	out=$("$top/scripts/$1" "$tree" 2>&1)
	[ $? -eq 1 ] && grep -qF "$2" <<<"$out"
	verdict $? "$3"
	rm -rf "${tree:?}"/src "${tree:?}"/tests
}

passes() { # script name
	out=$("$top/scripts/$1" "$tree" 2>&1)
	[ $? -eq 0 ] && [ -z "$out" ]
	verdict $? "$2"
	rm -rf "${tree:?}"/src "${tree:?}"/tests
}

plant src/base/util.h <<<''
plant src/wire/tlv.c <<<'#include "base/util.h"'
passes check-layers "a library may include what is below it"
plant src/wire/tlv.h <<<''
plant src/base/buf.c <<<'#include "wire/tlv.h"'
finds check-layers 'src/base/buf.c:2: base must not include "wire/tlv.h"' \
	"a library must not include what is above it"
plant src/vmm/kvm.h <<<''
plant src/virtio/vq.c <<<'#include "vmm/kvm.h"'
finds check-layers 'src/virtio/vq.c:2: virtio must not' "a library and a role"
plant src/vmm/kvm.h <<<''
plant src/daemon/main.c <<<'#include "vmm/kvm.h"'
finds check-layers 'daemon must not include "vmm/kvm.h"' "two roles"
plant src/base/buf.c <<<'#include "buf.h"'
finds check-layers 'must be spelled' "a header without its directory"
plant src/base/buf.c <<<'#include "base/none.h"'
finds check-layers 'does not exist' "a header that is not there"
plant src/new/x.c <<<''
finds check-layers 'neither a library nor a role' "a directory nobody listed"
for pair in 'http:openssl/ssl.h' 'virtio:linux/kvm.h' 'vmm:seccomp.h' \
	'devices:linux/landlock.h' 'cli:sqlite3.h' 'copy:archive.h'; do
	plant "src/${pair%%:*}/x.c" <<<"#include <${pair#*:}>"
	finds check-layers "<${pair#*:}> belongs to" "a foreign header: $pair"
done
plant src/tls/x.c <<<'#include <openssl/ssl.h>'
passes check-layers "a foreign header at home"
plant src/virtio/blk.c <<<'	p = (uint8_t *)(uintptr_t)desc.gpa;'
finds check-layers 'src/virtio/blk.c:2: a guest address' "a cast of a gpa"
plant src/vmm/boot.c <<<'	p = ram + gpa;'
finds check-layers 'src/vmm/boot.c:2: a guest address' "a sum with a gpa"
plant src/virtio/gmem.c <<<'	p = m->hva + gpa;'
passes check-layers "the one file that may"

lines() { for _ in $(seq "$1"); do echo "$2"; done; }
{ echo 'int f(void)'; echo '{'; lines 97 '	;'; echo '}'; } |
	plant src/base/x.c
passes check-size "100 lines of a function"
{ echo 'int f(void)'; echo '{'; lines 98 '	;'; echo '}'; } |
	plant src/base/x.c
finds check-size 'src/base/x.c:2: f() has 101 lines' "101 lines of a function"
lines 800 'int x;' | plant src/base/x.c
finds check-size 'src/base/x.c: 801 lines' "801 lines of a file"
lines 150 'int x;' | plant src/vmm/main.c
finds check-size 'src/vmm/main.c: 151 lines; 150' "151 lines of a main.c"

for word in 'strcpy(a, b)' 'strcat(a, b)' 'sprintf(a, "b")' 'atoi(a)' \
	'alloca(9)' 'gets(a)'; do
	plant src/base/x.c <<<"	$word;"
	finds check-words "src/base/x.c:2: ${word%%(*}() is not" "the word $word"
done
plant src/base/x.c <<<'	goto out;'
finds check-words 'src/base/x.c:2: goto' "goto"
plant src/base/x.c <<'END'
/* goto the shop, call strcpy(a, b)
 * twice */
	snprintf(a, 3, "strcat(a) goto \"x\"; // gets(a)");
END
passes check-words "comments, strings and longer names are no words"
mkdir -p "$tree/src/base" && echo 'int x;' >"$tree/src/base/x.c"
finds check-words 'must begin with' "a file without its licence"

echo "1..$n"
exit $failed
