#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# build-kernel.sh DIR: unpack Debian's generic kernel into DIR, once, with the
# drivers of the buses that the cloud kernel of the base image lacks: AHCI and USB.
#
# DIR then holds
#   vmlinuz   the kernel as it is packed
#   early/    what the initrd loads to reach the root disk, in the order of their names
#   modules/  lib/modules of the guest: those and the drivers that udev is to load
#   stamp     written last
#
# Needs apt, dpkg and kmod.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

early=(nvme ext4)
drivers=(ahci ata_piix usb-storage uas xhci_pci sr_mod sd_mod virtio_blk virtio_scsi virtio_net virtio_pci overlay)

dir=$1
mkdir -p "$(dirname "$dir")"
exec 9>"$dir.lock"
flock 9
[ ! -e "$dir/stamp" ] || exit 0
rm -rf "$dir"
work=$(mktemp -d "$dir.tmp.XXXXXX")
trap 'rm -rf "$work"' EXIT
package=$(apt-cache depends linux-image-amd64 | awk '$1 == "Depends:" { print $2; exit }')
echo "build-kernel: downloading $package"
(cd "$work" && apt-get -qq download "$package" && dpkg-deb -x ./*.deb tree && rm ./*.deb)
version=$(basename "$work"/tree/lib/modules/*)
depmod -b "$work/tree" "$version"
# needs MODULE... prints the files that a module needs, itself last.
needs() { modprobe -d "$work/tree" -S "$version" --show-depends "$1" | awk '$1 == "insmod" { print $2 }'; }
mkdir "$work/early" "$work/keep"
n=100
for module in "${early[@]}"; do
	while read -r file; do
		n=$((n + 1))
		cp "$file" "$work/early/$n-$(basename "$file")"
	done < <(needs "$module")
done
for module in "${early[@]}" "${drivers[@]}"; do
	# A driver that is built in has no file.
	needs "$module" | while read -r file; do
		install -D -m 644 "$file" "$work/keep/${file#"$work/tree/"}"
	done
done
cp "$work/tree/lib/modules/$version"/modules.{order,builtin,builtin.modinfo} "$work/keep/lib/modules/$version/"
depmod -b "$work/keep" "$version"
mv "$work/keep/lib/modules" "$work/modules"
mv "$work/tree/boot/vmlinuz-$version" "$work/vmlinuz"
rm -rf "$work/tree" "$work/keep"
date -u +%FT%TZ >"$work/stamp"
mv -T "$work" "$dir"
trap - EXIT
