// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// packReport lists what the kernel's isofs sees of the first drive.
const packReport = `
mkdir -p /mnt
file mount mount -t iso9660 -o ro /dev/sr0 /mnt
file files sh -c 'cd /mnt && find . -type f | sort | while IFS= read -r f; do echo "$(stat -c %a "$f") $(sha256sum <"$f" | cut -c 1-64) $f"; done'
file links sh -c 'cd /mnt && find . -type l -printf "%p -> %l\n" | sort'
file dirs sh -c 'cd /mnt && find . -mindepth 1 -type d -printf "%m %p\n" | sort'
file prolog cat /run/ctxagent/prolog.json
`

// TestKernelReadsPackedDisc holds what the kernel's isofs shows of a packed disc
// against the tree: names, modes, links and every byte.
func TestKernelReadsPackedDisc(t *testing.T) {
	dir := packTree(t)
	iso := filepath.Join(t.TempDir(), "context.iso")
	if out, err := exec.Command(buildAgent(t), "pack", dir, "-o", iso).CombinedOutput(); err != nil {
		t.Fatalf("pack: %v: %s", err, out)
	}
	r := boot(t, Config{CDs: []string{iso}, Report: DefaultReport + packReport})
	if got := receiptOf(t, r, "prolog"); got.Outcome != "unchanged" || got.Disc.Label != "CONTEXT" {
		t.Errorf("prolog: %q, label %q", got.Outcome, got.Disc.Label)
	}
	want := map[string][]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case info.IsDir():
			want["dirs"] = append(want["dirs"], fmt.Sprintf("%o ./%s", info.Mode().Perm(), name))
		case info.Mode().IsRegular():
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return err
			}
			want["files"] = append(want["files"], fmt.Sprintf("%o %x ./%s", info.Mode().Perm(), sha256.Sum256(b), name))
		default:
			target, err := os.Readlink(filepath.Join(dir, name))
			if err != nil {
				return err
			}
			want["links"] = append(want["links"], fmt.Sprintf("./%s -> %s", name, target))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for what, lines := range want {
		got := strings.Split(strings.TrimSuffix(string(r.Files[what]), "\n"), "\n")
		slices.Sort(got)
		slices.Sort(lines)
		for _, l := range lines {
			if !slices.Contains(got, l) {
				t.Errorf("isofs lacks %q", l)
			}
		}
		if len(got) != len(lines) {
			t.Errorf("%d %s in isofs; want %d", len(got), what, len(lines))
		}
	}
}

// packTree is a tree with the names, sizes and depths that isofs treats apart.
func packTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	deep := "deep" + strings.Repeat("/level", 20)
	for name, content := range map[string]string{
		"prolog.sh": "#!/bin/sh\n", "empty": "", ".hidden": "dot", "semi;1": "semicolon", "trailing.": "dot", "two  blanks": "blanks",
		"gr\u00fc\u00dfe-\u5358\u8a9e-\U0001f642": "UTF-8", "case/readme": "lower", "case/README": "upper", deep + "/bottom": "down here",
		strings.Repeat("n", 186): "186", strings.Repeat("n", 249): "249", strings.Repeat("n", 253): "253",
		"block/2048": strings.Repeat("x", 2048), "block/5000": strings.Repeat("y", 5000),
	} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 300 {
		if err := os.WriteFile(filepath.Join(dir, "case", fmt.Sprintf("a file whose name is longer than thirty characters %d", i)), fmt.Append(nil, i), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "empty"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"link": "prolog.sh", "case/up": "../prolog.sh", strings.Repeat("l", 240): "block/" + strings.Repeat("t", 200)} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
