// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// filebeatKey is a key as Filebeat joins it with those above it: "output.logstash" is "logstash" in "output".
var (
	filebeatKey  = lazy(`\A[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\z`)
	filebeatLine = lazy(`line ([0-9]+)`) // of an error of the YAML package
)

// filebeatDepth bounds tables and lists within one another.
const filebeatDepth = 20

// filebeatFile is a walk over a file; seen has the full path of each value, list items by their number.
type filebeatFile struct {
	*file
	seen map[string]bool
}

// checkFilebeat allows a main file of Filebeat: inputs that read the journal and /var/log, outputs to a host,
// and the names and tags of the sender. Of YAML, it refuses anchors, aliases, tags, merges, several
// documents, backslashes and block scalars, and of Filebeat every $, with which it puts in other text.
func checkFilebeat(f *file) {
	for i, line := range f.lines {
		if f.comment(i+1, line, "#") {
			continue
		}
		if strings.ContainsAny(line, `$\`) {
			f.refuse(i+1, line, "line holds a $ or a backslash, which stand for other text: remove it")
		}
	}
	if len(f.findings) > 0 {
		return
	}
	dec := yaml.NewDecoder(strings.NewReader(strings.Join(f.lines, "\n") + "\n"))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return // nothing but comments
	} else if err != nil {
		f.notYAML(err)
		return
	}
	var second yaml.Node
	if err := dec.Decode(&second); err == nil {
		f.refuse(f.inFile(second.Line), "---", "file holds a second YAML document: remove it")
		return
	} else if !errors.Is(err, io.EOF) {
		f.notYAML(err)
		return
	}
	b := &filebeatFile{f, map[string]bool{}}
	b.node(doc.Content[0], "", "", 0)
}

// notYAML refuses a file for what the YAML package says of it.
func (f *file) notYAML(err error) {
	line := 1
	if m := filebeatLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
	}
	f.refuse(f.inFile(line), "", "file is not YAML, %s: correct it", strings.TrimPrefix(err.Error(), "yaml: "))
}

// inFile is a line of the YAML package, which may count one too many at the end of a file.
func (f *file) inFile(line int) int { return min(max(line, 1), max(len(f.lines), 1)) }

// node checks what stands at a path, and all below it. name is the path with [] for the number of an item.
func (b *filebeatFile) node(n *yaml.Node, path, name string, depth int) {
	switch {
	case depth > filebeatDepth:
		b.refuse(b.inFile(n.Line), name, "more than %d tables and lists stand within one another: make it simpler", filebeatDepth)
	case n.Kind == yaml.AliasNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0:
		b.refuse(b.inFile(n.Line), name, "value has an anchor, an alias or a tag: write it out")
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		b.refuse(b.inFile(n.Line), name, "value is a block of lines: write it on one line")
	case n.Kind != yaml.ScalarNode && len(n.Content) == 0: // {} turns something on, too
		if !filebeatAbove(name) && !b.extra[name] {
			b.unknown(b.inFile(n.Line), name)
		}
	case n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			b.pair(n.Content[i], n.Content[i+1], path, name, depth)
		}
	case n.Kind == yaml.SequenceNode:
		for i, item := range n.Content {
			b.node(item, fmt.Sprintf("%s[%d]", path, i), name+"[]", depth+1)
		}
	default:
		b.scalar(n, path, name)
	}
}

// filebeatAbove reports whether settings that are allowed stand below name.
func filebeatAbove(name string) bool {
	for known := range filebeatSettings() {
		if strings.HasPrefix(known, name+".") || strings.HasPrefix(known, name+"[]") {
			return true
		}
	}
	return slices.Contains(filebeatFamilies, name+".")
}

// pair checks a key and what belongs to it.
func (b *filebeatFile) pair(key, value *yaml.Node, path, name string, depth int) {
	if key.Kind != yaml.ScalarNode || key.Anchor != "" || key.Style&yaml.TaggedStyle != 0 || !filebeatKey.MatchString(key.Value) {
		b.refuse(b.inFile(key.Line), key.Value, "key %q is not a plain word: write letters, digits, dashes and underscores", cut(key.Value))
		return
	}
	if path != "" {
		path, name = path+".", name+"."
	}
	b.node(value, path+key.Value, name+key.Value, depth+1)
}

// scalar checks a single value.
func (b *filebeatFile) scalar(n *yaml.Node, path, name string) {
	if b.seen[path] {
		b.refuse(b.inFile(n.Line), name, "%s is said twice: remove one", cut(name))
	}
	b.seen[path] = true
	if strings.ContainsAny(n.Value, "$\\\n") { // over several lines, one of them like a comment
		b.refuse(b.inFile(n.Line), name, "value of %s holds a $, a backslash or a line feed: remove it", cut(name))
		return
	}
	if b.extra[name] {
		return
	}
	r, ok := filebeatSettings()[name]
	if !ok { // one value in the place of a list of one
		r, ok = filebeatSettings()[name+"[]"]
	}
	for _, family := range filebeatFamilies {
		if rest, in := strings.CutPrefix(name, family); in && !ok && filebeatKey.MatchString(rest) {
			r, ok = filebeatText, true
		}
	}
	if !ok {
		b.unknown(b.inFile(n.Line), name)
		return
	}
	b.value(b.inFile(n.Line), name, n.Value, r)
}
