// SPDX-License-Identifier: Apache-2.0

package guest

// manager is a network manager of the image, and the payload that makes it the
// guest's only one.
type manager struct {
	unit    string
	payload []File
}

const (
	vendorUnits = "/lib/systemd/system/"
	localUnits  = "/etc/systemd/system/"
)

// unmask undoes what the image's recipe does to a unit.
func unmask(units ...string) []File {
	var files []File
	for _, u := range units {
		files = append(files, File{Path: localUnits + u, Target: vendorUnits + u})
	}
	return files
}

// noNetworkd takes away the manager that the image has enabled.
func noNetworkd() []File {
	return []File{
		{Path: localUnits + "systemd-networkd.service", Target: "/dev/null"},
		{Path: localUnits + "systemd-networkd.socket", Target: "/dev/null"},
	}
}

// networkd has its configuration in place of the image's own.
func networkd(lines string) manager {
	return manager{"systemd-networkd.service", []File{
		{Path: "/etc/systemd/network/80-dhcp.network", Content: "[Match]\nName=en* eth*\n\n[Network]\n" + lines},
	}}
}

// ifupdown is configured as Debian's installer does it: a card that is there is
// brought up by its own unit, ifup@, which udev's event starts.
func ifupdown(stanzas string) manager {
	files := append(noNetworkd(), unmask("networking.service", "ifupdown-pre.service")...)
	return manager{"ifup@ens4.service", append(files,
		File{Path: localUnits + "multi-user.target.wants/networking.service", Target: vendorUnits + "networking.service"},
		File{Path: "/etc/network/interfaces", Content: "auto lo\niface lo inet loopback\nallow-hotplug ens4\n" + stanzas})}
}

// networkManager finds the card by itself and makes a connection for it, unless
// one is given.
func networkManager(connection string) manager {
	files := append(noNetworkd(), unmask("NetworkManager.service", "dbus.service", "dbus.socket")...)
	files = append(files,
		File{Path: localUnits + "multi-user.target.wants/NetworkManager.service", Target: vendorUnits + "NetworkManager.service"},
		File{Path: localUnits + "sockets.target.wants/dbus.socket", Target: vendorUnits + "dbus.socket"},
		File{Path: "/etc/NetworkManager/conf.d/50-guest.conf", Content: "[main]\nauth-polkit=false\n"})
	if connection != "" {
		files = append(files, File{Path: "/etc/NetworkManager/system-connections/wired.nmconnection", Mode: 0o600,
			Content: "[connection]\nid=wired\ntype=ethernet\ninterface-name=ens4\n\n" + connection})
	}
	return manager{"NetworkManager.service", files}
}

// byHand is a machine whose only network manager is a line in a unit, late.
func byHand() manager {
	return manager{"by-hand.service", append(noNetworkd(), Unit("by-hand.service", `[Unit]
DefaultDependencies=no
After=network-pre.target sysinit.target

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'ip link set ens4 up && ip address add 192.0.2.15/24 dev ens4; sleep 1; ip route add default via 192.0.2.1'
`, "multi-user.target")...)}
}
