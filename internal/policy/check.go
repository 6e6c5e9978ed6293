// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/ctxagent/ctxagent/internal/grammar"
)

// Refusal is one thing that the policy does not let a site do. Exactly one of
// Path, Unit and Call is set; Directive and Line belong to a Path whose content was
// refused.
type Refusal struct {
	Path      string
	Unit      string
	Call      string // a system call
	Comm      string // the command that made Call
	Directive string
	Line      int
	Rule      string // which rule refused: its name in docs/policy.md
	Reason    string // what is wrong and what to do
}

// RefusedError carries every refusal of a stage.
type RefusedError struct{ Refusals []Refusal }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("refused by policy: %d refusals, the first is %s", len(e.Refusals), e.Refusals[0])
}

// String is the refusal in one line, names quoted.
func (r Refusal) String() string {
	var b strings.Builder
	switch {
	case r.Unit != "":
		fmt.Fprintf(&b, "unit %q", r.Unit)
	case r.Call != "":
		fmt.Fprintf(&b, "call %s", r.Call)
	default:
		fmt.Fprintf(&b, "%q", r.Path)
	}
	if r.Line > 0 {
		fmt.Fprintf(&b, " line %d", r.Line)
	}
	fmt.Fprintf(&b, ": %s (%s)", r.Reason, r.Rule)
	return b.String()
}

// Accounts are the numeric ids that the image's passwd(5) and group(5) give to
// names; a name that is not there has no entry.
type Accounts struct{ Users, Groups map[string]uint32 }

// maxRefusals is how many refusals are listed: a receipt is for reading.
const maxRefusals = 1000

// Check accepts all of what a script changed and asked for, or refuses all of
// it and lists every reason as a *RefusedError.
func (p *Policy) Check(all Proposal, acc Accounts) (Approved, error) {
	var (
		refusals []Refusal
		ok       Approved
	)
	if n := len(all.Changes); n > p.Limits.Changes {
		refusals = append(refusals, Refusal{Path: "/", Rule: "limits.changes",
			Reason: fmt.Sprintf("%d changes; the policy allows %d", n, p.Limits.Changes)})
	}
	for _, c := range all.Changes {
		d, r := p.checkChange(c, acc)
		refusals = append(refusals, r...)
		ok.changes = append(ok.changes, d)
	}
	for _, u := range all.Units {
		if r, refused := p.checkUnit(u); refused {
			refusals = append(refusals, r)
		} else if !slices.Contains(ok.units, u) {
			ok.units = append(ok.units, u)
		}
	}
	for _, c := range all.Calls {
		if r, refused := checkCall(c); refused {
			refusals = append(refusals, r)
		}
	}
	if n := len(refusals) - maxRefusals; n > 0 {
		refusals = append(refusals[:maxRefusals], Refusal{Path: "/", Rule: "limits", Reason: fmt.Sprintf("%d more refusals are left out", n)})
	}
	if len(refusals) > 0 {
		return Approved{}, &RefusedError{Refusals: refusals}
	}
	return ok, nil
}

// ruleFor is the first rule that covers a path, with its class.
func (p *Policy) ruleFor(name string) (string, *PathRule) {
	for _, c := range p.classes() {
		for i := range c.Paths {
			if matchPath(c.Paths[i].Path, name) {
				return c.name, &c.Paths[i]
			}
		}
	}
	return "", nil
}

// parentRule finds the class for which a directory has to be made.
func (p *Policy) parentRule(name string) (string, *PathRule) {
	for _, c := range p.classes() {
		for i := range c.Paths {
			if isParent(c.Paths[i].Path, name) {
				return c.name, &c.Paths[i]
			}
		}
	}
	return "", nil
}

// checkChange applies the rules from the widest to the narrowest: what no
// policy can allow, the class, the kind of operation, and the content.
func (p *Policy) checkChange(c Change, acc Accounts) (Decided, []Refusal) {
	no := func(rule, format string, a ...any) []Refusal {
		return []Refusal{{Path: c.Path, Rule: rule, Reason: fmt.Sprintf(format, a...)}}
	}
	if why := badName(c.Path); why != "" {
		return Decided{}, no("name", "%s: rename it", why)
	}
	if why := alwaysRefused(c.Path); why != "" {
		return Decided{}, no("always-refused", "%s", why)
	}
	if rule, why := forbiddenKind(c); why != "" {
		return Decided{}, no(rule, "%s", why)
	}
	class, rule := p.ruleFor(c.Path)
	if rule == nil && c.Type == Directory && c.Op == Create {
		class, rule = p.parentRule(c.Path)
	}
	if rule == nil {
		return Decided{}, no("path", "no class of the policy covers this path: `ctxagent policy show` lists what a site may change")
	}
	if c.Op == Delete && !c.Own {
		return Decided{}, no("delete", "deleting what the image brought is refused: leave the file, or override it in a file of its own")
	}
	if c.Op == Delete {
		return Decided{Change: c, Class: class, Rule: rule.Path}, nil
	}
	if why := checkAttr(c, rule, acc); why != "" {
		return Decided{}, no("mode", "%s", why)
	}
	switch c.Type {
	case Symlink:
		if why := p.checkTarget(c, class, rule); why != "" {
			return Decided{}, no("symlink", "%s", why)
		}
	case File:
		if r := checkContent(c, rule); len(r) > 0 {
			return Decided{}, r
		}
	}
	if c.Before != nil && !c.Own && c.Type != Directory && !rule.alters() {
		return Decided{}, no("image-file", "the image brought this %s, and what %s matches of the image stays as it is: write to a name of your own", c.Type, rule.Path)
	}
	return Decided{Change: c, Class: class, Rule: rule.Path}, nil
}

// alters tells whether a rule lets a site alter what the image brought. Named by
// itself a file is the site's to configure; matched by a glob it may be the
// image's own drop-in, which an altered or emptied one would undo.
func (r *PathRule) alters() bool {
	if r.ImageFiles == "" {
		return !strings.ContainsAny(r.Path, "*?[")
	}
	return r.ImageFiles == "replace"
}

// forbiddenKind refuses what no policy can allow because of what it is.
func forbiddenKind(c Change) (rule, why string) {
	if c.Op == Delete {
		return "", ""
	}
	switch {
	case c.Type == Device || c.Type == FIFO || c.Type == Socket:
		return "type", fmt.Sprintf("a %s cannot be part of a context", c.Type)
	case c.TypeBefore != "" && c.TypeBefore != c.Type:
		return "type", fmt.Sprintf("a %s may not be replaced by a %s", c.TypeBefore, c.Type)
	case c.Type != Symlink && c.Attr.Mode&0o7000 != 0:
		return "mode", fmt.Sprintf("mode %04o has setuid, setgid or sticky: take the bit off", c.Attr.Mode)
	case len(c.Xattrs) > 0:
		return "xattr", fmt.Sprintf("extended attributes are set or removed (%s): do without", strings.Join(c.Xattrs, ", "))
	case c.LinkedOutside:
		return "hard-link", "it is a hard link to a file that is not in the change: copy the file instead"
	}
	return "", ""
}

// checkAttr keeps mode and owner of what a site puts into the image harmless.
func checkAttr(c Change, rule *PathRule, acc Accounts) string {
	if c.Type == Directory && c.Op != Create && !strings.HasSuffix(rule.Path, "/**") {
		return "mode and owner of this directory belong to the image"
	}
	if c.Type != Symlink {
		if c.Attr.Mode&0o022 != 0 {
			return fmt.Sprintf("mode %04o lets others write: use %04o", c.Attr.Mode, c.Attr.Mode&^0o022)
		}
		if key := rule.Content != "" && !rule.Exec; key && c.Type == File && c.Attr.Mode&0o007 != 0 {
			return fmt.Sprintf("mode %04o lets everybody read what may be a key: use %04o", c.Attr.Mode, c.Attr.Mode&^0o007)
		}
		if c.Type == File && c.Attr.Mode&0o111 != 0 && !rule.Exec {
			return fmt.Sprintf("mode %04o is executable, and executables are refused here: use %04o", c.Attr.Mode, c.Attr.Mode&^0o111)
		}
	}
	if same := c.Before != nil && c.Before.UID == c.Attr.UID && c.Before.GID == c.Attr.GID; same {
		return ""
	}
	if !ownerAllowed(c.Attr.UID, rule.Owners, acc.Users) || !ownerAllowed(c.Attr.GID, rule.Owners, acc.Groups) {
		return fmt.Sprintf("owner %d:%d is not root%s: chown it", c.Attr.UID, c.Attr.GID, orOwners(rule.Owners))
	}
	return ""
}

func ownerAllowed(id uint32, owners []string, ids map[string]uint32) bool {
	return id == 0 || slices.ContainsFunc(owners, func(o string) bool {
		v, ok := ids[o]
		return ok && v == id
	})
}

func orOwners(owners []string) string {
	if len(owners) == 0 {
		return ""
	}
	return " or " + strings.Join(owners, " or ")
}

// checkTarget lets a symlink point only to what its own rule covers: through one
// of another rule, a file in the place of a configuration would not be held to
// that configuration's grammar.
func (p *Policy) checkTarget(c Change, class string, own *PathRule) string {
	t := c.Target
	if goesUpLate(t) {
		return fmt.Sprintf("its target %q goes up again behind a name that may be a link itself: write it without that", c.Target)
	}
	if c.Through != "" {
		return fmt.Sprintf("its target %q leads through %s, a symlink of the image: name the place where that leads to", c.Target, c.Through)
	}
	if !path.IsAbs(t) {
		t = path.Join(path.Dir(c.Path), t)
	}
	other, rule := p.ruleFor(path.Clean(t))
	if rule == nil || other != class || alwaysRefused(path.Clean(t)) != "" {
		return fmt.Sprintf("its target %q lies outside the class %s", c.Target, class)
	}
	if rule != own {
		return fmt.Sprintf("its target %q is held to the rule for %s and not to its own: make it a file", c.Target, rule.Path)
	}
	return ""
}

// goesUpLate tells that a target has a ".." that is not at its beginning: what
// stands before it may be a symlink, and ".." then leads where nobody checked.
func goesUpLate(target string) bool {
	named := path.IsAbs(target)
	for e := range strings.SplitSeq(target, "/") {
		if e == ".." && named {
			return true
		}
		named = named || e != "" && e != "." && e != ".."
	}
	return false
}

// checkContent holds a file against its grammar, or against its size when the
// endorser declared it opaque.
func checkContent(c Change, rule *PathRule) []Refusal {
	limit := int64(rule.MaxBytes)
	if limit == 0 {
		limit = MaxChecked
	}
	if c.Size > limit {
		return []Refusal{{Path: c.Path, Rule: "max_bytes", Reason: fmt.Sprintf("%d bytes; the policy allows %d", c.Size, limit)}}
	}
	if rule.Grammar == "" {
		return nil
	}
	if int64(len(c.Data)) != c.Size {
		return []Refusal{{Path: c.Path, Rule: "grammar:" + rule.Grammar, Reason: "the content was not read: it is too large for a configuration file"}}
	}
	findings, err := grammar.Check(rule.Grammar, c.Data, rule.Allow)
	if err != nil {
		return []Refusal{{Path: c.Path, Rule: "grammar:" + rule.Grammar, Reason: err.Error()}}
	}
	var out []Refusal
	for _, f := range findings {
		out = append(out, Refusal{Path: c.Path, Line: f.Line, Directive: f.Directive, Rule: "grammar:" + rule.Grammar, Reason: f.Reason})
	}
	return out
}

// verbs are the requests that a class may make for its units.
var verbs = []string{"enable", "start", "restart", "try-restart", "reload", "reload-or-restart", "try-reload-or-restart"}

// units are those of all classes.
func (p *Policy) units() []string {
	var all []string
	for _, c := range p.classes() {
		all = append(all, c.Units...)
	}
	return all
}

func (p *Policy) checkUnit(u UnitRequest) (Refusal, bool) {
	name := cmp.Or(u.Unit, u.Verb) // reboot(8) and its like name none
	if !slices.Contains(verbs, u.Verb) {
		return Refusal{Unit: name, Rule: "units", Reason: fmt.Sprintf("%q is not among what a context may ask for: %s", u.Verb, strings.Join(verbs, ", "))}, true
	}
	if slices.Contains(p.units(), u.Unit) {
		return Refusal{}, false
	}
	return Refusal{Unit: name, Rule: "units", Reason: fmt.Sprintf("no class of the policy has this unit: remove the request to %s it; allowed are %s", u.Verb, strings.Join(p.units(), ", "))}, true
}
