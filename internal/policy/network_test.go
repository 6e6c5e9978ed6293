// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// network parses a policy whose network section is timeout and what is added.
func network(t *testing.T, lines string) *Network {
	t.Helper()
	p, err := Parse("p", []byte(small+lines))
	if err != nil {
		t.Fatalf("Parse(%s) = %v", lines, err)
	}
	return &p.Network
}

func TestNetworkDefaults(t *testing.T) {
	n := network(t, "")
	if n.Family != "any" || n.Require != "route" || n.OnTimeout != "fail" || n.Settle != 0 || n.Interfaces != nil {
		t.Errorf("criteria %+v; want the documented defaults", n)
	}
	if n.Relay != (Relay{1000, 4 << 30, Duration(5 * time.Minute)}) {
		t.Errorf("relay %+v; want the documented defaults", n.Relay)
	}
	d := defaultPolicy(t)
	if d.Network.Relay != n.Relay || d.Network.Family != n.Family || d.Network.Require != n.Require || len(d.Network.Reach) != 1 || d.Network.Reach[0].String() != n.Reach[0].String() {
		t.Errorf("the default policy says %+v; what it leaves out would be %+v", d.Network, n)
	}
}

func TestParseRefusesNetwork(t *testing.T) {
	for _, tt := range []struct{ name, lines, want string }{
		{"family", "  family: ipx\n", `line 22: network.family is "ipx"; it is one of any, ipv4, ipv6, both`},
		{"an empty family", "  family: ''\n", `line 22: network.family is ""`},
		{"require", "  require: internet\n", `line 22: network.require is "internet"; it is one of route, address, gateway-resolved`},
		{"on_timeout", "  on_timeout: run\n", `line 22: network.on_timeout is "run"`},
		{"settle", "  settle: 2m\n", "line 22: network.settle is 2m0s; it has to be from 0s to 1m0s"},
		{"the old route", "  route: true\n", `line 22: unknown key "route"`},
		{"a broken glob", "  interfaces: ['ens[']\n", `line 22: network.interfaces: "ens["`},
		{"no interface", "  interfaces: []\n", "line 22: network.interfaces names none"},
		{"null interfaces", "  interfaces:\n", "line 22: network.interfaces names none"},
		{"null reach", "  reach:\n", "line 22: network.reach is empty"},
		{"a rule of nothing", "  reach: [{ports: [80]}]\n", "line 22: network.reach: a rule has either"},
		{"a rule of both", "  reach: [{allow: any, deny: any}]\n", "either allow: TARGET or deny: TARGET"},
		{"the second rule", "  reach:\n    - allow: any\n    - allow: 192.0.2.1/24\n", `line 24: network.reach: "192.0.2.1/24" has bits behind its prefix: it would be 192.0.2.0/24`},
		{"an unknown key of a rule", "  reach: [{permit: any}]\n", `unknown key "permit"`},
		{"an address in another notation", "  reach: [{allow: 192.0.2}]\n", "neither any, a CIDR"},
		{"a number", "  reach: [{allow: 3221225985}]\n", "neither any, a CIDR"},
		{"a URL", "  reach: [{allow: 'https://example.org'}]\n", "neither any, a CIDR"},
		{"a star within", "  reach: [{allow: 'www.*.org'}]\n", "neither any, a CIDR"},
		{"a zone", "  reach: [{allow: 'fe80::1%eth0'}]\n", "neither any, a CIDR"},
		{"port 0", "  reach: [{allow: any, ports: [0]}]\n", `"0" is no port`},
		{"port 65536", "  reach: [{allow: any, ports: [65536]}]\n", `"65536" is no port`},
		{"a range backwards", "  reach: [{allow: any, ports: [90-80]}]\n", `"90-80" is no port`},
		{"no ports", "  reach: [{allow: any, ports: []}]\n", "allow any: ports names none"},
		{"ports with nothing in it", "  reach: [{deny: any}, {allow: any, ports: }]\n", "ports names none"},
		{"a port with nothing in it", "  reach: [{allow: any, ports: [443, ]}, {allow: any, ports: [~]}]\n", "one with nothing in it"},
		{"a port's name", "  reach: [{allow: any, ports: [https]}]\n", `"https" is no port`},
		{"no connections", "  relay: {connections: 0}\n", "line 22: network.relay.connections is 0; it has to be from 1"},
		{"too few bytes", "  relay: {bytes: 1}\n", "line 22: network.relay.bytes is 1; it has to be from 1024"},
		{"too much time", "  relay:\n    time: 1h\n", "line 23: network.relay.time is 1h0m0s; it has to be from 1s to 10m0s"},
		{"an unknown limit", "  relay: {speed: 1}\n", `unknown key "speed"`},
	} {
		_, err := Parse("p", []byte(small+tt.lines))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Parse = %v; want %q", tt.name, err, tt.want)
		}
	}
}

// TestNeverReached is the list that no rule opens, under the widest one and
// under one that names the address itself.
func TestNeverReached(t *testing.T) {
	for _, tt := range []struct{ addr, why string }{
		{"127.0.0.1", "loopback"}, {"127.9.9.9", "loopback"}, {"::1", "loopback"}, {"::ffff:127.0.0.1", "loopback"},
		{"0.0.0.0", "unspecified"}, {"0.1.2.3", "reserved"}, {"::", "unspecified"}, {"::ffff:0.0.0.0", "unspecified"},
		{"169.254.1.1", "link-local"}, {"169.254.169.254", "metadata"}, {"::ffff:169.254.169.254", "metadata"}, {"fe80::1", "link-local"},
		{"fd00:ec2::254", "metadata"}, {"fd20:ce::254", "metadata"}, {"fd00:c1::a9fe:a9fe", "metadata"}, {"168.63.129.16", "metadata"}, {"100.100.100.200", "metadata"},
		{"fd00:ec2::23", "metadata"}, {"fd00:42::42", "metadata"}, {"192.0.0.192", "metadata"}, {"64:ff9b::192.0.0.192", "metadata"},
		{"224.0.0.1", "multicast"}, {"239.1.2.3", "multicast"}, {"ff02::1", "multicast"}, {"255.255.255.255", "reserved"}, {"240.0.0.1", "reserved"},
		{"::7f00:1", "reserved"}, {"fec0::1", "reserved"},
		{"64:ff9b::7f00:1", "carries 127.0.0.1"}, {"64:ff9b::a9fe:a9fe", "carries 169.254.169.254"}, {"64:ff9b:1::7f00:1", "carries 127.0.0.1"},
		{"64:ff9b:1:a9fe:a9:fe00:c000:201", "carries 169.254.169.254"}, {"64:ff9b:1:a9:fe:a9fe:c000:201", "carries 169.254.169.254"}, // /48, /56
		{"64:ff9b:1:5:7f:0:1c0:201", "carries 127.0.0.1"}, // /64
		{"64:ff9b:1:5::7f00:1", "carries 127.0.0.1"},
		{"2002:7f00:1::1", "carries 127.0.0.1"}, {"2002:a9fe:a9fe::", "carries 169.254.169.254"},
		{"2001:0:7f00:1::", "carries 127.0.0.1"}, {"2001:0:c000:201::5601:5601", "carries 169.254.169.254"}, // ^ 0xff of it
	} {
		addr := netip.MustParseAddr(tt.addr)
		rules := []string{"  reach: [{allow: any}]\n", "  reach: [{allow: '" + tt.addr + "'}]\n", "  reach: [{allow: '0.0.0.0/0'}, {allow: '::/0'}]\n"}
		for _, lines := range rules {
			rule, err := network(t, lines).Reachable("", addr, 80)
			if err == nil || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("Reachable(%s) = %q, %v under %s; want a refusal that says %q", tt.addr, rule, err, lines, tt.why)
			}
		}
	}
	for _, ok := range []string{"192.0.2.1", "10.0.0.1", "100.64.0.1", "2001:db8::1", "fd00::1", "64:ff9b::c000:201", "64:ff9b:1::c000:201", "64:ff9b:1:5::c000:201", "2002:c000:201::1"} {
		if _, err := network(t, "").Reachable("", netip.MustParseAddr(ok), 80); err != nil {
			t.Errorf("Reachable(%s) = %v; want the default to allow it", ok, err)
		}
	}
}

func TestReachable(t *testing.T) {
	const rules = `  reach:
    - deny: 192.0.2.128/25
    - deny: bad.example.org
    - deny: ::ffff:203.0.113.0/120
    - deny: ::ffff:192.0.2.77
    - allow: 192.0.2.0/24
      ports: [80, 8000-8010]
    - allow: "*.example.org"
      ports: [443]
    - allow: Host.Example.NET.
    - deny: any
      ports: [22]
    - allow: 2001:db8::/32
`
	n := network(t, rules)
	v4, v6, far := "192.0.2.7", "2001:db8::7", "198.51.100.1"
	for _, tt := range []struct {
		name, addr string
		port       uint16
		rule       string // "" is refused
	}{
		{"", v4, 80, "allow 192.0.2.0/24 ports 80,8000-8010"},
		{"", v4, 8000, "allow 192.0.2.0/24 ports 80,8000-8010"},
		{"", v4, 8010, "allow 192.0.2.0/24 ports 80,8000-8010"},
		{"", v4, 8011, ""},
		{"", "192.0.2.129", 80, ""},
		{"", "::ffff:192.0.2.129", 80, ""},
		{"", "64:ff9b::192.0.2.129", 80, ""},
		{"", "64:ff9b:1:c000:2:8100:c633:6401", 80, ""},
		{"", "192.0.2.77", 80, ""}, // a rule's IPv4-mapped address is the IPv4 one
		{"www.example.org", "203.0.113.9", 443, ""},
		{"", far, 443, ""},
		{"www.example.org", far, 443, "allow *.example.org ports 443"},
		{"a.b.example.org", far, 443, "allow *.example.org ports 443"},
		{"example.org", far, 443, ""},
		{"wwwexample.org", far, 443, ""},
		{"www.example.org", far, 80, ""},
		{"www.example.org", "192.0.2.129", 443, ""}, // the first rule, by the resolved address
		{"www.example.org", "127.0.0.1", 443, ""},
		{"bad.example.org", far, 443, ""},
		{"host.example.net", far, 25, "allow Host.Example.NET."},
		{"x.host.example.net", far, 25, ""},
		{"anything.test", v6, 25, "allow 2001:db8::/32"},
		{"anything.test", v6, 22, ""},
		{"host.example.net", far, 22, "allow Host.Example.NET."}, // before the deny
	} {
		rule, err := n.Reachable(tt.name, netip.MustParseAddr(tt.addr), tt.port)
		if rule != tt.rule || (err == nil) != (tt.rule != "") {
			t.Errorf("Reachable(%q, %s, %d) = %q, %v; want %q", tt.name, tt.addr, tt.port, rule, err, tt.rule)
		}
	}
	for _, tt := range []struct {
		lines, name string
		port        uint16
		may         bool
	}{
		{rules, "anything.test", 25, true}, // 2001:db8::/32 may hold it
		{rules, "anything.test", 22, false},
		{rules, "bad.example.org", 443, false},
		{"  reach: [{allow: '*.example.org'}]\n", "secret.example.net", 443, false},
		{"  reach: [{allow: '*.example.org'}]\n", "www.example.org", 443, true},
		{"  reach: [{allow: 192.0.2.0/24, ports: [80]}]\n", "www.example.org", 443, false},
		{"  reach: []\n", "www.example.org", 443, false},
		{"", "www.example.org", 443, true},
	} {
		if _, err := network(t, tt.lines).Reachable(tt.name, netip.Addr{}, tt.port); (err == nil) != tt.may {
			t.Errorf("may %s:%d be looked up under\n%s: %v; want %v", tt.name, tt.port, tt.lines, err, tt.may)
		}
	}
}
