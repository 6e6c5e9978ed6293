// SPDX-License-Identifier: Apache-2.0

package signature

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// site has keys and signs with OpenSSH's own tool.
type site struct {
	t   testing.TB
	dir string
}

func (s site) run(args ...string) {
	s.t.Helper()
	cmd := exec.Command("ssh-keygen", args...)
	cmd.Dir = s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("ssh-keygen %q: %v: %s", args, err, out)
	}
}

// key makes a key and gives its public half, type and base64.
func (s site) key(name string, kind ...string) string {
	s.t.Helper()
	s.run(append([]string{"-q", "-N", "", "-C", "", "-f", name, "-t"}, kind...)...)
	b, err := os.ReadFile(filepath.Join(s.dir, name+".pub"))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func (s site) sign(key, namespace, message string, more ...string) []byte {
	s.t.Helper()
	file := filepath.Join(s.dir, "message")
	if err := os.WriteFile(file, []byte(message), 0o600); err != nil {
		s.t.Fatal(err)
	}
	_ = os.Remove(file + ".sig") // there is none at first
	s.run(append(append([]string{"-q", "-Y", "sign", "-f", key, "-n", namespace}, more...), "message")...)
	b, err := os.ReadFile(file + ".sig")
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func TestVerify(t *testing.T) {
	s := site{t, t.TempDir()}
	ed, other := s.key("ed", "ed25519"), s.key("other", "ed25519")
	ecdsa, rsa := s.key("ecdsa", "ecdsa"), s.key("rsa", "rsa", "-b", "2048")
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	good := s.sign("ed", Namespace, "manifest")
	for _, tt := range []struct {
		name, signers string
		message       string
		sig           []byte
		want          string // the signer, or a reason
		says          string
	}{
		{"ed25519", "site@example.org " + ed, "manifest", good, "site@example.org", ""},
		{"ecdsa", "site@example.org " + ecdsa, "manifest", s.sign("ecdsa", Namespace, "manifest"), "site@example.org", ""},
		{"rsa", "site@example.org " + rsa, "manifest", s.sign("rsa", Namespace, "manifest"), "site@example.org", ""},
		{"sha256", "site@example.org " + ed, "manifest", s.sign("ed", Namespace, "manifest", "-O", "hashalg=sha256"), "site@example.org", ""},
		{"second of two", "# keys\n\nother@example.org " + other + "\nsite@example.org,ops@example.org namespaces=\"file,ctx*\" " + ed + " a comment\n", "manifest", good, "site@example.org,ops@example.org", ""},
		{"valid", `site@example.org valid-after="20260101",valid-before="202612312359Z" ` + ed, "manifest", good, "site@example.org", ""},
		{"expired", `site@example.org valid-before="20261122" ` + ed, "manifest", good, string(Expired), "was valid until 2026-11-22T00:00:00Z"},
		{"not yet valid", `site@example.org valid-after="20261123" ` + ed, "manifest", good, string(Expired), "is valid from 2026-11-23"},
		{"expired, and again", `site@example.org valid-before="20200101" ` + ed + "\nsite@example.org " + ed, "manifest", good, "site@example.org", ""},
		{"wrong key", "site@example.org " + other, "manifest", good, string(Key), "is not among the image's signers"},
		{"key of another namespace", `site@example.org namespaces="file" ` + ed, "manifest", good, string(Key), ""},
		{"nobody is trusted", "", "manifest", good, string(Key), ""},
		{"altered message", "site@example.org " + ed, "manifesT", good, string(Invalid), "not of this manifest"},
		{"made for git", "site@example.org " + ed, "manifest", s.sign("ed", "git", "manifest"), string(Malformed), `namespace "git"`},
		{"no signature", "site@example.org " + ed, "manifest", []byte("hello"), string(Malformed), ""},
		{"two signatures", "site@example.org " + ed, "manifest", append(good, good...), string(Malformed), ""},
		{"cut", "site@example.org " + ed, "manifest", []byte("-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQ==\n-----END SSH SIGNATURE-----\n"), string(Malformed), ""},
	} {
		signers, err := Signers([]byte(tt.signers))
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		got, err := Verify([]byte(tt.message), tt.sig, signers, now)
		if reason, ok := IsReason(err); ok {
			got = string(reason)
		}
		if got != tt.want || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: Verify = %q, %v; want %q, %q", tt.name, got, err, tt.want, tt.says)
		}
	}
}

func TestSigners(t *testing.T) {
	key := site{t, t.TempDir()}.key("k", "ed25519")
	for name, line := range map[string]string{
		"no key": "a@example.org", "bad key": "a@example.org ssh-ed25519 AAAA", "unknown option": "a@example.org no-touch-required " + key,
		"authority": "a@example.org cert-authority " + key, "bad time": `a@example.org valid-after="soon" ` + key,
		"negated namespace": `a@example.org namespaces="!x" ` + key, "negated principal": "!a@example.org " + key,
	} {
		if s, err := Signers([]byte("# comment\n" + line + "\n")); err == nil || !strings.Contains(err.Error(), "line 2: ") {
			t.Errorf("%s: %+v, %v; want an error with its line", name, s, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	s := site{f, f.TempDir()}
	signers, err := Signers([]byte("site@example.org " + s.key("k", "ed25519")))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("manifest"), s.sign("k", Namespace, "manifest"))
	f.Fuzz(func(t *testing.T, message, sig []byte) {
		if _, err := Verify(message, sig, signers, time.Now()); err == nil && string(message) != "manifest" {
			t.Errorf("%q is signed by %q", message, sig)
		}
	})
}
