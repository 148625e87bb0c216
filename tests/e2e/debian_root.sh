# shellcheck shell=bash
# A small Debian root as a tar, for tests that need a real distribution: source
# it after lib.sh. Made once, from the mirrors of this host's own apt, and kept
# beside the cache of the tests.

DEBIAN_ROOT=$(dirname "$CACHE")/debian-root.tar
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

debian_mirror() {
	apt-get indextargets --format '$(LABEL) $(REPO_URI)' \
		'Created-By: Packages' 'Origin: Debian' 'Component: main' |
		awk '$1 == "Debian" { print $2; exit }'
}

# Prints why there is none.
debian_root() {
	local mirror tmp
	[ -s "$DEBIAN_ROOT" ] && return 0
	command -v mmdebstrap >/dev/null || {
		echo "mmdebstrap is not installed"
		return 1
	}
	mirror=$(debian_mirror)
	[ -n "$mirror" ] || {
		echo "apt on this host knows no Debian mirror"
		return 1
	}
	tmp=$(mktemp "$DEBIAN_ROOT.XXXXXX") || return 1
	if nice mmdebstrap --variant=apt --format=tar \
		--aptopt='APT::Install-Recommends "false"' \
		--aptopt='Acquire::Languages "none"' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt=force-unsafe-io \
		trixie "$tmp" "deb [signed-by=$KEYRING] $mirror trixie main" \
		2>"$T/mmdebstrap.log"; then
		mv "$tmp" "$DEBIAN_ROOT"
		return 0
	fi
	rm -f "$tmp"
	echo "mmdebstrap: $(grep '^E:' "$T/mmdebstrap.log" | head -1)"
	return 1
}
