# SPDX-License-Identifier: GPL-2.0-or-later
# Shared by scripts/run and scripts/test: install what is missing, build. Sourced, from the top of the tree.

# Packages to build with, and those the tests need besides.
BUILD_PACKAGES='gcc libc6-dev meson ninja-build pkg-config flex bison clang python3 libmnl-dev libnftnl-dev libelf-dev zlib1g-dev libjansson-dev libbpf-dev netbase'
TEST_PACKAGES='libcmocka-dev nftables iptables iproute2 bpftool clang-format clang-tidy libclang-rt-dev util-linux strace'
KERNELS_PACKAGES='qemu-system-x86 busybox-static kmod'
KERNELS='6.12'
LIBBPF_MIN=1.3

say() { printf '%s\n' "$*" >&2; }
die() { say "$0: $*"; exit 1; }

# Runs a command as root: directly, or through sudo.
as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"
	elif command -v sudo >/dev/null; then sudo "$@"
	else die "needs root or sudo to install packages: $*"; fi
}

installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q '^install ok installed'; }
candidate() { apt-cache policy "$1" 2>/dev/null | awk '/Candidate:/ { print $2 }'; }

# The URI of the Debian archive that this machine's apt uses (deb822 files or one-line entries).
debian_uri() {
	cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list /etc/apt/sources.list 2>/dev/null |
		awk '/^URIs:/ { for (i = 2; i <= NF; i++) print $i }
		     /^deb[ \t]/ { for (i = 2; i <= NF; i++) if ($i ~ /^[a-z+]+:\/\//) { print $i; break } }' |
		grep -E '/debian/?$' | head -n 1
}

# Debian 12's own libbpf (1.1) is too old: take it, and bpftool with it, from the release's backports.
enable_backports() {
	. /etc/os-release
	[ "${ID:-}" = debian ] && [ -n "${VERSION_CODENAME:-}" ] || return 0
	uri=$(debian_uri)
	[ -n "$uri" ] || die "no Debian archive in apt's sources; add $VERSION_CODENAME-backports by hand (libbpf >= $LIBBPF_MIN)"
	say "adding $VERSION_CODENAME-backports to apt's sources (libbpf >= $LIBBPF_MIN)"
	printf 'Types: deb\nURIs: %s\nSuites: %s-backports\nComponents: main\nSigned-By: %s\n' "$uri" "$VERSION_CODENAME" \
		/usr/share/keyrings/debian-archive-keyring.gpg |
		as_root tee /etc/apt/sources.list.d/nft2bpf-backports.sources >/dev/null
	as_root apt-get -qq update
}

# install_missing PACKAGE...: those of them that are missing, by name from the distribution.
install_missing() {
	missing=
	for p in "$@"; do
		if ! installed "$p"; then
			missing="$missing $p"
		elif [ "$p" = libbpf-dev ] && ! pkg-config --atleast-version=$LIBBPF_MIN libbpf 2>/dev/null; then
			missing="$missing $p" # there, but too old
		fi
	done
	[ -n "$missing" ] || return 0
	command -v apt-get >/dev/null || die "install these first:$missing"
	say "installing:$missing"
	as_root apt-get -qq update
	release= plain= back=
	for p in $missing; do
		case $p in
		libbpf-dev | bpftool) back="$back $p" ;;
		*) plain="$plain $p" ;;
		esac
	done
	if [ -n "$back" ] && dpkg --compare-versions "$(candidate libbpf-dev | sed 's/^[0-9]*://')" lt $LIBBPF_MIN; then
		apt-cache madison libbpf-dev | grep -q backports || enable_backports
		release="-t $(. /etc/os-release; echo "$VERSION_CODENAME")-backports"
	fi
	export DEBIAN_FRONTEND=noninteractive
	[ -z "$plain" ] || as_root apt-get -qq install -y --no-install-recommends $plain >/dev/null || die "apt-get install failed:$plain"
	[ -z "$back" ] || as_root apt-get -qq install -y --no-install-recommends $release $back >/dev/null || die "apt-get install failed:$back"
}

# kernel VERSION DIR: the newest kernel of that version for virtual machines, as a package, unpacked into DIR. Nothing is installed.
kernel() {
	names="^linux-image-$1\\.[0-9.]*\\+deb[0-9.]*-cloud-amd64\$"
	apt-cache search --names-only "$names" | grep -q . || as_root apt-get -qq update
	package=$(apt-cache search --names-only "$names" | cut -d' ' -f1 | sort -V | tail -n 1)
	[ -n "$package" ] || die "no kernel $1 for virtual machines among the distribution's packages"
	[ ! -f "$2/$package" ] || return 0
	say "fetching $package"
	rm -rf "$2"
	mkdir -p "$2"
	(cd "$2" && apt-get -qq download "$package" 2>/dev/null && dpkg-deb -x ./*.deb . && rm -f ./*.deb && touch "$package") ||
		die "cannot fetch $package"
}

# configure DIR [meson options]: makes the build folder, or gives an existing one the options.
configure() {
	dir=$1
	shift
	if [ ! -f "$dir/build.ninja" ]; then
		meson setup "$dir" "$@" >"$dir-setup.log" 2>&1 || { cat "$dir-setup.log" >&2; die "meson setup failed"; }
		mv "$dir-setup.log" "$dir/setup.log"
	elif [ $# -gt 0 ]; then
		meson configure "$dir" "$@" >/dev/null || die "meson configure failed"
	fi
}

# build DIR [TARGET...]: builds the targets, or everything.
build() {
	dir=$1
	shift
	ninja -C "$dir" "$@" >"$dir/build.log" 2>&1 || { tail -n 60 "$dir/build.log" >&2; die "the build failed ($dir/build.log)"; }
}
