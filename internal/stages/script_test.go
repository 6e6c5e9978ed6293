// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ctxagent/ctxagent/internal/report"
)

func TestInterpret(t *testing.T) {
	dot := func(shell ...string) string {
		return strings.Join(append(shell, "-c", `. "$0"`, "./prolog.sh", "start"), "|")
	}
	for _, tt := range []struct {
		name, text string
		want       string // the command, its words joined by |
		other      string
	}{
		{"sh", "#!/bin/sh\n", dot("/bin/sh"), ""},
		{"sh without a last line feed", "#!/bin/sh", dot("/bin/sh"), ""},
		{"option", "#!/bin/sh -e\n", dot("/bin/sh", "-e"), ""},
		{"options", "#!/bin/bash -eu\n", dot("/bin/bash", "-eu"), ""},
		{"the kernel's one argument", "#!/bin/sh -e -u\n", dot("/bin/sh", "-e -u"), ""},
		{"blanks", "#! /bin/sh  -e \n", dot("/bin/sh", "-e"), ""},
		{"tabs", "#!\t/bin/sh\t-e\n", dot("/bin/sh", "-e"), ""},
		{"end of options", "#! /bin/sh -\n", dot("/bin/sh"), ""},
		{"end of options, long", "#!/bin/bash --\n", dot("/bin/bash"), ""},
		{"env", "#!/usr/bin/env bash\n", dot("bash"), ""},
		{"env, with the kernel's one argument", "#!/usr/bin/env bash -e\n", "bash -e|./prolog.sh|start", ""},
		{"env -S", "#!/usr/bin/env -S bash -e -u\n", dot("bash", "-e", "-u"), ""},
		{"env -S without a blank", "#!/usr/bin/env -Sbash -e\n", dot("bash", "-e"), ""},
		{"env of another interpreter", "#!/usr/bin/env python3\n", "python3|./prolog.sh|start", ""},
		{"dash", "#!/usr/bin/dash\n", dot("/usr/bin/dash"), ""},
		{"ksh", "#!/bin/ksh\n", dot("/bin/ksh"), ""},
		{"busybox", "#!/bin/busybox sh\n", dot("/bin/busybox", "sh"), ""},
		{"python is executed", "#!/usr/bin/python3 -I\nprint()\n", "/usr/bin/python3|-I|./prolog.sh|start", ""},
		{"perl is executed", "#!/usr/bin/perl -w\n", "/usr/bin/perl|-w|./prolog.sh|start", ""},
		{"csh is no POSIX shell", "#!/bin/csh\n", "/bin/csh|./prolog.sh|start", ""},
		{"none", "echo hello\n", dot("/bin/bash"), dot("/bin/sh")},
		{"empty", "", dot("/bin/bash"), dot("/bin/sh")},
		{"a comment", "# !/bin/sh\n", dot("/bin/bash"), dot("/bin/sh")},
		{"not in the first line", "\n#!/bin/sh\n", dot("/bin/bash"), dot("/bin/sh")},
		{"a carriage return inside a line", "#!/bin/sh\nprintf 'a\rb'\n", dot("/bin/sh"), ""},
	} {
		s := &script{name: "prolog.sh"}
		if err := s.interpret([]byte(tt.text)); err != nil {
			t.Errorf("%s: interpret(%q) = %v; want no error", tt.name, tt.text, err)
			continue
		}
		var other string
		for _, o := range s.other {
			other += strings.Join(o, "|")
		}
		if got := strings.Join(s.command, "|"); got != tt.want || other != tt.other {
			t.Errorf("%s: interpret(%q) = %q, else %q; want %q, else %q", tt.name, tt.text, got, other, tt.want, tt.other)
		}
		if warned := len(s.warnings) > 0; warned != (tt.other != "") {
			t.Errorf("%s: interpret(%q) warns %q; want a warning where there is no #! line", tt.name, tt.text, s.warnings)
		}
	}
}

func TestInterpretRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"CRLF in the first line", "#!/bin/sh\r\necho\r\n", "line 1 ends with CR LF"},
		{"CRLF in the third line", "#!/bin/sh\necho\necho\r\necho\r\n", "line 3 ends with CR LF"},
		{"CRLF names the remedy", "\r\n", `sed -i 's/\r$//' prolog.sh`},
		{"byte order mark", "\xef\xbb\xbf#!/bin/sh\n", "byte order mark"},
		{"NUL", "#!/bin/sh\necho \x00\n", "NUL"},
		{"UTF-16", "\xff\xfe#\x00!\x00", "NUL"},
		{"ELF", "\x7fELF\x02\x01\x01", "compiled program"},
		{"no interpreter", "#!\n", "names no interpreter"},
		{"blanks alone", "#!  \t\n", "names no interpreter"},
		{"env alone", "#!/usr/bin/env\n", "names no interpreter"},
		{"env -S alone", "#!/usr/bin/env -S\n", "names no interpreter"},
		{"env with an option", "#!/usr/bin/env -i\n", "names no interpreter"},
		{"env with a variable", "#!/usr/bin/env A=b\n", "names no interpreter"},
	} {
		s := &script{name: "prolog.sh", file: "prolog.sh"}
		if err := s.interpret([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) || s.command != nil {
			t.Errorf("%s: interpret(%q) = %v, command %q; want an error with %q", tt.name, tt.text, err, s.command, tt.want)
		}
	}
}

// disc makes a directory of files and a Context that finds them by name.
func disc(t *testing.T, files map[string]string) Context {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Context{
		Disc: report.Disc{Device: "/dev/sr0", Label: "CONTEXT", Flavour: "iso9660", Digest: "d15c"}, Dir: dir,
		Script: func(name string) string {
			for f := range maps.Keys(files) {
				if strings.EqualFold(f, name) {
					return f
				}
			}
			return ""
		},
	}
}

func TestLoad(t *testing.T) {
	for _, tt := range []struct {
		name, stage string
		files       map[string]string
		want        string // name of the script
	}{
		{"prolog", Prolog, map[string]string{"prolog.sh": "#!/bin/sh\n", "epilog.sh": "x", "init.sh": "x"}, "prolog.sh"},
		{"upper case", Prolog, map[string]string{"PROLOG.SH": "#!/bin/sh\n"}, "PROLOG.SH"},
		{"CERN's init.sh", Prolog, map[string]string{"init.sh": "#!/bin/sh\n"}, "init.sh"},
		{"init.sh is no epilog", Epilog, map[string]string{"init.sh": "#!/bin/sh\n"}, ""},
		{"no prolog", Prolog, map[string]string{"epilog.sh": "#!/bin/sh\n"}, ""},
		{"nothing", Epilog, nil, ""},
	} {
		s, err := load(disc(t, tt.files), tt.stage)
		if err != nil || (s == nil) != (tt.want == "") || s != nil && s.name != tt.want {
			t.Errorf("%s: load(%s) = %+v, %v; want %q", tt.name, tt.stage, s, err, tt.want)
		}
	}
	s, err := load(disc(t, map[string]string{"prolog.sh": "#!/bin/sh\n"}), Prolog)
	if want := "a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf"; err != nil || s.digest != want {
		t.Errorf("load() = %+v, %v; want the digest %s", s, err, want)
	}
	for name, content := range map[string]string{"too long": strings.Repeat("#", maxScript+1), "CRLF": "a\r\n"} {
		if s, err := load(disc(t, map[string]string{"prolog.sh": content}), Prolog); err == nil || !strings.Contains(err.Error(), "prolog.sh") {
			t.Errorf("load(%s) = %+v, %v; want an error that names the script", name, s, err)
		}
	}
	if _, err := load(disc(t, map[string]string{"prolog.sh": strings.Repeat("#", maxScript)}), Prolog); err != nil {
		t.Errorf("load(the longest script) = %v; want no error", err)
	}
}

func TestAssignments(t *testing.T) {
	for _, tt := range []struct {
		line string
		want string // the variable, or "" where the line is left out with a warning
	}{
		{"A=b", "A=b"}, {"A=", "A="}, {"_a1=b", "_a1=b"}, {"  A=b  ", "A=b"}, {"A=b\r", "A=b"}, {"A=b=c", "A=b=c"}, {"A=/x/y:z,1+2@h%", "A=/x/y:z,1+2@h%"},
		{"export A=b", "A=b"}, {"export\t A=b", "A=b"}, {"exportA=b", "exportA=b"},
		{`A="b c"`, "A=b c"}, {`A='b c'`, "A=b c"}, {`A=""`, "A="}, {`A=''`, "A="}, {`A="it's"`, "A=it's"}, {`A='a "b" $c \d` + " `e`'", `A=a "b" $c \d` + " `e`"},
		{`A="# no comment"`, "A=# no comment"}, {"A=ä", "A=ä"},

		{"A", ""}, {"A b", ""}, {"A =b", ""}, {"A= b", ""}, {"1A=b", ""}, {"A-B=c", ""}, {"A.B=c", ""}, {"=b", ""}, {"A+=b", ""}, {"A[0]=b", ""},
		{"A=b c", ""}, {"A=b;c", ""}, {"A=b & c", ""}, {"A=b|c", ""}, {"A=$B", ""}, {"A=${B}", ""}, {"A=$(id)", ""}, {"A=`id`", ""}, {`A=b\`, ""},
		{"A=<(id)", ""}, {"A=*", ""}, {"A=~", ""}, {"A={a,b}", ""}, {"A=b # c", ""}, {"A=!x", ""},
		{`A="$B"`, ""}, {`A="$(id)"`, ""}, {"A=\"`id`\"", ""}, {`A="a\"b"`, ""}, {`A="a"b"`, ""}, {`A="a" "b"`, ""}, {`A="a";id;"b"`, ""},
		{`A='a'b'`, ""}, {`A='a';id;'b'`, ""}, {`A='`, ""}, {`A="`, ""}, {`A="a`, ""}, {`A=a"`, ""}, {`A='a"`, ""}, {`A="a" # c`, ""}, {`A=$'a'`, ""},
		{"A=b; export A", ""}, {"export A", ""}, {"readonly A=b", ""}, {"declare A=b", ""}, {"id", ""}, {". /etc/x", ""}, {"rm -rf /", ""}, {"if true", ""},
		{"A=b B=c", ""}, {"A=b id", ""}, {"A=\x00", ""}, {"A=b\x00c", ""},

		{"PATH=/tmp", ""}, {"export PATH=/tmp", ""}, {"IFS=x", ""}, {"ENV=/x", ""}, {"BASH_ENV=/x", ""}, {"BASHOPTS=x", ""}, {"SHELLOPTS=x", ""},
		{"LD_PRELOAD=/x", ""}, {"LD_LIBRARY_PATH=/x", ""}, {"LD_=x", ""}, {"GCONV_PATH=/x", ""}, {"LOCPATH=/x", ""}, {"PYTHONPATH=/x", ""}, {"PERL5LIB=/x", ""},
		{"RUBYOPT=x", ""}, {"PS4=x", ""}, {"PROMPT_COMMAND=x", ""}, {"HOME=/x", ""}, {"SHELL=/x", ""}, {"CONTEXT_DIR=/x", ""},
		{"CTX_STAGE=x", ""}, {"CTX_DIGEST=x", ""}, {"CTX_ANYTHING=x", ""}, {"http_proxy=x", ""}, {"HTTPS_PROXY=x", ""}, {"no_proxy=x", ""},
		{"PATHS=ok", "PATHS=ok"}, {"XPATH=ok", "XPATH=ok"}, {"path=ok", "path=ok"}, {"LDX=ok", "LDX=ok"},
	} {
		env, warnings := assignments("context.sh", tt.line, nil)
		switch {
		case tt.want != "" && (!slices.Equal(env, []string{tt.want}) || warnings != nil):
			t.Errorf("assignments(%q) = %q, %q; want %q", tt.line, env, warnings, tt.want)
		case tt.want == "" && (env != nil || len(warnings) != 1 || !strings.HasPrefix(warnings[0], "context.sh line 1 is left out")):
			t.Errorf("assignments(%q) = %q, %q; want nothing but a warning", tt.line, env, warnings)
		}
	}
}

func TestAssignmentsNumberLines(t *testing.T) {
	env, warnings := assignments("CONTEXT.SH", "# comment\n\nA=1\nbad line\n  # more\nB='2'\nPATH=/x\n", []string{"before"})
	if want := []string{"A=1", "B=2"}; !slices.Equal(env, want) {
		t.Errorf("assignments() = %q; want %q", env, want)
	}
	if len(warnings) != 3 || warnings[0] != "before" || !strings.HasPrefix(warnings[1], "CONTEXT.SH line 4") || !strings.HasPrefix(warnings[2], "CONTEXT.SH line 7") {
		t.Errorf("assignments() warns %q; want lines 4 and 7", warnings)
	}
}

func TestEnvironment(t *testing.T) {
	c := disc(t, map[string]string{"Context.SH": "SITE=cern\nCTX_STAGE=forged\nPATH=/forged\n"})
	c.Disc.Label = "A\nB=c"
	r := &report.Receipt{Stage: Epilog, Network: &report.Network{
		Interface: "eth0", Address: "192.0.2.7/24", Gateway: "192.0.2.1", MAC: "52:54:00:00:00:01", DNS: []string{"192.0.2.53", "2001:db8::53"},
		Addresses: []report.Address{{Address: "192.0.2.7/24"}, {Address: "2001:db8::7/64"}}, Gateways: []string{"192.0.2.1", "fe80::1"},
	}}
	env, warnings := environment(c, r)
	want := []string{
		"SITE=cern", "PATH=" + searchPath, "HOME=/", "LANG=C", "CONTEXT_DIR=/var/lib/hepix/context", "CTX_STAGE=epilog", "CTX_DEVICE=/dev/sr0",
		"CTX_LABEL=A\nB=c", "CTX_DIGEST=d15c", "CTX_INTERFACE=eth0", "CTX_ADDRESS=192.0.2.7", "CTX_GATEWAY=192.0.2.1",
		"CTX_MAC=52:54:00:00:00:01", "CTX_ADDRESSES=192.0.2.7/24 2001:db8::7/64", "CTX_GATEWAYS=192.0.2.1 fe80::1", "CTX_DNS=192.0.2.53 2001:db8::53",
	}
	if !slices.Equal(env, want) {
		t.Errorf("environment() = %q; want %q", env, want)
	}
	if len(warnings) != 2 {
		t.Errorf("environment() warns %q; want both reserved names", warnings)
	}
	env, warnings = environment(disc(t, nil), &report.Receipt{Stage: Prolog})
	if slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "CTX_ADDRESS") }) || warnings != nil {
		t.Errorf("environment() of a prolog = %q, %q; want no network and no warning", env, warnings)
	}
	env, warnings = environment(disc(t, map[string]string{"context.sh": strings.Repeat("#", maxScript+1)}), &report.Receipt{Stage: Prolog})
	if len(warnings) != 1 || !strings.Contains(warnings[0], "context.sh is left out") || len(env) == 0 {
		t.Errorf("environment() with a context.sh that is too long = %q, %q; want a warning", env, warnings)
	}
}

func TestAccounts(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if acc, err := accounts(root); err != nil || len(acc.Users)+len(acc.Groups) != 0 {
		t.Errorf("accounts(no files) = %+v, %v; want none", acc, err)
	}
	if err := os.Mkdir(filepath.Join(dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nslurm:x:64030:64030::/:/bin/false\n\n# comment\nshort:x\nbad:x:none:0:::\nneg:x:-1:0:::\n" +
			"big:x:4294967296:0:::\nmax:x:4294967295:0:::\nslurm:x:0:0::/:/bin/sh\n+::::::\nlast:x:9:9:::",
		"etc/group": "root:x:0:\nslurm:x:64031:u1,u2\nhuge:x:70000:" + strings.Repeat("member,", 100000) + "\nafter:x:70001:\n",
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	acc, err := accounts(root)
	if err != nil {
		t.Fatalf("accounts() = %v; want no error", err)
	}
	if want := map[string]uint32{"root": 0, "slurm": 64030, "max": 4294967295, "last": 9}; !maps.Equal(acc.Users, want) {
		t.Errorf("accounts().Users = %v; want %v", acc.Users, want)
	}
	if want := map[string]uint32{"root": 0, "slurm": 64031, "huge": 70000, "after": 70001}; !maps.Equal(acc.Groups, want) {
		t.Errorf("accounts().Groups = %v; want %v", acc.Groups, want)
	}
	// The accounts of another root are not the image's.
	if err := os.Remove(filepath.Join(dir, "etc/passwd")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "etc/passwd")); err != nil {
		t.Fatal(err)
	}
	if acc, err := accounts(root); err == nil {
		t.Errorf("accounts(a link out of the root) = %v; want an error", acc.Users)
	}
}
