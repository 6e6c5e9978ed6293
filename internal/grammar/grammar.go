// SPDX-License-Identifier: Apache-2.0

// Package grammar says what a syslog, monitoring or batch configuration may say.
//
// Input is the name of a format, the bytes of one file and the names of the directives that the
// endorser adds to that format. Output is a list of findings, each with its line and directive; a file
// without findings is allowed. Every format is an allow-list on the format's own syntax: a directive or
// a value that is not on it is refused, however harmless it may be, since configuration can start a
// program, load a module, include or write another file, or listen wider.
//
// The package reads no file and starts nothing. It does not say whether a daemon would accept the
// file, and it does not see how several allowed files work together in one daemon: that a file is
// allowed means only that each of its logical lines is. A line that continues on the next one, an
// escape and a character that does not print are refused wherever a daemon could read them in another
// way than this package does.
package grammar

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
)

// ErrUnknownFormat is the error of Check for a format that Formats does not list.
var ErrUnknownFormat = errors.New("unknown format")

// Finding is one place in a file where it says what its format's allow-list does not know.
type Finding struct {
	Line      int    // counted from 1
	Directive string // as the file spells it, cut to a sane length; empty if the line as text is the matter
	Reason    string // what is wrong and, in a short clause, what to do about it
}

// format is one allow-list: how it compares names, and the function that walks a file's lines.
type format struct {
	fold  bool // names are compared without regard to ASCII case
	check func(*file)
}

var formats = map[string]format{
	"collectd":             {fold: true, check: checkCollectd},
	"filebeat":             {check: checkFilebeat},
	"fluent-bit":           {fold: true, check: checkFluentBit},
	"gmond":                {fold: true, check: checkGmond},
	"gridengine-bootstrap": {fold: true, check: checkGridEngineBootstrap},
	"gridengine-defaults":  {check: checkGridEngineDefaults},
	"htcondor":             {fold: true, check: checkHTCondor},
	"icinga2-zones":        {check: checkIcinga2Zones},
	"journal-remote":       {check: checkJournalRemote},
	"journal-upload":       {check: checkJournalUpload},
	"journald":             {check: checkJournald},
	"lsf":                  {check: checkLSF},
	"netdata":              {check: checkNetdata},
	"netdata-stream":       {check: checkNetdataStream},
	"node_exporter":        {check: checkNodeExporter},
	"nrpe":                 {check: checkNRPE},
	"pbs":                  {check: checkPBS},
	"pbs-mom":              {fold: true, check: checkPBSMom},
	"prometheus-text":      {check: checkPrometheusText},
	"rsyslog":              {fold: true, check: checkRsyslog},
	"server-name":          {check: checkServerName},
	"slurm":                {fold: true, check: checkSlurm},
	"slurm-cgroup":         {fold: true, check: checkSlurmCgroup},
	"slurm-defaults":       {check: checkSlurmDefaults},
	"slurm-gres":           {fold: true, check: checkSlurmGres},
	"syslog-ng":            {check: checkSyslogNG},
	"telegraf":             {check: checkTelegraf},
	"zabbix-agent2":        {check: checkZabbixAgent2},
	"zabbix-agentd":        {check: checkZabbixAgentd},
}

// Formats lists the known formats, sorted.
func Formats() []string {
	return slices.Sorted(maps.Keys(formats))
}

// Known tells whether there is a format of that name.
func Known(format string) bool {
	_, ok := formats[format]
	return ok
}

// Check returns the findings of content as format, in line order and at most 100; none means the
// content is allowed. The names in extra, spelled as Finding.Directive spells them, are allowed too, with
// any value that the format's syntax can hold without an escape. Check's error is ErrUnknownFormat.
func Check(format string, content []byte, extra []string) ([]Finding, error) {
	known, ok := formats[format]
	if !ok {
		return nil, fmt.Errorf("check content as %q: %w", format, ErrUnknownFormat)
	}
	f := newFile(format, known.fold, extra)
	if f.read(content) {
		known.check(f)
	}
	sort.SliceStable(f.findings, func(i, j int) bool { return f.findings[i].Line < f.findings[j].Line })
	return f.findings, nil
}
