# --- syslog: every line to the site's log host, kept on disk while it is away
mkdir -p /etc/rsyslog.d
cat >/etc/rsyslog.d/50-site.conf <<END
# Written from the site's context disc.
*.* action(type="omfwd" target="$SITE_LOGHOST" port="$SITE_LOGPORT" protocol="tcp"
           template="RSYSLOG_SyslogProtocol23Format"
           queue.type="LinkedList" queue.filename="site-forward" queue.maxDiskSpace="100m"
           queue.saveOnShutdown="on" action.resumeRetryCount="-1" action.resumeInterval="5")
END
systemctl restart rsyslog
echo "syslog goes to $SITE_LOGHOST"
