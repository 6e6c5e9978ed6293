// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// networkd is a configuration of systemd-networkd in place of the image's own.
func networkd(lines string) File {
	return File{Path: "/etc/systemd/network/80-dhcp.network", Content: "[Match]\nName=en* eth*\n\n[Network]\n" + lines}
}

// byHand is a machine whose only network manager is a line in a unit, late.
const byHand = `[Unit]
DefaultDependencies=no
After=network-pre.target sysinit.target

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'sleep 3; cd /sys/class/net && set -- en* && ip link set $1 up && ip address add 192.0.2.15/24 dev $1; sleep 1; ip route add default via 192.0.2.2'
`

// askSite asks the site's host by the relay, as any client of HTTP would, and
// the same host without it.
const askSite = `#!/bin/bash
echo "<$CTX_INTERFACE $CTX_ADDRESS>"
p=${http_proxy#http://}
ask() {
	exec 3<>"/dev/tcp/$1/$2" || return
	printf 'GET %s HTTP/1.0\r\n\r\n' "$3" >&3
	tail -n 1 <&3
}
ask "${p%:*}" "${p#*:}" http://192.0.2.100/hello
ask "${p%:*}" "${p#*:}" http://127.0.0.1:9100/metrics
ask 192.0.2.100 80 /hello
exit 0
`

// TestNetworks boots a guest for each way in which a network comes up. The
// epilog must be right in each, and network-online.target is masked: whoever
// needed it would fail.
func TestNetworks(t *testing.T) {
	policy := func(more string) File {
		return File{Path: "/etc/ctxagent/policy.yaml", Content: "version: 1\nlimits: {deadline: 1m, bytes: 16MiB, inodes: 1000, changes: 100, processes: 64, memory: 128MiB}\n" +
			"media: {wait: 1m, max_bytes: 1MiB, max_files: 10}\nnetwork:\n  timeout: 2m\n" + more}
	}
	for _, tt := range []struct {
		name    string
		network Network
		payload []File
		address string
		reaches bool // the site's host, which has IPv4 alone
	}{
		{"networkd, IPv4 by DHCP", Network{}, []File{Route("192.0.2.2"), policy("")}, "192.0.2.15/24", true},
		{"networkd, IPv6 by router advertisement", Network{Net6: "fd00:db8::", Only6: true}, []File{networkd("IPv6AcceptRA=yes\n"), policy("  family: ipv6\n")}, "fd00:db8:", false},
		{"networkd, dual stack", Network{Net6: "fd00:db8::"}, []File{networkd("DHCP=ipv4\nIPv6AcceptRA=yes\n\n[Route]\nGateway=192.0.2.2\n"), policy("  family: both\n")}, "192.0.2.15/24", true},
		{"by hand", Network{}, append(Unit("by-hand.service", byHand, "multi-user.target"), networkd("# nothing\n[Link]\nUnmanaged=yes\n"), policy("")), "192.0.2.15/24", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			site := serve(t, func(c net.Conn) {
				_, _ = c.Read(make([]byte, 4096))
				fmt.Fprint(c, "HTTP/1.0 200 OK\r\n\r\nhello from the site\n")
			})
			if !tt.network.Only6 {
				tt.network.Net = "192.0.2.0/24"
				tt.network.Services = []Service{{Guest: "192.0.2.100:80", Host: site}}
			}
			r := boot(t, Config{
				Disks: []string{writeDisc(t, map[string]string{"epilog.sh": askSite})}, Payload: tt.payload, Network: &tt.network, ReportWait: 2 * time.Minute,
				KernelArgs: []string{"systemd.mask=network-online.target", "systemd.mask=systemd-networkd-wait-online.service"},
			})
			reached(t, r)
			epilog := receiptOf(t, r, "epilog")
			output := epilog.Script.OutputTail
			if epilog.Outcome != "unchanged" || epilog.Network.Interface != "ens4" || !strings.HasPrefix(epilog.Network.Address, tt.address) {
				t.Errorf("epilog %+v; want it on %s", epilog, tt.address)
			}
			if strings.Contains(output, "hello from the site") != tt.reaches || strings.Count(output, "hello") > 1 || strings.Contains(output, "node_") {
				t.Errorf("epilog.sh printed %q; want the site by the relay alone: %v", output, tt.reaches)
			}
		})
	}
}
