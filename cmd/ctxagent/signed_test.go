// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ctxagent/ctxagent/dist"
)

// keygen runs OpenSSH's own tool, as a site does.
func keygen(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ssh-keygen", args...).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen %q: %v: %s", args, err, out)
	}
}

// signedTree is a tree for a disc, with its manifest and the site's signature.
func signedTree(t *testing.T, key string) string {
	t.Helper()
	tree := write(t, t.TempDir(), map[string]string{"prolog.sh": goodScript, "files/key": "secret\n"})
	if err := os.Symlink("files/key", filepath.Join(tree, "key")); err != nil {
		t.Fatal(err)
	}
	r := ctxagent(t, "inspect", "--manifest", tree)
	if r.status != 0 {
		t.Fatal(r.stderr)
	}
	write(t, tree, map[string]string{"manifest": r.stdout})
	keygen(t, "-q", "-Y", "sign", "-f", key, "-n", "ctxagent", filepath.Join(tree, "manifest"))
	return tree
}

// TestSignedDiscs runs a prolog from signed discs and from some that are not
// what was signed, each in its own way.
func TestSignedDiscs(t *testing.T) {
	root := busyboxRoot(t)
	keys := t.TempDir()
	key, other := filepath.Join(keys, "site"), filepath.Join(keys, "other")
	var public []string
	for _, k := range []string{key, other} {
		keygen(t, "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", k)
		b, err := os.ReadFile(k + ".pub")
		if err != nil {
			t.Fatal(err)
		}
		public = append(public, strings.TrimSpace(string(b)))
	}
	trusted := "site@example.org " + public[0] + "\n"
	touch := func(name, content string) func(string) {
		return func(tree string) { write(t, tree, map[string]string{name: content}) }
	}
	for _, tt := range []struct {
		name, mode, signers string
		change              func(tree string)
		status              int
		rule, says          string
	}{
		{"signed", "require", trusted, nil, 0, "", ""},
		{"signed, warn", "warn", trusted, nil, 0, "", ""},
		{"not signed, nobody asks", "off", "", func(tree string) { _ = os.Remove(filepath.Join(tree, "manifest.sig")) }, 0, "", ""},
		{"not signed, warn", "warn", trusted, func(tree string) { _ = os.Remove(filepath.Join(tree, "manifest.sig")) }, 0, "", "the disc is not signed"},
		{"not signed", "require", trusted, func(tree string) { _ = os.Remove(filepath.Join(tree, "manifest.sig")) }, 3, "manifest-unsigned", "no file"},
		{"no manifest", "require", trusted, func(tree string) { _ = os.Remove(filepath.Join(tree, "manifest")) }, 3, "manifest-unsigned", "no file"},
		{"wrong key", "require", "other@example.org " + public[1] + "\n", nil, 3, "signature-key", "not among the image's signers"},
		{"no keys in the image", "require", "", nil, 3, "signature-key", "not among"},
		{"expired", "require", `site@example.org valid-before="20200101" ` + public[0] + "\n", nil, 3, "signature-expired", "was valid until 2020"},
		{"altered manifest", "require", trusted, touch("manifest", "ctxagent manifest 1\n"), 3, "signature-invalid", "not of this manifest"},
		{"extra file", "require", trusted, touch("files/more", "x"), 3, "manifest-extra", `"files/more" is on the disc`},
		{"missing file", "require", trusted, func(tree string) { _ = os.Remove(filepath.Join(tree, "key")) }, 3, "manifest-missing", `"key" is in the signed manifest`},
		{"altered byte", "require", trusted, touch("files/key", "Secret\n"), 3, "manifest-differs", `"files/key" on the disc is not`},
		{"altered byte, warn", "warn", trusted, touch("files/key", "Secret\n"), 0, "", `"files/key" on the disc is not`},
		{"altered mode", "require", trusted, func(tree string) { _ = os.Chmod(filepath.Join(tree, "files/key"), 0o600) }, 3, "manifest-differs", `"files/key"`},
		{"altered link", "require", trusted, func(tree string) {
			_ = os.Remove(filepath.Join(tree, "key"))
			_ = os.Symlink("prolog.sh", filepath.Join(tree, "key"))
		}, 3, "manifest-differs", `"key"`},
	} {
		tree := signedTree(t, key)
		if tt.change != nil {
			tt.change(tree)
		}
		iso := filepath.Join(t.TempDir(), "disc.iso")
		if out, err := exec.Command("xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", iso, tree).CombinedOutput(); err != nil {
			t.Fatalf("xorriso: %v: %s", err, out)
		}
		text := strings.Replace(string(dist.Policy), "signature: off", "signature: "+tt.mode, 1)
		write(t, root, map[string]string{"etc/ctxagent/policy.yaml": text, "etc/ctxagent/allowed_signers": tt.signers})
		inspectSigned(t, tt.name, iso, filepath.Join(root, "etc/ctxagent/allowed_signers"), tt.says, tt.mode != "off")
		r := ctxagent(t, "run", "prolog", "--root", root, "--media", iso)
		b, err := os.ReadFile(filepath.Join(root, "run/ctxagent/prolog.json"))
		receipt := string(b)
		if err != nil || r.status != tt.status || !strings.Contains(receipt, strings.ReplaceAll(tt.says, `"`, `\"`)) || tt.rule != "" && !strings.Contains(receipt, `"rule": "`+tt.rule+`"`) {
			t.Errorf("%s: exit status %d, %v; want %d, %s, %q:\n%s", tt.name, r.status, err, tt.status, tt.rule, tt.says, receipt)
		}
		named := strings.Contains(receipt, `"signer": "site@example.org"`)
		if want := tt.status == 0 && tt.mode != "off" && tt.says == ""; named != want {
			t.Errorf("%s: the receipt names the signer: %v; want %v", tt.name, named, want)
		}
	}
}

// inspectSigned holds what inspect says of a signature against what a guest does.
func inspectSigned(t *testing.T, name, iso, signers, says string, asked bool) {
	t.Helper()
	if !asked {
		return
	}
	r := ctxagent(t, "inspect", "--json", "--signers", signers, iso)
	var got struct{ Signer, Unsigned string }
	err := json.Unmarshal([]byte(r.stdout), &got)
	if err != nil || r.status != 0 || (got.Signer == "site@example.org") != (says == "") || !strings.Contains(got.Unsigned, says) || (got.Unsigned == "") != (says == "") {
		t.Errorf("%s: inspect says %+v, %v, exit status %d; want %q", name, got, err, r.status, says)
	}
	if page := ctxagent(t, "inspect", "--signers", signers, iso).stdout; !strings.Contains(page, `signed by "site@example.org"`) && !strings.Contains(page, "would refuse it: ") {
		t.Errorf("%s: the page says nothing of a signature:\n%s", name, page)
	}
}

// TestPackSigns packs a signed disc, which is the same each time, has the manifest
// and the signature that inspect and ssh-keygen make of the same tree, and is what a
// guest asks for. A key that cannot sign says why.
func TestPackSigns(t *testing.T) {
	root, keys := busyboxRoot(t), t.TempDir()
	key := filepath.Join(keys, "site")
	keygen(t, "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key)
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	write(t, root, map[string]string{
		"etc/ctxagent/allowed_signers": "site@example.org " + string(public),
		"etc/ctxagent/policy.yaml":     strings.Replace(string(dist.Policy), "signature: off", "signature: require", 1),
	})
	tree := write(t, t.TempDir(), map[string]string{"prolog.sh": goodScript, "files/key": "secret\n", "a-b": "", "a/b": ""})
	if err := errors.Join(os.Symlink("files/key", filepath.Join(tree, "key")), os.Chmod(filepath.Join(tree, "files/key"), 0o600)); err != nil {
		t.Fatal(err)
	}
	pack := func(key string) (result, string) {
		iso := filepath.Join(t.TempDir(), "disc.iso")
		return ctxagent(t, "pack", tree, "-o", iso, "--sign", key), iso
	}
	r, iso := pack(key)
	_, again := pack(key)
	if out, err := exec.Command("cmp", iso, again).CombinedOutput(); r.status != 0 || err != nil {
		t.Fatalf("pack: exit status %d: %s; twice: %s", r.status, r.stderr, out)
	}
	copied := t.TempDir()
	if out, err := exec.Command("xorriso", "-osirrox", "on", "-indev", iso, "-extract_l", "/", copied, "/manifest", "/manifest.sig", "--").CombinedOutput(); err != nil {
		t.Fatalf("xorriso: %v: %s", err, out)
	}
	manifest, err := os.ReadFile(filepath.Join(copied, "manifest"))
	if r := ctxagent(t, "inspect", "--manifest", iso); err != nil || r.stdout != string(manifest) {
		t.Errorf("the manifest is\n%s\nwant\n%s", manifest, r.stdout)
	}
	cmd := exec.Command("ssh-keygen", "-Y", "verify", "-f", filepath.Join(root, "etc/ctxagent/allowed_signers"), "-I", "site@example.org", "-n", "ctxagent", "-s", filepath.Join(copied, "manifest.sig"))
	cmd.Stdin = bytes.NewReader(manifest)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("ssh-keygen does not accept the signature: %v: %s", err, out)
	}
	if r := ctxagent(t, "run", "prolog", "--root", root, "--media", iso); r.status != 0 {
		t.Errorf("exit status %d: %s", r.status, r.stderr)
	}
	if disc := receiptFields(t, root, "prolog")["disc"].(map[string]any); disc["signer"] != "site@example.org" {
		t.Errorf("disc %v", disc)
	}
	encrypted, ecdsa := filepath.Join(keys, "encrypted"), filepath.Join(keys, "ecdsa")
	keygen(t, "-q", "-t", "ed25519", "-N", "a passphrase", "-f", encrypted)
	keygen(t, "-q", "-t", "ecdsa", "-N", "", "-f", ecdsa)
	for bad, says := range map[string]string{encrypted: "it is encrypted", ecdsa: `of the type "ecdsa-sha2-nistp256"`, key + ".pub": "no private key", filepath.Join(keys, "none"): "no such file"} {
		if r, iso := pack(bad); r.status != 2 || !strings.Contains(r.stderr, says) || fileExists(iso) {
			t.Errorf("%s: exit status %d: %s; want 2, %q and no disc", bad, r.status, r.stderr, says)
		}
	}
	for _, name := range []string{"Manifest", "manifest.sig"} {
		write(t, tree, map[string]string{name: "x"})
		if r, _ := pack(key); r.status != 4 || !strings.Contains(r.stderr, fmt.Sprintf("%q is in the directory already", name)) {
			t.Errorf("%s: exit status %d: %s; want 4", name, r.status, r.stderr)
		}
		if err := os.Remove(filepath.Join(tree, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func fileExists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}
