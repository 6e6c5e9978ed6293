# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The report that a test gets which does not write its own; see run for the functions.

file units systemctl list-units --all --no-legend --no-pager --plain
file jobs systemctl list-jobs --no-legend --no-pager
file journal journalctl -b -o short-monotonic --no-pager
file journal.json journalctl -b -o json --no-pager \
	-u systemd-networkd.service -u 'ctxagent-*'
file analyze systemd-analyze --no-pager
for unit in ctxagent-prolog.service ctxagent-epilog.service systemd-networkd.service \
	network-pre.target multi-user.target; do
	file "show/$unit" systemctl show "$unit"
done
# The agent keeps its copy of the disc in a file system of its own; tree stays out of it.
[ ! -d /run/ctxagent ] || tree /run/ctxagent -maxdepth 1
[ ! -d /var/lib/ctxagent ] || tree /var/lib/ctxagent
