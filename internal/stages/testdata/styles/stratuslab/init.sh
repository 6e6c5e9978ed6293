#!/bin/sh

# Contextualization script for VM

. ./context.sh

[ -z "$PUBLIC_KEY" ] || mkdir -p -m 700 /root/.ssh
[ -z "$PUBLIC_KEY" ] || echo "$PUBLIC_KEY" >>/root/.ssh/authorized_keys
[ -z "$DNS" ] || echo "nameserver $DNS" >/etc/resolv.conf
[ -z "$LOG_SERVER" ] || echo "*.* @$LOG_SERVER" >/etc/rsyslog.d/stratus.conf
