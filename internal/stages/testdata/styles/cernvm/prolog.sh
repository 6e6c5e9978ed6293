#!/bin/sh
#
# prolog.sh    start and stop of the site's part of this appliance
#
# description: called with "start" before the network and with "stop" at shutdown

. ./context.sh
RETVAL=0

start() {
	echo "Starting contextualisation for $ORGANISATION"
	mkdir -p /etc/cvmfs
	echo "CVMFS_REPOSITORIES=$REPOSITORIES" >/etc/cvmfs/default.local
	echo "*.info @$SYSLOG_SERVER" >/etc/rsyslog.d/site.conf
	systemctl reload-or-restart rsyslog.service
	systemctl start autofs.service
	RETVAL=$?
}

stop() {
	echo "Stopping contextualisation"
}

case "$1" in
start)
	start
	;;
stop)
	stop
	;;
restart)
	stop
	start
	;;
*)
	echo "Usage: $0 {start|stop|restart}"
	exit 1
	;;
esac

exit $RETVAL
