#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The guest's init in the test that takes its power away: recover, say in which
# state the root is, and then apply two contexts in turn until the end.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs run /run
exec </dev/null >/dev/ttyS0 2>&1
echo "ctxtest: init has begun"

state() {
	{
		find /etc/default/slurmd /etc/rsyslog.d /opt -printf '%y %m %U:%G %p %l\n' | sort
		find /etc/default/slurmd /etc/rsyslog.d /opt -type f -exec sha256sum {} + | sort -k 2
	} | sha256sum | cut -c 1-16
}

run() { ctxagent run prolog --media "/$1.iso" || echo "ctxtest: failed $?"; }

ctxagent revert --recover
echo "ctxtest: recovery ended with $?"
echo "ctxtest: state $(state)"
echo "ctxtest: temporary names $(find / -xdev -name '.ctxagent-*' | wc -l)"
if [ ! -e /var/lib/known ]; then
	echo "ctxtest: image $(state)"
	run a
	echo "ctxtest: a $(state)"
	run b
	echo "ctxtest: b $(state)"
	ctxagent revert
	echo "ctxtest: reverted $(state)"
	run a
	state >/var/lib/known
	sync
fi
echo "ctxtest: applying"
# The first one is another than what is in place: it has something to do.
[ "$(state)" = "$(cat /var/lib/known)" ] || run a
while :; do
	run b
	run a
done
