// SPDX-License-Identifier: Apache-2.0

package grammar

import "strings"

const (
	metricExpr = `[a-zA-Z_:][a-zA-Z0-9_:]*`
	labelExpr  = `[a-zA-Z_][a-zA-Z0-9_]*[ \t]*=[ \t]*"(?:[^"\\]|\\["\\n])*"`
	valueExpr  = `[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|Inf)|NaN`
)

var (
	promHelp   = lazy(`\A#[ \t]*HELP[ \t]+(` + metricExpr + `)(?:[ \t]+(?:[^\\]|\\[\\n])*)?\z`)
	promType   = lazy(`\A#[ \t]*TYPE[ \t]+(` + metricExpr + `)[ \t]+(?:counter|gauge|histogram|summary|untyped)\z`)
	promWord   = lazy(`\A#[ \t]*(HELP|TYPE)(?:[ \t]|\z)`)
	promSample = lazy(`\A(` + metricExpr + `)[ \t]*(?:\{[ \t]*(?:` + labelExpr + `(?:[ \t]*,[ \t]*` +
		labelExpr + `)*[ \t]*,?[ \t]*)?\}[ \t]*|[ \t])[ \t]*(?:` + valueExpr + `)([ \t]+-?[0-9]+)?\z`)

	// What node_exporter 1.5.0 says itself, by collector. A site's file with such a name can take the place of
	// the exporter's own value: shown with node_textfile_scrape_error.
	promTaken = lazy(`\A(?:go|process|promhttp)_|\Anode_(?:arp|bonding|boot|btrfs|context|cooling|cpu|disk|dmi|drbd|edac|` +
		`entropy|exporter|ethtool|fibrechannel|filefd|filesystem|forks|hwmon|infiniband|interrupts|intr|ipvs|load|lnstat|logind|` +
		`md|memory|mountstats|netstat|network|nf|nfs|nfsd|ntp|nvme|os|perf|power|pressure|procs|processes|qdisc|rapl|` +
		`schedstat|scrape|selinux|slabinfo|sockstat|softirqs|softnet|supervisord|systemd|tape|tcp|textfile|thermal|time|` +
		`timex|udp|uname|vmstat|wifi|xfs|zfs|zoneinfo)[0-9]*(?:_|\z)`)
)

// checkPrometheusText allows a *.prom file for the textfile collector of node_exporter: Prometheus
// documentation, "Exposition formats", "Text-based format" 0.0.4, without timestamps, which that collector
// refuses. Nothing in such a file can do anything; the grammar keeps another format from being put in its
// place, and the exporter's own metrics from being overwritten. The endorser can add metrics by name.
func checkPrometheusText(f *file) {
	seen := map[string]bool{}
	once := func(line int, what, metric string) {
		if seen[what+metric] {
			f.refuse(line, metric, "second %s line for %s: remove it", what, cut(metric))
		}
		seen[what+metric] = true
	}
	for i, line := range f.lines {
		text := strings.Trim(line, " \t")
		switch {
		case text == "":
		case promHelp.MatchString(text):
			once(i+1, "HELP", promHelp.FindStringSubmatch(text)[1])
		case promType.MatchString(text):
			metric := promType.FindStringSubmatch(text)[1]
			once(i+1, "TYPE", metric)
			if seen["sample"+metric] {
				f.refuse(i+1, metric, "TYPE line stands behind the samples of %s: put it above them", cut(metric))
			}
		case promWord.MatchString(text):
			f.refuse(i+1, promWord.FindStringSubmatch(text)[1], "comment line is malformed: write # HELP metric text or # TYPE metric type")
		case text[0] == '#':
		default:
			f.sample(i+1, text, seen)
		}
	}
	if f.unended {
		f.refuse(len(f.lines), "", "file does not end in a line feed, so a part may be missing: add one")
	}
}

// sample checks a line with a metric and its value.
func (f *file) sample(line int, text string, seen map[string]bool) {
	m := promSample.FindStringSubmatch(text)
	switch {
	case m == nil:
		f.refuse(line, text, `line is not a sample: write metric{label="value"} number`)
		return
	case m[2] != "":
		f.refuse(line, m[1], "sample has a timestamp, which the textfile collector refuses: remove it")
	case promTaken.MatchString(m[1]) && !f.extra[m[1]]:
		f.refuse(line, m[1], "%s is a name of node_exporter's own metrics: rename it, for instance to site_%s", cut(m[1]), cut(m[1]))
	}
	seen["sample"+m[1]] = true
}
