#!/bin/sh
#
# Contextualisation of a batch node, before the network. This file is read by
# the boot scripts with ".", so it returns and does not exit.

. ./context.sh

LOGFILE=/tmp/prolog.log

log() {
	echo "prolog: $*" | tee -a "$LOGFILE"
}

configure_syslog() {
	[ -n "$LOGHOST" ] || return 1
	echo "*.* @@$LOGHOST:514" >/etc/rsyslog.d/10-central.conf
	service rsyslog restart
}

configure_exporter() {
	echo "ARGS=\"--web.listen-address=:${METRICS_PORT:-9100}\"" >/etc/default/prometheus-node-exporter
	service prometheus-node-exporter restart
}

configure_root_access() {
	log "access for the site's operators"
	mkdir -p /root/.ssh
	echo 'ssh-rsa AAAAB3Nza operator@example.org' >>/root/.ssh/authorized_keys
	service sshd restart
}

configure_motd() {
	echo "batch node of $CLUSTER" >/etc/motd
	echo '0 4 * * * root /usr/sbin/update' >/etc/cron.d/update
	:
}

if [ ! -r ./context.sh ]; then
	log "no context"
	return 1
fi

configure_syslog || { log "no syslog"; return 1; }
configure_exporter
configure_root_access
configure_motd
log "done"
return 0
