// SPDX-License-Identifier: Apache-2.0

package vendordata

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// drive is a config drive with these texts in the two files; "" leaves one out.
func drive(static, dynamic string) fs.FS {
	d := fstest.MapFS{
		"openstack/latest/meta_data.json": {Data: []byte(`{"ctxagent": {"prolog.sh": "the user's"}}`)},
		"openstack/latest/user_data":      {Data: []byte("#!/bin/sh\n")},
	}
	for i, text := range []string{static, dynamic} {
		if text != "" {
			d[names[i]] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return d
}

const sound = `{"cloud-init": "#cloud-config\n", "other": [1, {"ctxagent": 2}], "ctxagent": {
	"prolog.sh": "#!/bin/sh\necho \u00e9\n",
	"epilog.sh": {"base64": "IyEvYmluL3NoCg=="},
	"files": {"keys/munge.key": {"base64": "AAH/"}, "keys/empty": "", "context.sh": "SITE=x\n"}
}}`

func TestOpen(t *testing.T) {
	for name, d := range map[string]fs.FS{
		"static":  drive(sound, `{"static": `+sound+`}`),
		"dynamic": drive(`{}`, sound),
	} {
		got, err := Open(d, 100)
		if err != nil || got == nil {
			t.Fatalf("%s: Open = %v, %v", name, got, err)
		}
		want := map[string]string{
			"prolog.sh": "#!/bin/sh\necho \u00e9\n", "epilog.sh": "#!/bin/sh\n", "context.sh": "SITE=x\n", "keys/munge.key": "\x00\x01\xff", "keys/empty": "",
		}
		for file, content := range want {
			if b, err := fs.ReadFile(got, file); err != nil || string(b) != content {
				t.Errorf("%s: %s is %q, %v; want %q", name, file, b, err, content)
			}
		}
		if err := fstest.TestFS(got, "prolog.sh", "epilog.sh", "context.sh", "keys/munge.key", "keys/empty"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if info, err := fs.Stat(got, "keys"); err != nil || info.Mode() != fs.ModeDir|0o755 {
			t.Errorf("%s: keys is %v, %v", name, info, err)
		}
	}
}

// A drive without the key is no context disc, and no fault.
func TestNoKey(t *testing.T) {
	for name, d := range map[string]fs.FS{
		"no vendor data": drive("", ""),
		"empty":          drive(`{}`, `{}`),
		"of others":      drive(`{"cloud-init": "x", "CTXAGENT": {}, "ctxagent2": 1}`, `{"static": {"ctxagent": {"prolog.sh": ""}}}`),
		"a list":         drive(`["ctxagent"]`, ""),
		"a text":         drive(`"ctxagent"`, `null`),
		"no drive":       fstest.MapFS{},
	} {
		if got, err := Open(d, 100); got != nil || err != nil {
			t.Errorf("%s: Open = %v, %v; want neither", name, got, err)
		}
	}
}

func TestRefused(t *testing.T) {
	ours := func(value string) string { return `{"ctxagent": ` + value + `}` }
	file := func(name string) string { return ours(`{"prolog.sh": "", "files": {"` + name + `": ""}}`) }
	long := strings.Repeat("n", 256)
	for _, tt := range []struct{ text, says string }{
		{`{`, "is cut off"},
		{``, "is cut off"},
		{`{"ctxagent": {"prolog.sh": "x`, "is cut off"},
		{`{"a": 1,}`, "is not JSON"},
		{`{a: 1}`, "is not JSON"},
		{`{"a": 1} {"ctxagent": {}}`, "something stands behind"},
		{"{\"a\": \"\xff\"}", "is not UTF-8"},
		{`{"a": ` + strings.Repeat("[", 20_000) + `}`, "exceeded max depth"},
		{`{"ctxagent": {"prolog.sh": "1"}, "ctxagent": {"prolog.sh": "2"}}`, `"ctxagent" is there twice`},
		{ours(`null`), "ctxagent is no object"},
		{ours(`"#!/bin/sh"`), "ctxagent is no object"},
		{ours(`{}`), "neither prolog.sh nor epilog.sh"},
		{ours(`{"files": {"a": ""}}`), "neither prolog.sh nor epilog.sh"},
		{ours(`{"prolog.sh": "", "prolog": ""}`), `the key "prolog"`},
		{ours(`{"Prolog.sh": ""}`), `the key "Prolog.sh"`},
		{ours(`{"init.sh": ""}`), `the key "init.sh"`},
		{ours(`{"prolog.sh": "1", "prolog.sh": "2"}`), `"prolog.sh" is there twice`},
		{ours(`{"prolog.sh": 1}`), `neither text nor {"base64"`},
		{ours(`{"prolog.sh": null}`), `neither text nor {"base64"`},
		{ours(`{"prolog.sh": {}}`), `neither text nor {"base64"`},
		{ours(`{"prolog.sh": {"text": ""}}`), `the key "text"`},
		{ours(`{"prolog.sh": {"base64": "", "base64": ""}}`), `"base64" is there twice`},
		{ours(`{"prolog.sh": {"base64": 1}}`), `base64 of "prolog.sh" is no string`},
		{ours(`{"prolog.sh": {"base64": "IyE"}}`), `base64 of "prolog.sh" (RFC 4648 4)`},
		{ours(`{"prolog.sh": {"base64": "IyF="}}`), `base64 of "prolog.sh" (RFC 4648 4)`},
		{ours(`{"prolog.sh": "\ud800"}`), "half a surrogate pair"},
		{ours(`{"prolog.sh": "", "files": []}`), "ctxagent.files is no object"},
		{file(`/etc/passwd`), "is no file name"},
		{file(`../x`), "is no file name"},
		{file(`a/../x`), "is no file name"},
		{file(`a//x`), "is no file name"},
		{file(`./x`), "is no file name"},
		{file(`.`), "is no file name"},
		{file(`a/`), "is no file name"},
		{file(``), "is no file name"},
		{file(`a\u0000b`), "is no file name"},
		{file(`\udc00`), "half a surrogate pair"},
		{file(strings.Repeat("a/", 512) + "x"), "is no file name"},
		{file(long), "a part of more than 255 bytes"},
		{file(`prolog.sh`), `"prolog.sh" is there twice`},
		{ours(`{"prolog.sh": "", "files": {"a": "", "a/b": ""}}`), `"a" is a file and has files in it`},
		{ours(`{"prolog.sh": "", "files": {"a/b": "", "a": ""}}`), `"a" is there twice`},
		{ours(`{"prolog.sh": "", "files": {"1": "", "2": "", "3": "", "4": "", "5": ""}}`), "media.max_files"},
		{ours(`{"prolog.sh": "", "files": {"` + strings.Repeat("d/", 9) + `x": ""}}`), "media.max_files"},
		{ours(`{"prolog.sh": "` + strings.Repeat("x", maxText) + `"}`), "is longer than"},
	} {
		for name, d := range map[string]fs.FS{names[0]: drive(tt.text, ""), names[1]: drive("{}", tt.text)} {
			if tt.text == "" {
				d = fstest.MapFS{names[0]: {}, names[1]: {}}
				name = names[0]
			}
			got, err := Open(d, 5)
			if got != nil || err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%.80s: Open = %v, %v; want %q, of %s", tt.text, got, err, tt.says, name)
			}
		}
	}
	if _, err := Open(drive(sound, sound), 100); err == nil || !strings.Contains(err.Error(), "both have the key") {
		t.Errorf("the key in both files: %v", err)
	}
	if _, err := Open(fstest.MapFS{names[0] + "/x": {}}, 100); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("a directory: %v", err)
	}
}

// FuzzParse: whatever is taken is a sound tree within its bounds.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		sound, `{}`, `[]`, `{"ctxagent": {"prolog.sh": ""}}`, `{"ctxagent": {"prolog.sh": {"base64": "IyE="}, "files": {"a/b": "\ud83d\ude00"}}}`,
		`{"ctxagent": {"prolog.sh": "", "files": {"../x": ""}}}`,
		`{"ctxagent": {"prolog.sh": "", "files": {"[[/a": ""}}}`, // found by this fuzz
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		const most = 20
		tree, err := parse(text, most)
		if err != nil || tree == nil {
			return
		}
		if len(tree.nodes)-1 > most || !tree.scripted() {
			t.Errorf("%d entries, with a script: %v", len(tree.nodes)-1, tree.scripted())
		}
		var files []string
		err = fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
			if err == nil && !fs.ValidPath(name) {
				err = fmt.Errorf("%q is no path", name)
			}
			if err == nil && !d.IsDir() {
				files = append(files, name)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		// io/fs takes the name of the directory below which it looks for a pattern: see
		// subFS.Glob in the library's io/fs/sub.go.
		if slices.ContainsFunc(files, func(name string) bool { return strings.ContainsAny(name, `[\*?`) }) {
			return
		}
		if err := fstest.TestFS(tree, files...); err != nil {
			t.Error(err)
		}
	})
}
