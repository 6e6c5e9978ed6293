if [ "$1" = start ]; then
	mkdir -p /opt/condor/bin
	cp ./pilot.txt /opt/condor/bin/pilot
	chmod 755 /opt/condor/bin/pilot
fi
