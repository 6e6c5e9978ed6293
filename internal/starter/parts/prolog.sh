#!/bin/sh
#
# Before the network. The values are in context.sh. Every file is written whole,
# so that a second run leaves the same files and restarts nothing.
set -eu
