#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# setup.sh build|demo|test: install what the README's two commands need on a fresh
# Debian machine. It says what and why first, and does nothing twice.
set -euo pipefail
cd "$(dirname "$0")/.."

# package, the command or file that shows it is there, what for
needs() {
	cat <<-'EOF'
		ca-certificates /etc/ssl/certs/ca-certificates.crt fetch Go modules
	EOF
	[ "$1" != build ] || return 0
	cat <<-'EOF'
		xorriso         xorriso                             write context discs
		qemu-system-x86 qemu-system-x86_64                  boot guests, in software
		mmdebstrap      mmdebstrap                          build the guest's Debian 12
		e2fsprogs       mke2fs                              make the guest's file system
		lz4             lz4                                 unpack the guest's kernel
		xz-utils        xz                                  unpack the guest's kernel
	EOF
	[ "$1" = test ] || return 0
	cat <<-'EOF'
		genisoimage     genisoimage                         write discs as the other tool does
		libarchive-tools bsdtar                             write discs as the third tool does
		mtree-netbsd    mtree                               check the manifest of an image
		zstd            zstd                                unpack the kernel of Debian 13
		mtools          mcopy                               put files on them without mounting
		kmod            depmod                              give guests another kernel's modules
		openssh-client  ssh-keygen                          sign discs as a site does
		fdisk           sfdisk                              make partitioned discs
		busybox-static  busybox                             make small roots for the tests
		xfsprogs        mkfs.xfs                            make roots on xfs
		btrfs-progs     mkfs.btrfs                          make roots on btrfs
		dosfstools      mkfs.vfat                           make an EFI partition for a guest
		squashfs-tools  mksquashfs                          make the root of a live image
		acl             setfacl                             give a file of a root an ACL
		curl            curl                                find the way out by a proxy
		wget            wget                                the same, another client
		python3-pip     pip3                                the same, a third
		dnsmasq-base    dnsmasq                             be a site's DHCP, DNS and router
		shellcheck      shellcheck                          check the shell scripts
		zsh             zsh                                 read the completions for zsh
		fish            fish                                read the completions for fish
		mandoc          mandoc                              check the man pages
		qemu-utils      qemu-img                            make qcow2 images
		uidmap          newuidmap                           rehearse without root
		patch           patch                               apply the diffs that check shows
		systemd         systemd-analyze                     check the units
	EOF
}

want=go$(awk '$1 == "go" { print $2; exit }' go.mod)

# have_go reports whether the Go command $1 is there and new enough.
have_go() {
	local got
	got=$("$1" env GOVERSION 2>/dev/null) || return 1
	[ "$(printf '%s\n' "$want" "$got" | sort -V | head -n 1)" = "$want" ]
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

packages=()
lines=()
while read -r package probe reason; do
	case $probe in
	/*) [ ! -e "$probe" ] || continue ;;
	*) ! PATH=$PATH:/usr/sbin:/sbin command -v "$probe" >/dev/null || continue ;;
	esac
	packages+=("$package")
	lines+=("$(printf '  %-18s %s' "$package" "$reason")")
done < <(needs "${1:?build, demo or test}")
want_go=false
if ! have_go go && ! have_go .build/go/bin/go; then
	want_go=true
	command -v go >/dev/null || packages+=(golang-go)
	lines+=("$(printf '  %-18s %s' "$want" "build ctxagent (by Debian's golang-go, into .build/go)")")
fi
[ "${#lines[@]}" -gt 0 ] || exit 0

echo "This machine lacks what \`make $1\` needs; installing:"
printf '%s\n' "${lines[@]}"
if [ "${#packages[@]}" -gt 0 ]; then
	as_root apt-get -qq update
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${packages[@]}" >/dev/null
fi
if $want_go; then
	# Debian's Go may be too old to fetch a newer one by itself, but any can
	# fetch the toolchain's module, checked by Go's checksum database.
	scratch=$(mktemp -d)
	trap 'rm -rf "$scratch"' EXIT
	echo 'module scratch' >"$scratch/go.mod"
	arch=$(go env GOARCH)
	dir=$(cd "$scratch" && GOFLAGS=-mod=mod GOTOOLCHAIN=local go mod download -json \
		"golang.org/toolchain@v0.0.1-$want.linux-$arch" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
	[ -n "$dir" ] || { echo "setup: $want cannot be fetched" >&2; exit 1; }
	mkdir -p .build
	rm -rf .build/go
	cp -r "$dir" .build/go
	chmod -R u+w .build/go
	chmod -R +x .build/go/bin .build/go/pkg/tool
fi
echo "installed."
