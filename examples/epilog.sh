#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# After the network: make this machine a node of the site's Slurm cluster. The
# munge key lies on the disc as munge.key (see README.md); the values are in
# context.sh. ctxagent sets CTX_ADDRESS to the address that the network gave.
set -eu

node=$(cat /proc/sys/kernel/hostname)
cpus=$(nproc)
memory=$(awk '/^MemTotal:/ { print int($2 / 1024 * 0.9) }' /proc/meminfo)

# --- munge: the cluster's shared key
[ -s "$CONTEXT_DIR/munge.key" ] || { echo "the disc has no munge.key" >&2; exit 1; }
mkdir -p /etc/munge
cp "$CONTEXT_DIR/munge.key" /etc/munge/munge.key
chmod 0400 /etc/munge/munge.key
if id munge >/dev/null 2>&1; then
	chown munge:munge /etc/munge/munge.key
else
	echo "this image has no user munge: is the package munge installed?"
fi
systemctl restart munge

# --- slurmd: one node, this one
mkdir -p /etc/slurm
cat >/etc/slurm/slurm.conf <<EOF
# Written from the site's context disc for $node, $CTX_ADDRESS.
ClusterName=${SITE_CLUSTER:?set it in context.sh}
SlurmctldHost=${SITE_SLURMCTLD:?set it in context.sh}
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SlurmUser=slurm
SlurmdSpoolDir=/var/lib/slurm/slurmd
SlurmdTimeout=300
ReturnToService=2
NodeName=$node NodeAddr=$CTX_ADDRESS CPUs=$cpus RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=$node Default=YES State=UP
EOF
cat >/etc/slurm/cgroup.conf <<EOF
CgroupPlugin=cgroup/v2
IgnoreSystemd=yes
EOF
systemctl enable slurmd
systemctl restart slurmd

echo "$node ($CTX_ADDRESS) joins the cluster $SITE_CLUSTER with $cpus CPUs and $memory MB"
