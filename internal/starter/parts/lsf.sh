# --- batch system: a dynamic host of the site's LSF cluster, which gets all
# --- else from the management host
cat >/etc/lsf.conf <<END
# Written from the site's context disc for $CTX_ADDRESS.
LSF_GET_CONF=lim
LSF_SERVER_HOSTS="$SITE_MANAGER"
LSF_LIM_PORT=7869
LSF_LOG_MASK=LOG_WARNING
END
systemctl enable lsfd
systemctl restart lsfd
echo "$CTX_ADDRESS serves $SITE_MANAGER"
