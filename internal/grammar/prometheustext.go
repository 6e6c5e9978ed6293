// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"strings"
)

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
)

// checkPrometheusText allows a *.prom file for the textfile collector of node_exporter: Prometheus
// documentation, "Exposition formats", "Text-based format" 0.0.4, without timestamps, which that collector
// refuses. Nothing in such a file can do anything; the grammar only keeps another format from being put
// in its place. There are no directives to add.
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
			once(i+1, "TYPE", promType.FindStringSubmatch(text)[1])
		case promWord.MatchString(text):
			f.refuse(i+1, promWord.FindStringSubmatch(text)[1], "comment line is malformed: write # HELP metric text or # TYPE metric type")
		case text[0] == '#':
		default:
			f.sample(i+1, text)
		}
	}
	if f.unended {
		f.refuse(len(f.lines), "", "file does not end in a line feed, so a part may be missing: add one")
	}
}

// sample checks a line with a metric and its value.
func (f *file) sample(line int, text string) {
	m := promSample.FindStringSubmatch(text)
	if m == nil {
		f.refuse(line, text, `line is not a sample: write metric{label="value"} number`)
	} else if m[2] != "" {
		f.refuse(line, m[1], "sample has a timestamp, which the textfile collector refuses: remove it")
	}
}
