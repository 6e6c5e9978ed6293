# --- batch system: an execution host of the site's PBS server
cat >/etc/pbs.conf <<END
# Written from the site's context disc for $CTX_ADDRESS.
PBS_EXEC=/opt/pbs
PBS_HOME=/var/spool/pbs
PBS_SERVER=$SITE_MANAGER
PBS_START_SERVER=0
PBS_START_SCHED=0
PBS_START_COMM=0
PBS_START_MOM=1
END
mkdir -p /var/spool/pbs/mom_priv
echo "\$clienthost $SITE_MANAGER" >/var/spool/pbs/mom_priv/config
systemctl enable pbs
systemctl restart pbs
echo "$CTX_ADDRESS serves $SITE_MANAGER"
