#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# build-image.sh [DIR [SUITE]]: build the guest of a Debian suite into DIR, once.
#
# SUITE is bookworm, the base image with the services that are contextualised, or
# another one, with a kernel, systemd and rsyslog alone: bullseye and trixie, for their
# kernels. Exit status 3: the package mirror has no such suite.
#
# DIR then holds
#   vmlinux     the uncompressed kernel, which QEMU starts directly
#   root.ext4   the root file system, sparse; guests open it with snapshot=on
#   busybox     the static busybox of the image, for the per-run initrd
#   stamp       written last: what was built, and when
#
# Default DIR: ${XDG_CACHE_HOME:-$HOME/.cache}/ctxagent/guest-<hash of this script>-SUITE,
# so that a change of the recipe is a new image. A finished image is never touched.
# Needs mmdebstrap, e2fsprogs, util-linux, a Debian package mirror (that of this machine's
# apt) and what the kernels are compressed with: lz4 (11), xz (12), zstd (13). Runs as root, or as a user with subordinate ids (uidmap).
set -euo pipefail

packages=linux-image-cloud-amd64,systemd,systemd-sysv,udev,kmod,rsyslog,iproute2,busybox-static
enabled='systemd-networkd rsyslog'
# What the base image has beside that.
base_packages=prometheus-node-exporter,munge,slurmd,slurm-client,openssh-server,cron
# The other network managers. They are masked, with what they start; TestNetworks unmasks
# the one that it wants.
base_packages+=,ifupdown,isc-dhcp-client,network-manager
base_enabled='prometheus-node-exporter munge slurmd'
image_size=1G

# Units that only cost time in a guest that lives for ten seconds, or that would write
# to the root file system while a test compares it.
masked=(
	apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer
	e2scrub_all.timer e2scrub_reap.service fstrim.timer logrotate.timer
	man-db.timer systemd-tmpfiles-clean.timer motd-news.timer
	getty.target getty-static.service getty@.service serial-getty@.service
	console-getty.service
	systemd-timesyncd.service systemd-pstore.service systemd-random-seed.service systemd-update-utmp.service
	systemd-update-utmp-runlevel.service cron.service ssh.service
	prometheus-node-exporter-apt.timer prometheus-node-exporter-ipmitool-sensor.timer
	prometheus-node-exporter-mellanox-hca-temp.timer
	prometheus-node-exporter-nvme.timer prometheus-node-exporter-smartmon.timer
	networking.service ifupdown-pre.service
	NetworkManager.service NetworkManager-dispatcher.service NetworkManager-wait-online.service
	dbus.socket dbus.service polkit.service systemd-logind.service
)

say() { printf 'build-image: %s\n' "$*"; }
die() {
	printf 'build-image: error: %s\n' "$*" >&2
	exit 1
}

# mirror prints the URL of the Debian archive that this machine's apt uses.
mirror() {
	# apt fills in $(...), not the shell.
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(CODENAME)' |
		awk '!found && $2 == "Debian" && $3 !~ /security/ { print $1; found = 1 }'
}

# u32 FILE OFFSET prints the little-endian 32-bit number there.
u32() { od -An -tu4 -j "$2" -N 4 "$1" | tr -d ' '; }

# vmlinux BZIMAGE OUT unpacks the kernel's payload: setup header, fields setup_sects
# (0x1f1), payload_offset (0x248) and payload_length (0x24c); see the kernel's
# Documentation/arch/x86/boot.rst. Except for gzip, which has it already, the kernel's
# build appends four bytes to the payload: its size.
vmlinux() {
	local sectors start length magic tool
	sectors=$(od -An -tu1 -j $((0x1f1)) -N 1 "$1" | tr -d ' ')
	start=$(((sectors + 1) * 512 + $(u32 "$1" $((0x248)))))
	length=$(($(u32 "$1" $((0x24c))) - 4))
	magic=$(od -An -tx1 -j "$start" -N 4 "$1" | tr -d ' ')
	case $magic in
	fd377a58) tool=xz ;;
	02214c18) tool=lz4 ;;
	28b52ffd) tool=zstd ;;
	1f8b*) tool=gzip length=$((length + 4)) ;;
	*) die "unpack kernel: unknown compression, magic $magic" ;;
	esac
	command -v "$tool" >/dev/null || die "unpack kernel: $tool is not installed"
	dd if="$1" bs=1M iflag=skip_bytes,count_bytes skip="$start" count="$length" \
		status=none | "$tool" -dc >"$2"
	[ "$(head -c 4 "$2" | tail -c 3)" = ELF ] || die "unpack kernel: the result is not ELF"
}

# configure ROOT bakes in what every guest needs.
configure() {
	local unit system=$1/etc/systemd/system
	echo guest >"$1/etc/hostname"
	printf '127.0.0.1 localhost\n127.0.1.1 guest\n' >"$1/etc/hosts"
	echo 0123456789abcdef0123456789abcdef >"$1/etc/machine-id"
	: >"$1/etc/fstab"
	rm -f "$1/etc/resolv.conf" # it is the build machine's
	mkdir -p "$1/etc/systemd/network" "$1/etc/systemd/journald.conf.d"
	printf '[Match]\nName=en* eth*\n\n[Network]\nDHCP=ipv4\nIPv6AcceptRA=no\nLinkLocalAddressing=no\n' \
		>"$1/etc/systemd/network/80-dhcp.network"
	printf '[Journal]\nStorage=volatile\n' >"$1/etc/systemd/journald.conf.d/50-guest.conf"
	# slurmd wants network-online.target; without a network that must not cost two minutes.
	mkdir -p "$system/systemd-networkd-wait-online.service.d"
	printf '[Service]\nExecStart=\nExecStart=/lib/systemd/systemd-networkd-wait-online --any --timeout=30\n' \
		>"$system/systemd-networkd-wait-online.service.d/50-guest.conf"
	for unit in "${masked[@]}"; do
		ln -sfn /dev/null "$system/$unit"
	done
	rm -rf "${1:?}"/boot/* "$1"/initrd.img* "$1"/vmlinuz* "$1"/var/cache/apt/* \
		"$1"/var/lib/apt/lists/* "$1"/var/log/*.log "$1"/usr/share/{doc,man,locale,info}
}

# assemble TAR OUT, as root of this or of a user namespace: tree, kernel, ext4.
assemble() {
	local tree=$2/tree kernel
	mkdir "$tree"
	# The guest's kernel makes /dev, and a user namespace cannot.
	tar -C "$tree" --numeric-owner --exclude='./dev/*' -xf "$1"
	kernel=$(find "$tree/boot" -name 'vmlinuz-*' | sort -V | tail -n 1)
	[ -n "$kernel" ] || die "find kernel: none in /boot of the image"
	vmlinux "$kernel" "$2/vmlinux"
	cp "$tree/bin/busybox" "$2/busybox"
	configure "$tree"
	mke2fs -q -t ext4 -L guest -m 0 -J size=8 -E lazy_itable_init=0,lazy_journal_init=0 \
		-d "$tree" "$2/root.ext4" "$image_size" >/dev/null
	rm -rf "$tree" "$1" "$2/Release"
}

# has_suite URL SUITE FILE: may the mirror have it? Only a plain "not found" says no: any
# other trouble is for mmdebstrap to report.
has_suite() {
	local answer
	answer=$(/usr/lib/apt/apt-helper -qq download-file "${1%/}/dists/$2/Release" "$3" 2>&1) || true
	[[ $answer != *' 404 '* ]]
}

# build DIR SUITE makes the image in a directory beside DIR and renames it into place.
build() {
	local mode=root url work as_root=() tool suite=$2
	for tool in mmdebstrap mke2fs flock; do
		command -v "$tool" >/dev/null || die "find $tool: not installed"
	done
	url=$(mirror)
	[ -n "$url" ] || die "find the Debian mirror: apt knows none; run apt-get update"
	if [ "$(id -u)" -ne 0 ]; then
		mode=unshare
		as_root=(unshare --map-root-user --map-auto)
	fi
	# Leftovers of builds that were killed: we hold the lock, so nobody works there.
	"${as_root[@]}" rm -rf "$1".tmp.*
	work=$(mktemp -d "$1.tmp.XXXXXX")
	# shellcheck disable=SC2064 # the values of now
	trap "${as_root[*]} rm -rf '$work'" EXIT
	chmod 755 "$work"
	if ! has_suite "$url" "$suite" "$work/Release"; then
		printf 'build-image: error: %s has no suite %s\n' "$url" "$suite" >&2
		exit 3
	fi
	if [ "$suite" = bookworm ]; then
		packages+=,$base_packages
		enabled+=" $base_enabled"
	fi
	say "downloading and unpacking Debian ($suite), about a minute"
	mmdebstrap --quiet --variant=minbase --mode="$mode" --include="$packages" \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/info/*' \
		--aptopt='Apt::Install-Recommends "false"' \
		--chrooted-customize-hook="systemctl --quiet enable $enabled 2>/dev/null" \
		"$suite" "$work/root.tar" "$url"
	say "writing the kernel and the root file system"
	"${as_root[@]}" bash "$0" --assemble "$work/root.tar" "$work"
	date -u "+$suite %FT%TZ" >"$work/stamp"
	mv -T "$work" "$1"
	trap - EXIT
}

main() {
	local dir=${1-} suite=${2:-bookworm}
	if [ "$dir" = --assemble ]; then
		assemble "$2" "$3"
		return
	fi
	if [ -z "$dir" ]; then
		dir=${XDG_CACHE_HOME:-$HOME/.cache}/ctxagent/guest-$(sha256sum <"$0" | cut -c 1-12)-$suite
	fi
	mkdir -p "$(dirname "$dir")"
	exec 9>"$dir.lock"
	flock 9
	if [ ! -e "$dir/stamp" ]; then
		rm -rf "$dir"
		build "$dir" "$suite"
	fi
	say "image in $dir"
}

main "$@"
