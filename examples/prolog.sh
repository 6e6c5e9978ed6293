#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Before the network: connect this machine to the site's syslog and monitoring.
# The values are in context.sh. Every file is written whole, so that a second
# run leaves the same files; ctxagent sees that and restarts nothing.
set -eu

# --- syslog: send everything to the site's log host. rsyslog starts before the
# --- network: it queues what it cannot send yet, on disk if need be, and tries
# --- again every 5 seconds (its default is 30).
mkdir -p /etc/rsyslog.d
cat >/etc/rsyslog.d/50-site.conf <<EOF
# Written from the site's context disc.
*.* action(type="omfwd" target="${SITE_LOGHOST:?set it in context.sh}" port="${SITE_LOGPORT:-514}" protocol="tcp"
           template="RSYSLOG_SyslogProtocol23Format"
           queue.type="LinkedList" queue.filename="site-forward" queue.maxDiskSpace="100m"
           queue.saveOnShutdown="on" action.resumeRetryCount="-1" action.resumeInterval="5")
EOF
systemctl restart rsyslog

# --- monitoring: node_exporter on the site's port, with the site's name as a
# --- metric of its own
mkdir -p /var/lib/prometheus/node-exporter
cat >/etc/default/prometheus-node-exporter <<EOF
# Written from the site's context disc.
ARGS="--web.listen-address=:${SITE_EXPORTER_PORT:-9100} --collector.textfile.directory=/var/lib/prometheus/node-exporter"
EOF
cat >/var/lib/prometheus/node-exporter/site.prom <<EOF
# HELP site_info The site that contextualised this machine.
# TYPE site_info gauge
site_info{site="${SITE_NAME:?set it in context.sh}"} 1
EOF
systemctl restart prometheus-node-exporter

echo "syslog goes to $SITE_LOGHOST, node_exporter listens on ${SITE_EXPORTER_PORT:-9100}"
