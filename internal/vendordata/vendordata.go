// SPDX-License-Identifier: Apache-2.0

// Package vendordata reads the site's half of an OpenStack config drive: the key
// "ctxagent" of its vendor data, which whoever runs the cloud gives to every
// machine (Nova's admin guide, "Vendordata"). Its input is the drive's tree; its
// output is what the key holds, as a file tree like that of a context disc. The
// user's half, user_data, meta_data.json and personality files, is never looked at.
//
// The text is not trusted: it is bounded, what is not known is an error that
// names the key, and a name cannot lead out of the tree.
package vendordata

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode/utf8"
)

// Label is the volume label of a config drive, whose case differs between its
// formats (Nova's user guide, "Config drives").
const Label = "config-2"

// Key is the one that is read in the vendor data.
const Key = "ctxagent"

// names are the files with vendor data. The second has a key for each service
// that was asked for data of this machine (Nova's vendordata_dynamic_targets); the
// copy of the first below its key "static" is not looked at.
var names = []string{"openstack/latest/vendor_data.json", "openstack/latest/vendor_data2.json"}

// Bounds of the text and of a name in it, in bytes. What is longer belongs on a
// disc.
const (
	maxText    = 4 << 20
	maxName    = 1024
	maxElement = 255 // NAME_MAX
)

// Open gives the tree below the key; nil if the drive has no vendor data, or
// none for us. It has at most maxFiles entries of any type.
func Open(drive fs.FS, maxFiles int) (fs.FS, error) {
	var found *tree
	for _, name := range names {
		text, err := read(drive, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		t, err := parse(text, maxFiles)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", name, err)
		case t != nil && found != nil:
			return nil, fmt.Errorf("%s and %s both have the key %q: keep one", names[0], names[1], Key)
		case t != nil:
			found = t
		}
	}
	if found == nil {
		return nil, nil
	}
	return found, nil
}

// read reads a file of the drive, which is no longer than it says.
func read(drive fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(drive, name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", name)
	case info.Size() > maxText:
		return nil, fmt.Errorf("%s is longer than %d bytes (limit)", name, maxText)
	}
	return fs.ReadFile(drive, name)
}

// parser goes through a text once. encoding/json by itself would take the last
// of two equal keys, and say nothing of a key that is not known.
type parser struct {
	*json.Decoder
	tree     *tree
	maxFiles int
}

// parse gives the tree below the key, or nil if the text has no such key.
func parse(text []byte, maxFiles int) (*tree, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("it is not UTF-8 (RFC 8259 8.1)")
	}
	p := &parser{Decoder: json.NewDecoder(bytes.NewReader(text)), maxFiles: maxFiles}
	err := p.document()
	if err != nil {
		return nil, fmt.Errorf("at byte %d: %w", p.InputOffset(), err)
	}
	return p.tree, nil
}

// document reads the whole text. A site may well have other data than objects
// there, for other programs.
func (p *parser) document() error {
	start, err := p.Token()
	if err != nil {
		return syntax(err)
	}
	if start != json.Delim('{') {
		return nil
	}
	err = p.members(func(key string) error {
		if key == Key {
			return p.ours()
		}
		return syntax(p.Decode(&json.RawMessage{}))
	})
	if err != nil {
		return err
	}
	if _, err := p.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something stands behind the JSON object (RFC 8259 2)")
	}
	return nil
}

// syntax is an error of encoding/json as one of the text.
func syntax(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON text is cut off (RFC 8259)")
	}
	if err != nil {
		return fmt.Errorf("it is not JSON (RFC 8259): %w", err)
	}
	return nil
}

// members has do read the value of each key of an object, whose brace has been
// read.
func (p *parser) members(do func(key string) error) error {
	seen := map[string]bool{}
	for p.More() {
		token, err := p.Token()
		if err != nil {
			return syntax(err)
		}
		key, err := whole(token.(string)) // encoding/json has no other key
		if err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("the key %q is there twice", key)
		}
		seen[key] = true
		if err := do(key); err != nil {
			return err
		}
	}
	_, err := p.Token()
	return syntax(err)
}

// whole refuses a text with the sign that encoding/json puts in the place of
// half a surrogate pair: two different texts would become one.
func whole(text string) (string, error) {
	if strings.ContainsRune(text, utf8.RuneError) {
		return "", fmt.Errorf("%.40q has half a surrogate pair or U+FFFD (RFC 8259 8.2): give such content as base64", text)
	}
	return text, nil
}

// ours reads the value of our key.
func (p *parser) ours() error {
	if err := p.object(Key); err != nil {
		return err
	}
	p.tree = newTree()
	err := p.members(func(key string) error {
		switch key {
		case "prolog.sh", "epilog.sh":
			return p.file(key)
		case "files":
			if err := p.object(Key + ".files"); err != nil {
				return err
			}
			return p.members(p.file)
		}
		return fmt.Errorf("%s has the key %q: it knows prolog.sh, epilog.sh and files", Key, key)
	})
	p.tree.sort()
	if err == nil && !p.tree.scripted() {
		err = fmt.Errorf("%s has neither prolog.sh nor epilog.sh (the service that makes it may not have answered)", Key)
	}
	return err
}

// object reads the brace that begins an object.
func (p *parser) object(what string) error {
	token, err := p.Token()
	if err == nil && token != json.Delim('{') {
		return fmt.Errorf("%s is no object", what)
	}
	return syntax(err)
}

// file reads the content of a file.
func (p *parser) file(name string) error {
	if !fs.ValidPath(name) || name == "." || len(name) > maxName || strings.ContainsRune(name, 0) {
		return fmt.Errorf("%.60q is no file name: it has to be relative, without . and .., and at most %d bytes long", name, maxName)
	}
	for element := range strings.SplitSeq(name, "/") {
		if len(element) > maxElement {
			return fmt.Errorf("%.60q has a part of more than %d bytes", name, maxElement)
		}
	}
	data, err := p.content(name)
	if err != nil {
		return err
	}
	if err := p.tree.add(name, data); err != nil {
		return err
	}
	if len(p.tree.nodes)-1 > p.maxFiles {
		return fmt.Errorf("more than %d entries, the policy's media.max_files", p.maxFiles)
	}
	return nil
}

// content reads a string, or an object with the one key base64.
func (p *parser) content(name string) ([]byte, error) {
	token, err := p.Token()
	if err != nil {
		return nil, syntax(err)
	}
	if text, ok := token.(string); ok {
		text, err := whole(text)
		return []byte(text), err
	}
	if token != json.Delim('{') {
		return nil, fmt.Errorf("the content of %q is neither text nor {\"base64\": …}", name)
	}
	var data []byte
	none := true
	err = p.members(func(key string) error {
		if key != "base64" {
			return fmt.Errorf("the content of %q has the key %q: it knows base64", name, key)
		}
		none = false
		token, err := p.Token()
		text, ok := token.(string)
		if err == nil && !ok {
			return fmt.Errorf("base64 of %q is no string", name)
		}
		if err != nil {
			return syntax(err)
		}
		if data, err = base64.StdEncoding.Strict().DecodeString(text); err != nil {
			return fmt.Errorf("base64 of %q (RFC 4648 4): %w", name, err)
		}
		return nil
	})
	if err == nil && none {
		err = fmt.Errorf("the content of %q is neither text nor {\"base64\": …}", name)
	}
	return data, err
}
