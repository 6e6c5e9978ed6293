#!/bin/sh
# After the network: join the batch system.
. ./context.sh

mkdir -p /etc/condor/config.d || return 2
cat >/etc/condor/config.d/10-site.config <<EOF
CONDOR_HOST = condor.example.org
DAEMON_LIST = MASTER, STARTD
EOF
/usr/sbin/service condor restart
return $?
