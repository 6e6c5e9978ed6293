// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// htmlStyle is all the style of the page; it has no script and fetches nothing.
const htmlStyle = `body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:68rem;padding:0 1rem;color:#1c2430;background:#fff}
h1{font-size:1.4rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #d5dbe3}
.ok{color:#176639}.bad{color:#a3201a}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.25rem .6rem .25rem 0;vertical-align:top;border-bottom:1px solid #eceff3}
code,pre{font:13px/1.45 ui-monospace,monospace}pre{background:#f4f6f8;padding:.7rem;overflow-x:auto;white-space:pre-wrap}
td code{overflow-wrap:anywhere}.bar{position:relative;height:1.1rem;background:#eef1f5;min-width:22rem}
.bar i{position:absolute;top:0;bottom:0;min-width:2px}.prolog{background:#2f6fb3}.epilog{background:#c2701c}
.n{white-space:nowrap;text-align:right}footer{margin-top:2rem;color:#5b6676;font-size:.85rem}
@media(prefers-color-scheme:dark){body{background:#14181d;color:#dfe5ec}pre,.bar{background:#20262d}.ok{color:#6fcf97}.bad{color:#ff8a80}footer{color:#9aa7b5}
td,th,h2{border-color:#2d353e}}
.what{min-width:16rem}@media(max-width:48rem){.bar{min-width:5rem}.what{min-width:8rem}td,th{padding-right:.35rem}body{font-size:14px}}`

// HTML writes the receipts as one page that needs nothing else: verdicts, the
// timeline to scale, every change and every refusal. Whatever a disc or a script
// could have chosen is escaped.
func HTML(w io.Writer, receipts []*Receipt) error {
	p := &page{w: w}
	p.f("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n")
	p.f("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n")
	p.f("<title>ctxagent status</title>\n<style>%s</style>\n<h1>What the context disc did</h1>\n", htmlStyle)
	p.htmlTimeline(Timeline(receipts))
	for _, r := range receipts {
		p.htmlStage(r)
	}
	for _, r := range receipts[:min(1, len(receipts))] {
		p.f("<footer>ctxagent %s, policy %s, boot %s</footer>\n", esc(r.Agent.Version), esc(r.Agent.PolicyDigest), esc(r.Clock.BootID))
	}
	p.f("</html>\n")
	return p.err
}

// markup is what acts in HTML text and in quoted attributes. Package html would
// bring the table of all entities into the binary.
var markup = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;")

func esc(s string) string { return markup.Replace(OneLine(s)) }

func (p *page) htmlTimeline(spans []Span) {
	if len(spans) == 0 {
		return
	}
	from, origin, length := scale(spans)
	total := float64(length)
	p.f("<table aria-label=\"timeline of the boot\"><tr><th>stage<th>step<th>%s from %s<th class=n>began<th class=n>took</tr>\n", seconds(length), esc(from))
	for _, s := range spans {
		p.f("<tr><td>%s<td>%s<td><div class=bar><i class=%s style=\"left:%.2f%%;width:%.2f%%\"></i></div><td class=n>%s<td class=n>%s</tr>\n",
			esc(s.Stage), esc(s.Name), esc(s.Stage), float64(s.Begin-origin)/total*100, float64(s.End-s.Begin)/total*100, seconds(s.Begin-origin), seconds(s.End-s.Begin))
	}
	p.f("</table>\n")
}

func (p *page) htmlStage(r *Receipt) {
	mark := "ok"
	if r.ExitCode != 0 {
		mark = "bad"
	}
	p.f("<h2>%s: <span class=%s>%s</span></h2>\n", esc(r.Stage), mark, esc(verdicts[r.Outcome]))
	p.f("<table>\n")
	row := func(name, text string) {
		if text != "" {
			p.f("<tr><th>%s<td>%s</tr>\n", name, text)
		}
	}
	row("why", esc(r.Error))
	row("when", r.Clock.Started.Format("2006-01-02 15:04:05 MST")+fmt.Sprintf(", exit status %d, %d ms", r.ExitCode, r.Durations["total"]))
	if d := r.Disc; d != nil {
		row("disc", fmt.Sprintf("<code>%s</code>, label <code>%s</code>, %s, %s, digest <code>%s</code>", esc(d.Device), esc(strconv.Quote(d.Label)), esc(d.Flavour), esc(d.Contract), esc(d.Digest)))
	}
	if n := r.Network; n != nil && n.Address == "" {
		row("network", esc(fmt.Sprintf("not up after %d ms and %d events: %s", n.WaitedMS, n.Events, n.Missing)))
	} else if n != nil {
		row("network", fmt.Sprintf("<code>%s</code> %s, gateway %s", esc(n.Interface), esc(n.Address), esc(n.Gateway)))
	}
	if s := r.Script; s != nil {
		row("script", fmt.Sprintf("<code>%s</code>, digest <code>%s</code>", esc(s.Path), esc(s.Digest)))
	}
	for _, u := range r.Units {
		row("unit", esc(fmt.Sprintf("%s %s: %s", u.Action, u.Unit, u.Result)))
	}
	for _, c := range r.DeniedCalls {
		row("denied", esc(fmt.Sprintf("%s: %s, %d times", c.Comm, c.Call, c.Count)))
	}
	for _, c := range r.Connections {
		row("connection", esc(c.Target+": "+c.Result))
	}
	for _, warning := range r.Warnings {
		row("note", esc(warning))
	}
	p.f("</table>\n")
	p.htmlRefusals(r.Refusals)
	p.htmlChanges(r)
	if r.Script != nil && r.Script.OutputTail != "" {
		p.f("<h3>What the script printed last</h3><pre>")
		for l := range strings.Lines(r.Script.OutputTail) {
			p.f("%s\n", esc(strings.TrimRight(strings.ReplaceAll(l, "\t", "    "), "\r\n")))
		}
		p.f("</pre>\n")
	}
}

func (p *page) htmlRefusals(list []Refusal) {
	if len(list) == 0 {
		return
	}
	p.f("<h3 class=bad>Refused</h3><table>\n<tr><th>what<th>why<th>rule</tr>\n")
	for _, x := range list {
		what := x.Path + x.Call + x.Unit
		if x.Line > 0 {
			what += fmt.Sprintf(" line %d", x.Line)
		}
		p.f("<tr><td class=what><code>%s</code><td>%s<td>%s</tr>\n", esc(what), esc(x.Reason), esc(x.Rule))
	}
	p.f("</table>\n")
}

func (p *page) htmlChanges(r *Receipt) {
	if len(r.Changes) == 0 {
		return
	}
	title := "Changed"
	if r.Outcome != Applied && r.Outcome != Unchanged {
		title = "Changed by the script, not applied"
	}
	p.f("<h3>%s</h3><table>\n<tr><th>class<th>what<th>path<th>mode<th>owner<th class=n>bytes</tr>\n", title)
	for _, c := range r.Changes {
		name := esc(c.Path)
		if c.Target != "" {
			name += " → " + esc(c.Target)
		}
		p.f("<tr><td>%s<td>%s %s<td class=what><code>%s</code><td>%s<td>%d:%d<td class=n>%d</tr>\n", esc(c.Class), esc(string(c.Op)), esc(string(c.Type)), name, esc(c.Mode), c.UID, c.GID, c.Size)
	}
	p.f("</table>\n")
}
