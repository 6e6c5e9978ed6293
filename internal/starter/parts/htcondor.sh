# --- batch system: an execute node of the site's HTCondor pool, with one slot
# --- that jobs divide among them. A token on the disc, as pool.token, is put
# --- where HTCondor looks for it; without one the image's own counts.
if [ -s "$CONTEXT_DIR/pool.token" ]; then
	mkdir -p /etc/condor/tokens.d
	cp "$CONTEXT_DIR/pool.token" /etc/condor/tokens.d/site
	chmod 0600 /etc/condor/tokens.d/site
else
	echo "the disc has no pool.token: the image's own tokens count"
fi
mkdir -p /etc/condor/config.d
cat >/etc/condor/config.d/50-site.config <<END
# Written from the site's context disc for $CTX_ADDRESS.
CONDOR_HOST = $SITE_MANAGER
DAEMON_LIST = MASTER, STARTD
SEC_DEFAULT_AUTHENTICATION = REQUIRED
SEC_DEFAULT_AUTHENTICATION_METHODS = IDTOKENS
NUM_SLOTS = 1
NUM_SLOTS_TYPE_1 = 1
SLOT_TYPE_1_PARTITIONABLE = True
END
systemctl enable condor
systemctl restart condor
echo "$CTX_ADDRESS joins the pool of $SITE_MANAGER"
