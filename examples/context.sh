# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2034
#
# The site's own values. ctxagent reads this file as data and hands the
# variables to prolog.sh and epilog.sh; it is never run. Write NAME=value, with
# quotes where there are blanks, and nothing that needs a shell.

# syslog: where every line is sent to (TCP)
SITE_LOGHOST=192.0.2.10
SITE_LOGPORT=514

# monitoring: where the exporter listens, and the name the site's graphs use
SITE_NAME=EXAMPLE-SITE
SITE_EXPORTER_PORT=9105

# batch system, Slurm: cluster, and the controller as NAME(ADDRESS)
SITE_CLUSTER=example
SITE_SLURMCTLD="batch.example.org(192.0.2.20)"

# batch system, HTCondor: the central manager (only for htcondor/epilog.sh)
SITE_CONDOR_HOST=condor.example.org
