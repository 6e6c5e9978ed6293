#!/bin/sh
. ./context.sh
[ -z "$LOG_SERVER" ] || echo "ARGS=\"--web.listen-address=:9100\"" >/etc/default/prometheus-node-exporter
