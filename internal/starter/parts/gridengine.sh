# --- batch system: an execution host of the site's Grid Engine cell, as Debian's
# --- packages lay it out
mkdir -p /etc/default /var/lib/gridengine/default/common
cat >/etc/default/gridengine <<END
# Written from the site's context disc for $CTX_ADDRESS.
SGE_START_MASTERD=no
SGE_START_EXECD=yes
SGE_ROOT=/var/lib/gridengine
SGE_CELL=default
END
echo "$SITE_MANAGER" >/var/lib/gridengine/default/common/act_qmaster
systemctl enable gridengine-exec
systemctl restart gridengine-exec
echo "$CTX_ADDRESS serves $SITE_MANAGER"
