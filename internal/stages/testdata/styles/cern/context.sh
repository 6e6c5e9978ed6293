# Values of the site for this machine.
LOGHOST=logs.example.org
CLUSTER=lxtest
export METRICS_PORT="9110"
