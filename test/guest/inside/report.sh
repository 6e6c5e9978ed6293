# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The report that a test gets which does not write its own; see run for the functions.

file journal journalctl -b -o short-monotonic --no-pager
file show systemctl show --no-pager ctxagent-prolog.service ctxagent-epilog.service ctxagent.target \
	systemd-networkd.service network-pre.target multi-user.target
# The agent keeps its copy of the disc in a file system of its own; tree stays out of it.
[ ! -d /run/ctxagent ] || tree /run/ctxagent -maxdepth 1
[ ! -d /var/lib/ctxagent ] || tree /var/lib/ctxagent
