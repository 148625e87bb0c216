#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# apt and npm in a guest, through the gate, from the registries that this
# machine itself uses: their addresses are read from its own configuration. TLS
# to them is opened, because a rule looks at methods.
. "$(dirname "$0")/lib.sh"
C() { timeout 600 "$COVE" "$@" </dev/null 2>&1; }
X() { C exec box "$@"; }

# Opens the host of a URL to reading; also where its name has an address that
# is not of the public internet, as in a network with a mirror of its own.
allow_url() { # url
	local name address
	name=${1#*://}
	name=${name%%/*}
	C policy allow "$name" --method GET,HEAD >/dev/null
	for address in $(getent ahosts "${name%%:*}" | awk '{ print $1 }' |
		sort -u); do
		case $address in
		*:*) C policy allow "[$address]" >/dev/null ;;
		*) C policy allow "$address" >/dev/null ;;
		esac
	done
}
reachable() { curl -fsS -m 20 -o /dev/null "$1" 2>/dev/null; }

C policy init closed >/dev/null
ok "a sandbox" C create --name box --memory 1500M shell

# shellcheck disable=SC2016 # apt expands it
mirror=$(apt-get indextargets --format '$(SITE)' "Created-By: Packages" \
	2>/dev/null | grep -m 1 debian)
# shellcheck disable=SC2016 # the guest's
suite=$(X sh -c '. /etc/os-release; echo $VERSION_CODENAME')
if [ -n "$mirror" ] && reachable "$mirror/dists/$suite/InRelease"; then
	sources="deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] \
$mirror $suite main"
	X sudo sh -c "rm -rf /etc/apt/sources.list.d/*
		echo '$sources' >/etc/apt/sources.list" >/dev/null
	like "apt is refused without a rule" "$(X sudo apt-get -qq update)" \
		"resolve|403|Failed|Err"
	allow_url "$mirror"
	ok "apt-get update" X sudo apt-get -qq -o Acquire::Retries=5 update
	ok "apt-get install" X sudo env DEBIAN_FRONTEND=noninteractive \
		apt-get -qq -y -o Acquire::Retries=5 install \
		--no-install-recommends wget
	like "what it installed runs" "$(X wget --version)" "GNU Wget"
	like "by HTTP requests that were read" "$(C policy log box)" \
		"allow .*$(cut -d/ -f3 <<<"$mirror")"
else
	skip "apt" "no Debian mirror can be reached from here"
fi

registry=$(npm config get registry 2>/dev/null)
if [ -n "$registry" ] && reachable "${registry%/}/is-odd/latest"; then
	like "npm's registry is closed" \
		"$(X curl -sS "${registry%/}/npm/latest")" "resolve"
	allow_url "$registry"
	ok "npm itself by curl" X sh -ec "cd /tmp
		curl -fsS --retry 5 ${registry%/}/npm/latest >latest
		curl -fsS --retry 5 \"\$(jq -r .dist.tarball latest)\" | tar -xz"
	like "npm install" "$(X sh -ec "mkdir -p /tmp/p; cd /tmp/p
		node ../package/bin/npm-cli.js install --no-audit --no-fund \
			--registry $registry is-odd
		node -e 'console.log(require(\"is-odd\")(3))'")" '^true$'
	like "which may not publish" "$(X sh -c "curl -sS -X PUT -d x \
		${registry%/}/is-odd")" "no rule allows PUT"
else
	skip "npm" "no registry of npm can be reached from here"
fi
plan_done
