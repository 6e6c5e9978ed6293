# Vac-style prolog: no interpreter line, no context.sh, only what the factory node knows.
VM_NAME=vm-01.example.org
FACTORY=factory.example.org
if [ "$1" = start ]; then
	mkdir -p /etc/machinefeatures
	echo 10 >/etc/machinefeatures/hs06
	hostname $VM_NAME || true
	echo "*.warning @$FACTORY:514" >/etc/rsyslog.d/vac.conf
	/etc/init.d/rsyslog restart 2>/dev/null || service rsyslog restart
fi
