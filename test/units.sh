#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# units.sh BINARY: check the units as systemd reads them, and hold their
# exposure (systemd-analyze security) under the figure in docs/hardening.md.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
# systemd-analyze wants the program that a unit names: a root with both.
mkdir -p "$root/usr/bin" "$root/etc/systemd/system"
install -m 755 "$1" "$root/usr/bin/ctxagent"
cp -r /lib/systemd "$root/usr/lib-systemd" 2>/dev/null || true
mkdir -p "$root/usr/lib"
mv "$root/usr/lib-systemd" "$root/usr/lib/systemd"
ln -s usr/lib "$root/lib"
ln -s usr/bin "$root/bin"
cp dist/systemd/* "$root/usr/lib/systemd/system/"
for unit in ctxagent-prolog.service ctxagent-epilog.service ctxagent.target; do
	out=$(systemd-analyze verify --man=no --root="$root" "$unit" 2>&1 | grep -F ctxagent || true)
	[ -z "$out" ] || { printf '%s\n' "$out"; exit 1; }
done
for unit in prolog:58 epilog:60; do
	systemd-analyze security --offline=true --threshold="${unit#*:}" "dist/systemd/ctxagent-${unit%:*}.service" | tail -n 1
done
