// SPDX-License-Identifier: Apache-2.0

package changeset

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ctxagent/ctxagent/internal/journal"
)

// The policy reads a symlink's target as a path; a link of the image on the way
// makes it another one.
func TestScanNamesTheLinkOnTheWay(t *testing.T) {
	for _, tt := range []struct{ name, script, through string }{
		{"to a file", "ln -s a etc/n", ""},
		{"to nothing", "ln -s /opt/none/x etc/n", ""},
		{"to the image's link", "ln -s link etc/n", "/etc/link"},
		{"through it, absolute", "ln -s /etc/away/x etc/n", "/etc/away"},
		{"through it, relative", "mkdir opt; ln -s ../etc/away/x opt/n", "/etc/away"},
		{"over a second layer, to its link", "ln -s /srv/data/link/x etc/n", "/srv/data/link"},
		{"over a second layer, to its file", "ln -s /srv/data/f etc/n", ""},
		{"through one of its own", "mkdir opt; ln -s /opt opt/l; ln -s /opt/l/x etc/n", ""},
		{"through one of an earlier run", "ln -s /etc/mine/x etc/n", ""},
		{"itself", "ln -s n etc/n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root, data := newOverlay(t, append(slices.Clone(standard), entry{"srv/", "", 0o755}, entry{"srv/data/", "", 0o755})), newOverlay(t, []entry{{"f", "f\n", 0o644}})
			for link, target := range map[string]string{
				filepath.Join(root.lower, "etc/away"): "/", filepath.Join(root.lower, "etc/mine"): "/opt", filepath.Join(data.lower, "link"): "/",
			} {
				if err := os.Symlink(target, link); err != nil {
					t.Fatal(err)
				}
			}
			root.sh(t, tt.script)
			seen := Seen{Shown: []journal.Shown{{Path: "/etc/mine", InPlace: true, Own: true}}}
			changes, err := Scan([]Layer{root.layer(t, "/"), data.layer(t, "/srv/data")}, seen, wideLimits)
			if err != nil {
				t.Fatal(err)
			}
			at := "/etc/n"
			if tt.name == "through it, relative" {
				at = "/opt/n"
			}
			if c := one(t, changes, at); c.Through != tt.through {
				t.Errorf("Scan() after %q has Through %q; want %q", tt.script, c.Through, tt.through)
			}
		})
	}
}
