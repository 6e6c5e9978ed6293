// SPDX-License-Identifier: Apache-2.0

package signature

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// TestSign signs as ssh-keygen does, but for where lines end, and tells whose
// signature it is.
func TestSign(t *testing.T) {
	s := site{t, t.TempDir()}
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s.key("ed", "ed25519")))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(s.dir, "ed"))
	if err != nil {
		t.Fatal(err)
	}
	secret, err := ParseSecret(b)
	if err != nil {
		t.Fatal(err)
	}
	sig := secret.Sign([]byte("manifest"))
	unwrap := strings.NewReplacer("\n", "")
	if want := s.sign("ed", Namespace, "manifest"); unwrap.Replace(string(sig)) != unwrap.Replace(string(want)) {
		t.Errorf("Sign =\n%s; want\n%s", sig, want)
	}
	for message, want := range map[string]Reason{"manifest": "", "manifesT": Invalid} {
		signer, err := SignedBy([]byte(message), sig)
		if reason, _ := IsReason(err); reason != want || signer != ssh.FingerprintSHA256(public) || secret.Fingerprint() != signer {
			t.Errorf("%s is signed by %s, %v; want %s, %q", message, signer, err, secret.Fingerprint(), want)
		}
	}
}

// TestParseSecretRefuses alters a good key in one thing each.
func TestParseSecretRefuses(t *testing.T) {
	s := site{t, t.TempDir()}
	s.key("ed", "ed25519")
	b, err := os.ReadFile(filepath.Join(s.dir, "ed"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	other := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	otherPublic, err := ssh.NewPublicKey(other.Public())
	if err != nil {
		t.Fatal(err)
	}
	const several, halves = "no single private key", "its private half is not"
	for name, tt := range map[string]struct {
		edit func(f *keyFile, p *keyPair)
		says string // "" if it is read
	}{
		"nothing":             {func(*keyFile, *keyPair) {}, ""},
		"encrypted":           {func(f *keyFile, _ *keyPair) { f.Cipher = "aes256-ctr" }, "it is encrypted"},
		"two keys":            {func(f *keyFile, _ *keyPair) { f.Count = 2 }, several},
		"no check":            {func(_ *keyFile, p *keyPair) { p.Check++ }, several},
		"another kind":        {func(_ *keyFile, p *keyPair) { p.Kind = ssh.KeyAlgoRSA }, `of the type "ssh-rsa"`},
		"short":               {func(_ *keyFile, p *keyPair) { p.Private = p.Private[:32] }, "with an Ed25519 key"},
		"none":                {func(_ *keyFile, p *keyPair) { p.Private = nil }, "with an Ed25519 key"},
		"another public key":  {func(f *keyFile, _ *keyPair) { f.Public = otherPublic.Marshal() }, halves},
		"another private key": {func(_ *keyFile, p *keyPair) { p.Private = other }, halves},
		"another seed":        {func(_ *keyFile, p *keyPair) { p.Private[0]++ }, halves},
	} {
		var f keyFile
		var p keyPair
		if err := ssh.Unmarshal(block.Bytes[len(keyMagic):], &f); err != nil {
			t.Fatal(err)
		}
		if err := ssh.Unmarshal(f.Pairs, &p); err != nil {
			t.Fatal(err)
		}
		p.Private = bytes.Clone(p.Private)
		tt.edit(&f, &p)
		f.Pairs = ssh.Marshal(p)
		file := pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: append([]byte(keyMagic), ssh.Marshal(f)...)})
		if _, err := ParseSecret(file); (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v; want %q", name, err, tt.says)
		}
	}
	for _, file := range []string{"", "x", string(b[1:]), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: block.Bytes})), string(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes[:20]}))} {
		if _, err := ParseSecret([]byte(file)); err == nil || !strings.Contains(err.Error(), "no private key of OpenSSH") {
			t.Errorf("%q: %v; want that it is none", file, err)
		}
	}
}
