// SPDX-License-Identifier: Apache-2.0

package guest

import "path"

// behindTarget keeps a unit from starting on a half-configured node: what an
// image builder adds for a batch client.
const behindTarget = "[Unit]\nRequires=ctxagent.target\nAfter=ctxagent.target\n"

// Product is the payload that makes the guest's image contextualisable, as an
// image builder would: the agent's binary, its units from the directory dist,
// enabled, and slurmd ordered behind ctxagent.target.
func Product(binary, dist string) []File {
	const dir = "/usr/lib/systemd/system"
	files := []File{
		{Path: "/usr/bin/ctxagent", Mode: 0o755, Source: binary},
		{Path: "/etc/systemd/system/slurmd.service.d/ctxagent.conf", Content: behindTarget},
	}
	for unit, wantedBy := range map[string]string{
		"ctxagent-prolog.service": "sysinit.target",
		"ctxagent-epilog.service": "ctxagent.target",
		"ctxagent.target":         "multi-user.target",
	} {
		files = append(files,
			File{Path: path.Join(dir, unit), Source: path.Join(dist, "systemd", unit)},
			File{Path: path.Join("/etc/systemd/system", wantedBy+".wants", unit), Target: path.Join(dir, unit)})
	}
	return files
}

// Route makes the guest's network manager set a default route: QEMU's DHCP
// server names no router to a guest that is kept from the outside.
func Route(gateway string) File {
	return File{Path: "/etc/systemd/network/80-dhcp.network", Content: `[Match]
Name=en* eth*

[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no

[Route]
Gateway=` + gateway + "\n"}
}
