#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# After the network: make this machine an execute node of the site's HTCondor
# pool. Use it in place of ../epilog.sh. The pool's token lies on the disc as
# pool.token (condor_token_create on the central manager); the central manager's
# name is SITE_CONDOR_HOST in context.sh.
set -eu

[ -s "$CONTEXT_DIR/pool.token" ] || { echo "the disc has no pool.token" >&2; exit 1; }

# --- the token: read by root alone
mkdir -p /etc/condor/tokens.d
cp "$CONTEXT_DIR/pool.token" /etc/condor/tokens.d/site
chmod 0600 /etc/condor/tokens.d/site

# --- the pool: an execute node with one slot that jobs divide among them
mkdir -p /etc/condor/config.d
cat >/etc/condor/config.d/50-site.config <<EOF
# Written from the site's context disc for $CTX_ADDRESS.
CONDOR_HOST = ${SITE_CONDOR_HOST:?set it in context.sh}
DAEMON_LIST = MASTER, STARTD
SEC_DEFAULT_AUTHENTICATION = REQUIRED
SEC_DEFAULT_AUTHENTICATION_METHODS = IDTOKENS
NUM_SLOTS = 1
NUM_SLOTS_TYPE_1 = 1
SLOT_TYPE_1_PARTITIONABLE = True
EOF
systemctl enable condor
systemctl restart condor

echo "$CTX_ADDRESS joins the pool of $SITE_CONDOR_HOST"
