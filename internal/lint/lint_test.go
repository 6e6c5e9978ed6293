// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// found are the findings as PATH:LINE:COLUMN SEVERITY RULE.
func found(t *testing.T, disc fs.FS, o Options) []string {
	t.Helper()
	list, err := Disc(disc, o)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range list {
		out = append(out, fmt.Sprintf("%s:%d:%d %s %s", f.Path, f.Line, f.Column, f.Severity, f.Rule))
		if Rules[f.Rule] == "" {
			t.Errorf("rule %q is not in Rules", f.Rule)
		}
		if f.Message == "" || strings.HasSuffix(f.Message, ".") {
			t.Errorf("message %q", f.Message)
		}
	}
	return out
}

func refused(p string) string {
	if p == "/etc/passwd" || strings.HasPrefix(p, "/etc/ssh/") {
		return "accounts belong to the image"
	}
	return ""
}

// TestScripts: one script each, and what is to be found in it.
func TestScripts(t *testing.T) {
	for _, tt := range []struct{ name, script, want string }{
		{"nothing", "#!/bin/sh\nset -eu\necho a >/etc/rsyslog.d/x.conf\nsystemctl restart rsyslog\n", ""},
		{"syntax", "#!/bin/sh\nif true; then\n\techo (\nfi\n", "prolog.sh:3:2 error syntax"},
		{"never ended", "#!/bin/bash\necho 'open\n", "prolog.sh:2:6 error syntax"},
		{"an array in sh", "#!/bin/sh\na=(1 2)\n", "prolog.sh:2:3 warning bashism"},
		{"an array in bash", "#!/bin/bash\na=(1 2); source ./prolog.sh; [ a == b ]\n", ""},
		{"no first line", "a=(1 2)\n", "prolog.sh:1:1 note interpreter"},
		{"a double bracket", "#!/bin/sh\n[[ a = b ]] && echo\n", "prolog.sh:2:1 warning bashism"},
		{"source", "#!/bin/sh\nsource ./prolog.sh\n", "prolog.sh:2:1 warning bashism"},
		{"two equal signs", "#!/bin/sh\nif [ a == b ]; then :; fi\n", "prolog.sh:2:4 warning bashism"},
		{"RANDOM", "#!/bin/sh\necho $RANDOM\n", "prolog.sh:2:6 warning bashism"},
		{"CR LF", "#!/bin/sh\r\necho\r\n", "prolog.sh:1:0 error crlf"},
		{"CR LF further down", "#!/bin/sh\necho\necho\r\n", "prolog.sh:3:0 error crlf"},
		{"a byte order mark", "\ufeff#!/bin/sh\necho\n", "prolog.sh:1:1 error encoding"},
		{"an empty interpreter", "#! \necho\n", "prolog.sh:1:1 error interpreter"},
		{"Python", "#!/usr/bin/python3\nif x: print(1\n", ""},
		{"env", "#!/usr/bin/env bash\na=(1)\n", ""},
		{"env -S", "#!/usr/bin/env -S sh -e\na=(1)\n", "prolog.sh:2:3 warning bashism"},
		{"useradd", "#!/bin/sh\n/usr/sbin/useradd -r condor || true\n", "prolog.sh:2:1 warning command"},
		{"behind sudo", "#!/bin/sh\nsudo -u root useradd x\n", "prolog.sh:2:1 note command"},
		{"behind timeout", "#!/bin/sh\ntimeout 5s modprobe overlay\n", "prolog.sh:2:12 warning command"},
		{"in a substitution", "#!/bin/sh\nx=$(modprobe overlay)\n", "prolog.sh:2:5 warning command"},
		{"asked for", "#!/bin/sh\ncommand -v useradd; rpm -q slurm; dpkg -l; ip addr show; hostname -f; mount; sysctl kernel.hostname; ifconfig\n", ""},
		{"a function of that name", "#!/bin/sh\nmount() { echo; }\nmount a b\n", ""},
		{"ip", "#!/bin/sh\nip link set eth0 up\n", "prolog.sh:2:1 warning command"},
		{"mount", "#!/bin/sh\nmount -t nfs server:/x /mnt\n", "prolog.sh:2:1 warning command"},
		{"hostname", "#!/bin/sh\nhostname node1\n", "prolog.sh:2:1 warning command"},
		{"sysctl", "#!/bin/sh\nsysctl -w vm.swappiness=1\n", "prolog.sh:2:1 warning command"},
		{"iptables", "#!/bin/sh\niptables -A INPUT -j DROP\n", "prolog.sh:2:1 warning command"},
		{"ssh-keygen", "#!/bin/sh\nssh-keygen -f /root/.ssh/id_rsa\n", "prolog.sh:2:1 warning command"},
		{"yum", "#!/bin/sh\nyum -y install condor\n", "prolog.sh:2:1 warning command"},
		{"systemctl", "#!/bin/sh\nsystemctl --now mask firewalld\nsystemctl -q restart rsyslog\n", "prolog.sh:2:1 warning command"},
		{"the network in a prolog", "#!/bin/sh\ncurl http://example.org/\n", "prolog.sh:2:1 warning no-network"},
		{"a refused path", "#!/bin/sh\necho x >>/etc/passwd\n", "prolog.sh:2:10 warning path"},
		{"a refused path in quotes", "#!/bin/sh\nsed -i s/a/b/ \"/etc/ssh/sshd_config\"\n", "prolog.sh:2:15 warning path"},
		{"a refused path that is read", "#!/bin/sh\nsed s/a/b/ /etc/ssh/sshd_config >/etc/rsyslog.d/x\ngrep root </etc/passwd\ncp /etc/passwd /tmp/x\n", ""},
		{"a copy to a refused path", "#!/bin/sh\ncp x /etc/passwd\n", "prolog.sh:2:6 warning path"},
		{"a file that is not there", "#!/bin/sh\n[ -s \"$CONTEXT_DIR/opt.key\" ] && echo\ncp \"$CONTEXT_DIR/munge.key\" \"${CONTEXT_DIR}/keys/a\" /etc/munge/\n", "prolog.sh:3:4 warning missing-file|prolog.sh:3:29 warning missing-file"},
		{"a file that is asked for", "#!/bin/sh\nif [ -s \"$CONTEXT_DIR/a.key\" ]; then cp \"$CONTEXT_DIR/a.key\" /x; fi\n", "prolog.sh:2:41 note missing-file"},
		{"a file that is", "#!/bin/sh\ncp $CONTEXT_DIR/Prolog.sh /tmp/x; . ./prolog.sh; cat $CONTEXT_DIR/$NAME $CONTEXT_DIR/*.key\n", ""},
		{"a script that is not there", "#!/bin/sh\n. ./lib/functions.sh\n./tool\n. /etc/os-release\n", "prolog.sh:2:3 warning missing-file|prolog.sh:3:1 warning missing-file"},
		{"in the disc's own place", "#!/bin/sh\ncat /var/lib/hepix/context/motd\n", "prolog.sh:2:5 warning missing-file"},
		{"a here-document", "#!/bin/sh\ncat >/etc/rsyslog.d/x.conf <<EOF\nuseradd x\nmount\nEOF\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Join(found(t, fstest.MapFS{"prolog.sh": {Data: []byte(tt.script)}}, Options{Refused: refused}), "|")
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestFiles(t *testing.T) {
	disc := fstest.MapFS{
		"epilog.sh":        {Data: []byte("#!/bin/sh\ncurl http://example.org/\n"), Mode: 0o755},
		"munge.key":        {Data: []byte("x"), Mode: 0o644},
		"safe/munge.key":   {Data: []byte("x"), Mode: 0o600},
		"host.pem":         {Data: []byte("-----BEGIN RSA PRIVATE KEY-----\n"), Mode: 0o444},
		"host.pub":         {Data: []byte("x"), Mode: 0o644},
		".git/HEAD":        {Data: []byte("x"), Mode: 0o644},
		"lib/functions.sh": {Data: []byte("f() { useradd x; }\r\n"), Mode: 0o644},
		"tool":             {Data: []byte("#!/bin/bash\nif\n"), Mode: 0o755},
		"binary.sh":        {Data: []byte("\x7fELF\x00\x00"), Mode: 0o755},
	}
	want := []string{
		".git:0:0 note unwanted", "host.pem:0:0 warning secret", "lib/functions.sh:1:0 warning crlf", "lib/functions.sh:1:7 warning command",
		"munge.key:0:0 warning secret", "tool:2:1 error syntax",
	}
	got := found(t, disc, Options{Modes: true})
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := found(t, disc, Options{}); slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "secret") }) {
		t.Errorf("a disc without modes: %q", got)
	}
}

// TestExamplesAreClean: what we hand out has nothing but the key that a site adds.
func TestExamplesAreClean(t *testing.T) {
	for dir, missing := range map[string]string{"../../examples": "munge.key", "../../examples/htcondor": "pool.token"} {
		disc := fstest.MapFS{missing: {Data: []byte("x"), Mode: 0o600}}
		files, err := filepath.Glob(filepath.Join(dir, "*.sh"))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			disc[filepath.Base(f)] = &fstest.MapFile{Data: b, Mode: 0o755}
		}
		if got := found(t, disc, Options{Modes: true, Refused: refused}); len(got) > 0 {
			t.Errorf("%s: %q", dir, got)
		}
	}
}

// FuzzDisc: no script makes lint panic.
func FuzzDisc(f *testing.F) {
	for _, s := range []string{"#!/bin/sh\nuseradd x\n", "a=(1)\n", "#!/bin/bash\nsed -i x \"$CONTEXT_DIR/a\" >/etc/passwd\n", "#!/usr/bin/env -S\n", "timeout 5 sudo"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := Disc(fstest.MapFS{"prolog.sh": {Data: b}}, Options{Refused: refused}); err != nil {
			t.Error(err)
		}
	})
}
