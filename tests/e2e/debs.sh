# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Programs of Debian packages for a test without installing them: a server that
# is installed is also started, and that is no business of a test.
#
# The archives are kept in .cache/dev/debs. Needs what `apt-get update` brought.

DEBS=${COVE_TEST_DEBS:-$TOP/.cache/dev/debs}

apt_get() {
	# APT::Sandbox: root in a user namespace cannot become _apt.
	apt-get -qq -o Debug::NoLocking=1 -o APT::Sandbox::User= \
		-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
		-o Dir::Cache::archives="$DEBS" "$@"
}

# debs_host DIR PACKAGE...: what of them and of their dependencies is missing
# on this machine, unpacked below DIR; sets PATH and the library path.
debs_host() {
	local dir=$1 uris uri
	shift
	mkdir -p "$DEBS/partial" "$dir"
	uris=$(apt_get install --no-install-recommends --print-uris "$@" |
		awk '{ print $2 }') || return 1
	[ -z "$uris" ] || apt_get install -y --no-install-recommends \
		--download-only "$@" || return 1
	for uri in $uris; do
		dpkg -x "$DEBS/$uri" "$dir" || return 1
	done
	PATH=$PATH:/usr/sbin:/sbin:$dir/usr/sbin:$dir/usr/bin
	export LD_LIBRARY_PATH=$dir/usr/lib/x86_64-linux-gnu
}

# debs_guest DIR PACKAGE...: just these, unpacked below DIR.
debs_guest() {
	local dir=$1 package file
	shift
	mkdir -p "$DEBS" "$dir"
	for package; do
		file=$(cd "$DEBS" && echo "${package}"_*.deb)
		if [ ! -e "$DEBS/$file" ]; then
			(cd "$DEBS" && apt_get download "$package") || return 1
			file=$(cd "$DEBS" && echo "${package}"_*.deb)
		fi
		dpkg -x "$DEBS/$file" "$dir" || return 1
	done
}
