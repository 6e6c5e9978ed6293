VMID=1234
TTL=2
AFS=off
LOGHOST=logs.example.org
