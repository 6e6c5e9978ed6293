// SPDX-License-Identifier: Apache-2.0

package policy

import "path"

// Explanation is what a policy says of one path.
type Explanation struct {
	Path string
	// Always says why the path is refused whatever a policy says, or "".
	Always string
	// Class and Rule are the class and the rule that decide; Rule is nil for a
	// path without one, which is refused.
	Class string
	Rule  *PathRule
	Units []string // of the class
	// DirectoryFor is the class for which the path may be made as a directory,
	// on the way to a path of its own, or "".
	DirectoryFor string
}

// Explain says which class and rule decide about an absolute path.
func (p *Policy) Explain(name string) Explanation {
	name = path.Clean("/" + name)
	e := Explanation{Path: name, Always: alwaysRefused(name)}
	if e.Always != "" {
		return e
	}
	class, rule := p.ruleFor(name)
	if rule == nil {
		e.DirectoryFor, _ = p.parentRule(name)
		return e
	}
	r := *rule
	e.Class, e.Rule = class, &r
	for _, c := range p.classes() {
		if c.name == class {
			e.Units = append(e.Units, c.Units...)
		}
	}
	return e
}
