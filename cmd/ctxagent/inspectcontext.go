// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/ctxagent/ctxagent/internal/cdrom"
	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/stages"
)

// variable is an assignment of context.sh. The value may be a password.
type variable struct {
	Name  string  `json:"name"`
	Value *string `json:"value,omitempty"` // with --show-values
}

// readContext lists the stages' scripts, and the variables of context.sh.
func (d *inspected) readContext(disc *cdrom.Disc, values bool) {
	d.Scripts, d.Variables = map[string]string{}, []variable{}
	for _, stage := range []string{stages.Prolog, stages.Epilog} {
		if name := stages.ScriptOf(disc.Script, stage); name != "" {
			d.Scripts[stage] = name
		}
	}
	if disc.Context == nil {
		return
	}
	assigned, warnings := stages.Variables(disc.Script("context.sh"), disc.Context)
	d.Warnings = warnings
	for _, a := range assigned {
		name, value, _ := strings.Cut(a, "=")
		v := variable{Name: name}
		if values {
			v.Value = &value
		}
		d.Variables = append(d.Variables, v)
	}
}

// summary says what the stages would run, and with what.
func (d *inspected) summary() string {
	var b strings.Builder
	for _, stage := range []string{stages.Prolog, stages.Epilog} {
		if name := d.Scripts[stage]; name != "" {
			fmt.Fprintf(&b, "%s: %q\n", stage, name)
		}
	}
	for _, v := range d.Variables {
		if v.Value == nil {
			fmt.Fprintf(&b, "variable %s (--show-values shows it)\n", v.Name)
		} else {
			fmt.Fprintf(&b, "variable %s=%q\n", v.Name, *v.Value)
		}
	}
	for _, warning := range d.Warnings {
		fmt.Fprintf(&b, "note: %s\n", report.OneLine(warning))
	}
	return b.String()
}
