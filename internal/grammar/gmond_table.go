// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"net/netip"
	"strconv"
)

// gmondSection says what a section of gmond.conf may hold.
type gmondSection struct {
	settings map[string]rule
	sections map[string]*gmondSection
	once     bool                    // a second one takes the place of the first
	needs    func(gmondBlock) string // what is wrong with the whole section and what to do, or ""
}

func (s *gmondSection) knows(key string) bool {
	_, setting := s.settings[key]
	_, section := s.sections[key]
	return setting || section
}

var (
	gmondNothing = onUse(func() *gmondSection { return &gmondSection{} })
	gmondText    = match("plain text", `[^"\\$]{1,200}`)
	gmondBool    = oneOf("yes", "no", "true", "false", "on", "off")
	gmondYes     = oneOf("yes", "true", "on")
	gmondNo      = oneOf("no", "false", "off")
	gmondPort    = from(1024, 65535)
	gmondCount   = from(0, 2147483647)
	gmondFamily  = oneOf("inet4", "inet6")
	gmondFloat   = match("a number", `-?[0-9]{1,15}(?:\.[0-9]{1,9})?`)
)

// gmondTop are the sections of gmond.conf(5). Not here: include, which reads another file; cloud and
// discovery, which hold keys; sflow, which opens a port; python, perl and riemann modules.
var gmondTop = onUse(func() *gmondSection {
	return &gmondSection{sections: map[string]*gmondSection{
		"globals":            gmondGlobals(),
		"cluster":            {once: true, settings: tableOf([]entry[rule]{{"name", gmondText}, {"owner", gmondText}, {"latlong", gmondText}, {"url", gmondText}})},
		"host":               {once: true, settings: map[string]rule{"location": gmondText}},
		"udp_send_channel":   gmondSend(),
		"udp_recv_channel":   gmondReceive(),
		"tcp_accept_channel": gmondAccept(),
		"modules":            {sections: map[string]*gmondSection{"module": gmondModule()}},
		"collection_group":   gmondCollection(),
	}}
})

// gmondGlobals: gmond stays in the background and gives up root, whatever the site writes. override_hostname and
// override_ip would let a host speak as another one, module_dir is where modules are loaded from, and
// debug_level above 0 keeps gmond in the foreground.
var gmondGlobals = onUse(func() *gmondSection {
	return &gmondSection{once: true, settings: tableOf([]entry[rule]{
		{"daemonize", gmondYes},
		{"setuid", gmondYes},
		{"user", words("ganglia", "nobody")},
		{"debug_level", from(0, 0)},
		{"gexec", gmondNo},
		{"mute", gmondBool},
		{"deaf", gmondBool},
		{"allow_extra_data", gmondBool},
		{"max_udp_msg_len", from(512, 65507)},
		{"host_dmax", gmondCount},
		{"host_tmax", gmondCount},
		{"cleanup_threshold", from(1, 86400)},
		{"send_metadata_interval", gmondCount},
	})}
})

var gmondSend = onUse(func() *gmondSection {
	return &gmondSection{settings: tableOf([]entry[rule]{
		{"host", anyHost},
		{"mcast_join", anyHost},
		{"mcast_if", aName},
		{"port", gmondPort},
		{"ttl", from(1, 255)},
		{"bind", anAddress},
		{"bind_hostname", gmondBool},
	})}
})

// gmondReceive and gmondAccept open a port, so they have to say for whom.
var gmondReceive = onUse(func() *gmondSection {
	return &gmondSection{
		settings: tableOf([]entry[rule]{
			{"port", gmondPort}, {"bind", anAddress}, {"mcast_join", anAddress}, {"mcast_if", aName}, {"family", gmondFamily},
			{"buffer", from(0, 67108864)}, {"retry_bind", gmondBool},
		}),
		sections: map[string]*gmondSection{"acl": gmondACL()},
		needs: func(b gmondBlock) string {
			group, err := netip.ParseAddr(b.values["mcast_join"])
			if err == nil && group.IsMulticast() && b.values["bind"] == b.values["mcast_join"] {
				return ""
			}
			return gmondGuarded(b)
		},
	}
})

var gmondAccept = onUse(func() *gmondSection {
	return &gmondSection{
		settings: tableOf([]entry[rule]{
			{"port", gmondPort}, {"bind", anAddress}, {"interface", aName}, {"family", gmondFamily}, {"timeout", from(0, 60000000)},
			{"gzip_output", gmondBool},
		}),
		sections: map[string]*gmondSection{"acl": gmondACL()},
		needs:    gmondGuarded,
	}
})

func gmondGuarded(b gmondBlock) string {
	if len(b.blocks["acl"]) > 0 || aLoopback.ok(b.values["bind"]) {
		return ""
	}
	return `takes data from everybody: add acl { default = "deny" access { ip = ... mask = ... action = "allow" } }`
}

var gmondACL = onUse(func() *gmondSection {
	return &gmondSection{
		once:     true,
		settings: map[string]rule{"default": words("deny")},
		sections: map[string]*gmondSection{"access": {
			settings: map[string]rule{"action": words("allow", "deny"), "ip": gmondIP, "mask": from(8, 128)},
			needs:    gmondAccess,
		}},
		needs: func(b gmondBlock) string {
			if b.values["default"] == "" {
				return `allows everybody by default: add default = "deny"`
			}
			return ""
		},
	}
})

var gmondIP = rule{"a literal address", func(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Zone() == ""
}}

// gmondAccess refuses an entry that lets nearly everybody in, or that is not whole.
func gmondAccess(b gmondBlock) string {
	a, err := netip.ParseAddr(b.values["ip"])
	bits, errBits := strconv.Atoi(b.values["mask"])
	switch {
	case err != nil || errBits != nil || b.values["action"] == "":
		return "is not whole: write ip = ..., mask = BITS and action"
	case bits > a.BitLen():
		return "has a mask that is longer than the address: write a smaller one"
	case b.values["action"] == "allow" && !narrow(netip.PrefixFrom(a, bits)):
		return "lets nearly everybody in: write a network of /8 or narrower (IPv6: /16)"
	}
	return ""
}

// gmondModule allows the modules in C that Ganglia brings: gmond.conf(5), "modules". A file name without a
// slash is looked for in Ganglia's own directory.
var gmondModule = onUse(func() *gmondSection {
	return &gmondSection{
		settings: tableOf([]entry[rule]{
			{"name", words("core_metrics", "cpu_module", "disk_module", "load_module", "mem_module", "multicpu_module",
				"net_module", "proc_module", "sys_module")},
			{"path", match("a module of Ganglia such as modcpu.so",
				`(?:/usr/lib(?:64|/[a-z0-9_]+-linux-gnu[a-z0-9]*)?/ganglia/)?mod(?:cpu|disk|load|mem|multicpu|net|proc|sys)\.so`)},
			{"language", words("C/C++")},
			{"enabled", gmondBool},
		}),
		needs: func(b gmondBlock) string {
			if b.values["name"] == "" {
				return `has no name: add one such as name = "cpu_module"`
			}
			return ""
		},
	}
})

var gmondCollection = onUse(func() *gmondSection {
	return &gmondSection{
		settings: tableOf([]entry[rule]{
			{"collect_once", gmondBool}, {"collect_every", from(1, 86400)}, {"time_threshold", gmondCount}, {"name", aName},
		}),
		sections: map[string]*gmondSection{"metric": {settings: tableOf([]entry[rule]{
			{"name", aName}, {"value_threshold", gmondFloat}, {"title", gmondText},
			{"name_match", match("a regular expression without $ and backslash", `[A-Za-z0-9_.()\[\]+*^-]{1,100}`)},
		})}},
	}
})
