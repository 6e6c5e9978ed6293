# --- batch system: a node of the site's Slurm cluster. The cluster's key on the
# --- disc, as munge.key, replaces the image's.
if [ -s "$CONTEXT_DIR/munge.key" ]; then
	mkdir -p /etc/munge
	cp "$CONTEXT_DIR/munge.key" /etc/munge/munge.key
	chmod 0400 /etc/munge/munge.key
	if id munge >/dev/null 2>&1; then
		chown munge:munge /etc/munge/munge.key
	else
		echo "this image has no user munge: is the package munge installed?"
	fi
	systemctl restart munge
else
	echo "the disc has no munge.key: the image's own stays"
fi
node=$(cat /proc/sys/kernel/hostname)
cpus=$(nproc)
memory=$(awk '/^MemTotal:/ { print int($2 / 1024 * 0.9) }' /proc/meminfo)
mkdir -p /etc/slurm
cat >/etc/slurm/slurm.conf <<END
# Written from the site's context disc for $node, $CTX_ADDRESS.
ClusterName=$SITE_CLUSTER
SlurmctldHost=$SITE_MANAGER
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SlurmUser=slurm
SlurmdSpoolDir=/var/lib/slurm/slurmd
ReturnToService=2
NodeName=$node NodeAddr=$CTX_ADDRESS CPUs=$cpus RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=$node Default=YES State=UP
END
# Without this slurmd asks systemd by D-Bus for its cgroup, and ends where there is none.
printf 'CgroupPlugin=cgroup/v2\nIgnoreSystemd=yes\n' >/etc/slurm/cgroup.conf
systemctl enable slurmd
systemctl restart slurmd
echo "$node ($CTX_ADDRESS) joins the cluster $SITE_CLUSTER"
