#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# daemons.sh 12|13: build a Debian 12 or 13 root that holds the daemons whose
# configuration the grammars read, once, and print its directory:
#   CTXAGENT_DAEMONS=$(test/daemons.sh 12) CTXAGENT_DAEMONS_13=$(test/daemons.sh 13) \
#     CTXAGENT_REQUIRE_DAEMONS=1 go test ./internal/grammar
# It is ${XDG_CACHE_HOME:-$HOME/.cache}/ctxagent/daemons-12-<hash of this script>.
# Needs root and mmdebstrap.
set -euo pipefail

beside=()
case ${1:?12 or 13} in
12)
	suite=bookworm
	packages=syslog-ng-core,collectd-core,systemd-journal-remote,ca-certificates,strace
	# What collectd loads for its writers and for sensors.
	packages+=,libcurl3-gnutls,libmicrohttpd12,libprotobuf-c1,libgcrypt20,libsensors5,libxml2,zlib1g,libmnl0,libyajl2
	packages+=,ganglia-monitor,icinga2-bin,icinga2-common,monitoring-plugins-basic,nagios-nrpe-server,netdata-core
	packages+=,prometheus-node-exporter,zabbix-agent,zabbix-agent2
	packages+=,slurmd,slurm-client,gridengine-exec,gridengine-client

	# These conflict with syslog-ng-core as packages, not as files: they are unpacked
	# beside what apt installed, over the libraries that they need.
	beside=(rsyslog rsyslog-gnutls rsyslog-openssl)
	packages+=,libestr0,libfastjson4,liblognorm5,libzstd1,libuuid1,libgnutls30,libssl3
	;;
13)
	suite=trixie
	packages=condor,strace,mount,hostname # Debian 12 has no HTCondor
	;;
esac

hash=$(sha256sum "$0" | cut -c 1-12)
root=${XDG_CACHE_HOME:-$HOME/.cache}/ctxagent/daemons-$1-$hash
echo "$root"
[ ! -e "$root/stamp" ] || exit 0

hooks=()
[ ${#beside[@]} -eq 0 ] || hooks+=(--customize-hook="chroot \"\$1\" sh -ec 'cd /var/tmp; apt-get -qq download ${beside[*]}
	dpkg --unpack --force-conflicts --force-depends ./*.deb; rm ./*.deb'")
rm -rf --one-file-system "$root"
mkdir -p "${root%/*}"
mmdebstrap --quiet --variant=apt --include="$packages" \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
	"${hooks[@]}" "$suite" "$root" >&2
date -u +%FT%TZ >"$root/stamp"
