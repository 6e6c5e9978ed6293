// SPDX-License-Identifier: Apache-2.0

package grammar

import "strings"

var journaldSetting = lazy(`\A([A-Za-z][A-Za-z0-9]*)[ \t]*=[ \t]*(.*)\z`)

// journaldNever is for what may be turned off but not on.
var journaldNever = oneOf("no", "false", "off", "0")

var (
	journaldSize = match("a size such as 500M", `[0-9]{1,15}[KMGTPE]?`)
	journaldSpan = match("a time span such as 30s or 1month", `[0-9]{1,9}(?:us|ms|s|sec|seconds?|m|min|minutes?|h|hr|hours?|d|days?|w|weeks?|M|months?|y|years?)?(?: [0-9]{1,9}(?:us|ms|s|sec|m|min|h|hr|d|w))*`)
	// Below these a journal is wiped rather than kept: journald removes what is there already.
	journaldUse   = match("a size of 16M or more", `1[6-9]M|[2-9][0-9]M|[1-9][0-9]{2,8}M|[1-9][0-9]{0,5}[GTPE]|[1-9][0-9]{4,11}K|[2-9][0-9]{7}|[1-9][0-9]{8,14}|16777216`)
	journaldFile  = match("a size of 1M or more", `[1-9][0-9]{0,8}[MGTPE]|[1-9][0-9]{3,11}K|[1-9][0-9]{6,14}`)
	journaldFree  = match("a size of at most 999G", `0|[0-9]{1,3}G|[0-9]{1,6}M|[0-9]{1,9}K?`)
	journaldAge   = match("0 or a day or more, such as 7d, 1week or 1month", `0|[1-9][0-9]{0,5}(?:d|days?|w|weeks?|M|months?|y|years?)`)
	journaldRate  = match("0 or at most ten minutes, such as 30s", `0|[1-9][0-9]{0,2}s|(?:[1-9]|10)(?:m|min)`)
	journaldBurst = match("0 or 100 or more", `0|[1-9][0-9]{2,9}`)
	journaldFiles = match("10 or more", `[1-9][0-9]{1,5}`)

	journaldLevel = oneOf("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
		"0", "1", "2", "3", "4", "5", "6", "7")
)

// journaldSettings are from journald.conf(5), systemd 252. A site may say how much the journal keeps,
// how fast it fills and that it goes to syslog as well. It may not silence or wipe it: Storage=none, a
// MaxLevelStore= above info, a size of some kilobytes, an age of a second or a rate of one message a month
// would drop the record of what the site itself did. ForwardToConsole=,
// ForwardToWall= and ForwardToKMsg= write where others read, TTYPath= names a device, and
// ForwardToSocket= (systemd 256) may name the socket of another daemon: syslog or
// systemd-journal-upload are the ways to another host.
var journaldSettings = onUse(func() map[string]rule {
	return tableOf([]entry[rule]{
		{"Storage", oneOf("persistent", "volatile", "auto")},
		{"Compress", either(yesNo, journaldSize)},
		{"Seal", yesNo},
		{"SplitMode", oneOf("uid", "none")},
		{"RateLimitIntervalSec", journaldRate},
		{"RateLimitBurst", journaldBurst},
		{"SystemMaxUse", journaldUse},
		{"SystemKeepFree", journaldFree},
		{"SystemMaxFileSize", journaldFile},
		{"SystemMaxFiles", journaldFiles},
		{"RuntimeMaxUse", journaldUse},
		{"RuntimeKeepFree", journaldFree},
		{"RuntimeMaxFileSize", journaldFile},
		{"RuntimeMaxFiles", journaldFiles},
		{"MaxFileSec", journaldSpan},
		{"MaxRetentionSec", journaldAge},
		{"SyncIntervalSec", journaldSpan},
		{"LineMax", journaldSize},
		{"ForwardToSyslog", yesNo},
		{"ForwardToKMsg", journaldNever},
		{"ForwardToConsole", journaldNever},
		{"ForwardToWall", journaldNever},
		{"MaxLevelStore", oneOf("info", "debug", "6", "7")},
		{"MaxLevelSyslog", journaldLevel},
	})
})

// checkJournald allows a drop-in of journald.conf(5).
func checkJournald(f *file) { f.section("[Journal]", journaldSettings()) }

// section walks a file of the one section that a format has, in the syntax of systemd.syntax(7), where a
// backslash at the end of a line is a continuation; here no value has a backslash at all.
func (f *file) section(name string, settings map[string]rule) {
	section := false
	for i, line := range f.lines {
		text := strings.Trim(line, " \t")
		switch {
		case f.comment(i+1, line, "#;"):
		case text == name:
			section = true
		case strings.HasPrefix(text, "["):
			f.refuse(i+1, text, "section %q is not on the allow-list for %s: use %s", cut(text), f.format, name)
			section = true // its settings are looked at all the same
		case !section:
			f.refuse(i+1, text, "%q stands before any section: put %s above it", cut(text), name)
		default:
			f.assignment(i+1, text, journaldSetting, settings)
		}
	}
}
