// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"fmt"
	"slices"
	"strings"
)

// configDrives are OpenStack config drives whose vendor data must not become a
// context.
func configDrives() []Image {
	ours := func(value string) string { return `{"ctxagent": ` + value + `}` }
	file := func(name string) string { return ours(`{"prolog.sh": "", "files": {"` + name + `": ""}}`) }
	crowded := func() []byte {
		var b strings.Builder
		for i := 0; b.Len() < 4<<20-100; i++ {
			fmt.Fprintf(&b, `"%x":"",`, i)
		}
		return ConfigDrive(ours(`{"prolog.sh": "", "files": {` + b.String() + `"x": ""}}`))
	}
	var out []Image
	for _, i := range []struct{ name, text, want string }{
		{"cut off", `{"ctxagent": {"prolog.sh": "#!/bin/sh\n`, "is cut off"},
		{"not JSON", `{"ctxagent": {'prolog.sh': ''}}`, "it is not JSON"},
		{"not UTF-8", "{\"ctxagent\": \"\xff\"}", "it is not UTF-8"},
		{"two of the key", `{"ctxagent": {"prolog.sh": "1"}, "ctxagent": {"prolog.sh": "2"}}`, `"ctxagent" is there twice`},
		{"arrays a million deep", `{"x": ` + strings.Repeat("[", 1<<20), "exceeded max depth"},
		{"objects a million deep in a file", ours(`{"prolog.sh": ` + strings.Repeat(`{"base64":`, 1<<18)), `base64 of "prolog.sh" is no string`},
		{"a key that is not known", ours(`{"prolog.sh": "", "user_data": ""}`), `the key "user_data"`},
		{"a file above the root", file("../../etc/passwd"), "is no file name"},
		{"an absolute file", file("/etc/passwd"), "is no file name"},
		{"a name with NUL", file(`a\u0000b`), "is no file name"},
		{"a name with an escape", file(`a\u001b[2J`), "control character"},
		{"a name of half a pair", file(`\ud800`), "half a surrogate pair"},
		{"a file in a file", ours(`{"prolog.sh": "", "files": {"a": "", "a/b": ""}}`), "is a file and has files in it"},
		{"two scripts but for case", file("PROLOG.SH"), "are all prolog.sh"},
		{"4 MiB and one byte", ours(`{"prolog.sh": "` + strings.Repeat("x", 4<<20) + `"}`), "is longer than"},
	} {
		out = append(out, Image{"context: vendor data, " + i.name, func() []byte { return ConfigDrive(i.text) }, i.want})
	}
	return append(out, Image{"context: vendor data, 4 MiB of names", crowded, "media.max_files"})
}

// ConfigDrive makes a config drive with this vendor data.
func ConfigDrive(vendorData string) []byte {
	const latestAt = CEAt
	px := PX(0o040755)
	d := RockRidge()
	copy(d[16][40:72], "config-2"+strings.Repeat(" ", 32))
	d[RootAt] = Directory(RootAt, slices.Concat(SP(0), px), Dir("openstack", DirAt))
	d[DirAt] = Directory(DirAt, px, Dir("latest", latestAt))
	d[latestAt] = Directory(latestAt, px, Rec("V.;1", 0, Total, uint32(len(vendorData)), PX(0o100644), NM("vendor_data.json")))
	return append(d.Image(), sectors([]byte(vendorData))...)
}
