// SPDX-License-Identifier: Apache-2.0

package cdrom

import (
	"bytes"
	"os"
	"path"
	"slices"
	"strings"
)

// Expect is what the host says about a disc before the machine starts. It can
// lengthen or shorten the wait for one, and nothing else.
type Expect string

// What a host can say. Without a hint, or with two that contradict each other,
// it is Unknown: the wait is for what is being probed.
const (
	Unknown Expect = ""
	Awaited Expect = "yes" // wait for one, as long as the policy allows
	Never   Expect = "no"  // look once and do not wait
)

// hintString is what a hint looks like in SMBIOS.
const hintString = "ctxagent.expect="

// Hint reads the host's hint: an SMBIOS OEM string "ctxagent.expect=yes" or
// "=no", or the fw_cfg item opt/ctxagent/expect with that word. sys is "/sys".
func Hint(sys string) Expect {
	table, _ := os.ReadFile(path.Join(sys, "firmware/dmi/tables/DMI")) // none without a firmware of that kind
	hints := oemHints(table)
	item, _ := os.ReadFile(path.Join(sys, "firmware/qemu_fw_cfg/by_name/opt/ctxagent/expect/raw")) // none outside of QEMU
	if word := strings.TrimSpace(string(item)); word != "" {
		hints = append(hints, word)
	}
	slices.Sort(hints)
	hints = slices.Compact(hints)
	if len(hints) == 1 && (hints[0] == string(Awaited) || hints[0] == string(Never)) {
		return Expect(hints[0])
	}
	return Unknown
}

// oemHints gives the hints among the OEM strings of an SMBIOS table: structures
// with a type, the length of their formatted part and strings behind it that
// each end with a NUL, as the whole does (DSP0134 6.1, type 11 in 7.12).
func oemHints(table []byte) []string {
	const oemStrings, endOfTable = 11, 127
	var hints []string
	for len(table) >= 4 {
		kind, length := table[0], int(table[1])
		if length < 4 || length > len(table) || kind == endOfTable {
			break
		}
		end := bytes.Index(table[length:], []byte{0, 0})
		if end < 0 {
			break
		}
		if kind == oemStrings {
			for text := range bytes.SplitSeq(table[length:length+end], []byte{0}) {
				if word, ok := strings.CutPrefix(string(text), hintString); ok {
					hints = append(hints, word)
				}
			}
		}
		table = table[length+end+2:]
	}
	return hints
}

// silent tells whether an optical drive is there for which no event says that a
// disc was put in: the drive has none of its own, and the kernel does not look
// (Documentation/ABI/stable/sysfs-block, events_async, events_poll_msecs).
func (f Finder) silent() bool {
	usual := attribute(path.Join(f.Sys, "module/block/parameters"), "events_dfl_poll_msecs")
	for _, c := range f.candidates() {
		dir := path.Join(f.Sys, "class/block", c.name)
		if !c.optical || strings.Contains(attribute(dir, "events_async"), "media_change") {
			continue
		}
		poll := attribute(dir, "events_poll_msecs")
		if poll == "-1" || poll == "" {
			poll = usual
		}
		if poll == "0" || poll == "" {
			return true
		}
	}
	return false
}
