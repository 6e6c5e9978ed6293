// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"strings"
)

var journaldSetting = lazy(`\A([A-Za-z][A-Za-z0-9]*)[ \t]*=[ \t]*(.*)\z`)

// journaldNever is for what may be turned off but not on.
var journaldNever = oneOf("no", "false", "off", "0")

var (
	journaldSize  = match("a size such as 500M", `[0-9]{1,15}[KMGTPE]?`)
	journaldSpan  = match("a time span such as 30s or 1month", `[0-9]{1,9}(?:us|ms|s|sec|seconds?|m|min|minutes?|h|hr|hours?|d|days?|w|weeks?|M|months?|y|years?)?(?: [0-9]{1,9}(?:us|ms|s|sec|m|min|h|hr|d|w))*`)
	journaldLevel = oneOf("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
		"0", "1", "2", "3", "4", "5", "6", "7")
)

// journaldSettings are from journald.conf(5), systemd 252. A site may say how much the journal keeps,
// how fast it fills and that it goes to syslog as well. It may not silence it: Storage=none and a
// MaxLevelStore= above info would drop the record of what the site itself did. ForwardToConsole=,
// ForwardToWall= and ForwardToKMsg= write where others read, TTYPath= names a device, and
// ForwardToSocket= (systemd 256) may name the socket of another daemon: syslog or
// systemd-journal-upload are the ways to another host.
var journaldSettings = map[string]rule{
	"Storage":              oneOf("persistent", "volatile", "auto"),
	"Compress":             either(yesNo, journaldSize),
	"Seal":                 yesNo,
	"SplitMode":            oneOf("uid", "none"),
	"RateLimitIntervalSec": journaldSpan,
	"RateLimitBurst":       number,
	"SystemMaxUse":         journaldSize,
	"SystemKeepFree":       journaldSize,
	"SystemMaxFileSize":    journaldSize,
	"SystemMaxFiles":       number,
	"RuntimeMaxUse":        journaldSize,
	"RuntimeKeepFree":      journaldSize,
	"RuntimeMaxFileSize":   journaldSize,
	"RuntimeMaxFiles":      number,
	"MaxFileSec":           journaldSpan,
	"MaxRetentionSec":      journaldSpan,
	"SyncIntervalSec":      journaldSpan,
	"LineMax":              journaldSize,
	"ForwardToSyslog":      yesNo,
	"ForwardToKMsg":        journaldNever,
	"ForwardToConsole":     journaldNever,
	"ForwardToWall":        journaldNever,
	"MaxLevelStore":        oneOf("info", "debug", "6", "7"),
	"MaxLevelSyslog":       journaldLevel,
}

// checkJournald allows a drop-in of journald.conf(5), in the syntax of systemd.syntax(7), where a
// backslash at the end of a line is a continuation; here no value has a backslash at all.
func checkJournald(f *file) {
	section := false
	for i, line := range f.lines {
		text := strings.Trim(line, " \t")
		switch {
		case f.comment(i+1, line, "#;"):
		case text == "[Journal]":
			section = true
		case strings.HasPrefix(text, "["):
			f.refuse(i+1, text, "section %q is not on the allow-list for journald: use [Journal]", cut(text))
			section = true // its settings are looked at all the same
		case !section:
			f.refuse(i+1, text, "%q stands before any section: put [Journal] above it", cut(text))
		default:
			f.assignment(i+1, text, journaldSetting, journaldSettings)
		}
	}
}
