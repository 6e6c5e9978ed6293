// SPDX-License-Identifier: Apache-2.0

package grammar

import "strings"

// netdataSetting is name = value, the name with blanks within.
var netdataSetting = lazy(`\A([A-Za-z][A-Za-z0-9_-]*(?: [A-Za-z0-9_-]+)*)[ \t]*=[ \t]*(.*)\z`)

// checkNetdata allows netdata.conf of Netdata 1.37, "Daemon configuration": how much is kept, what of Netdata's
// own collectors runs, and labels. Since Netdata listens on every address unless told otherwise, the file
// has to say that it does not.
func checkNetdata(f *file) {
	web := f.sections(netdataSections())
	if web["mode"] == "none" || web["bind to"] != "" || len(f.findings) > 0 {
		return
	}
	f.refuse(max(1, len(f.lines)), "[web]", `file does not say where Netdata listens, so it would listen on every address: add "mode = none" or "bind to = 127.0.0.1" to [web]`)
}

// checkNetdataStream allows the part of stream.conf that sends to a parent: "Streaming and replication
// reference", "[stream]". A section named by a key or a machine lets others send to this host.
func checkNetdataStream(f *file) {
	f.sections(netdataStream())
}

// sections walks a file of [section] and name = value lines, and returns the last values of [web], for Netdata
// takes the last, too. Netdata takes a line that starts with [ and does not end in ] for a setting; here it is refused.
func (f *file) sections(known map[string]map[string]rule) (web map[string]string) {
	f.shortLines()
	web = map[string]string{}
	var table map[string]rule
	section := ""
	for i, line := range f.lines {
		if f.comment(i+1, line, "#") {
			continue
		}
		text := strings.Trim(line, " \t")
		if strings.HasPrefix(text, "[") {
			section, table = text, known[text]
			if table == nil {
				table = map[string]rule{}
				if !f.extra[section] {
					f.unknown(i+1, section)
				}
			}
			continue
		}
		switch {
		case section == "":
			f.refuse(i+1, text, "%q stands before any section: put [section] above it", cut(text))
		case f.extra[section] && !strings.Contains(text, `\`):
		default:
			f.assignment(i+1, text, netdataSetting, table)
		}
		if m := netdataSetting.FindStringSubmatch(text); m != nil && section == "[web]" {
			web[m[1]] = m[2]
		}
	}
	return web
}
