// SPDX-License-Identifier: Apache-2.0

package grammar

import "strings"

const (
	serverNameBuffer = 256 // of the shortest reader
	hostWithPort     = hostExpr + `(?::` + portExpr + `)?`
)

var serverNames = match("host names with commas between, each with a :port if you like", hostWithPort+`(?:,`+hostWithPort+`)*`)

// checkServerName allows the file of one line that names a batch system's server: server_name of Torque
// (Administrator Guide, "Server configuration") and act_qmaster of Grid Engine (sge_intro(1), FILES).
// Comments are harmless, but Grid Engine takes them for a name.
func checkServerName(f *file) {
	f.shorterThan(serverNameBuffer)
	seen := false
	for i, line := range f.lines {
		if f.comment(i+1, line, "#") {
			continue
		}
		name := strings.Trim(line, " \t")
		if seen {
			f.refuse(i+1, name, "%q is a second line: put all names on the first", cut(name))
		}
		seen = true
		f.value(i+1, "server", name, serverNames)
	}
}
