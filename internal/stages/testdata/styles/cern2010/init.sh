# Read from the mounted disc by the boot scripts: ". /mnt/init.sh", without any
# argument, in whatever directory they are.
[ -r /mnt/context.sh ] && . /mnt/context.sh

cp /mnt/etchosts /etc/hosts
cp /mnt/etcsysconfignetwork /etc/sysconfig/network
mkdir -p /root/.ssh
cat /mnt/id_rsa.pub >>/root/.ssh/authorized_keys

[ "$AFS" = off ] && service afs stop

. /mnt/lsfcontext.conf
cat >/etc/lsf.conf <<END
LSF_SERVER_HOSTS="$MASTERS"
LSF_LIM_PORT=$LIM_PORT
LSF_LOGDIR=/var/log/lsf
END
service lsfd restart
return $?
