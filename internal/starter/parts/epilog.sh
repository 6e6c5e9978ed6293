#!/bin/sh
#
# After the network: CTX_ADDRESS and CTX_INTERFACE say what it gave. The values
# are in context.sh.
set -eu
