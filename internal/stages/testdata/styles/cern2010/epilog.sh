# ". /mnt/epilog.sh", once the network is up.
. /mnt/context.sh
echo "*.* @@$LOGHOST" >/etc/rsyslog.d/10-central.conf
service rsyslog restart
