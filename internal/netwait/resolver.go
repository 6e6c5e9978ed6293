// SPDX-License-Identifier: Apache-2.0

package netwait

import (
	"io"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
)

const (
	maxResolver    = 64 << 10 // bytes of a file that are read
	maxNameservers = 16
)

// Nameservers are those that a root's resolver state names (resolv.conf(5)).
// Where that is systemd-resolved's stub, its own list of upstream servers is
// read (systemd-resolved.service(8)). What cannot be read names none: it is a
// fact for the receipt, and decides nothing.
func Nameservers(root fs.FS) []string {
	list := nameservers(root, "etc/resolv.conf")
	if len(list) == 0 || slices.ContainsFunc(list, isStub) {
		if upstream := nameservers(root, "run/systemd/resolve/resolv.conf"); len(upstream) > 0 {
			return upstream
		}
	}
	return list
}

// isStub knows systemd-resolved's own addresses.
func isStub(server string) bool { return server == "127.0.0.53" || server == "127.0.0.54" }

func nameservers(root fs.FS, name string) []string {
	f, err := root.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxResolver))
	if err != nil {
		return nil
	}
	var list []string
	for line := range strings.SplitSeq(string(b), "\n") {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" || len(list) == maxNameservers {
			continue
		}
		if a, err := netip.ParseAddr(words[1]); err == nil && !slices.Contains(list, a.String()) {
			list = append(list, a.String())
		}
	}
	return list
}
