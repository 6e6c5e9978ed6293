// SPDX-License-Identifier: Apache-2.0

package cdrom

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of flavours into docs/compatibility.md")

// flavour is one way in which a site makes a disc. The command writes $OUT from
// the tree $SRC; $TMP is a scratch directory.
type flavour struct {
	name, command, label string
	note                 string // what the format or the writer cannot carry
}

const (
	short  = "the writer cuts names to what the format has; those of capitals alone are given in small letters, as Linux does"
	small  = "a volume with small letters: names are given as they are"
	joliet = "the format has neither modes nor links"
	mtools = "the format has neither modes nor links; the test copies what links lead to"
)

var flavours = []flavour{
	{"genisoimage -R", `genisoimage -quiet -R -V CONTEXT -o "$OUT" "$SRC"`, "CONTEXT", ""},
	{"genisoimage -R -J", `genisoimage -quiet -R -J -input-charset utf-8 -V CONTEXT -o "$OUT" "$SRC"`, "CONTEXT", ""},
	{"genisoimage -J", `genisoimage -quiet -J -input-charset utf-8 -V CONTEXT -o "$OUT" "$SRC"`, "CONTEXT", joliet},
	{"genisoimage, no option (Vac)", `genisoimage -quiet -V "" -o "$OUT" "$SRC"`, "", short},
	{"genisoimage -l -allow-lowercase", `genisoimage -quiet -l -allow-lowercase -V CONTEXT -o "$OUT" "$SRC"`, "CONTEXT", small},
	{"genisoimage -U", `genisoimage -quiet -U -V CONTEXT -o "$OUT" "$SRC"`, "CONTEXT", small},
	{"genisoimage -iso-level 1", `genisoimage -quiet -iso-level 1 -V CONTEXT -o "$OUT" "$SRC"`, "CONTEXT", short},
	{"genisoimage -iso-level 2", `genisoimage -quiet -iso-level 2 -V CONTEXT -o "$OUT" "$SRC"`, "CONTEXT", short},
	{"genisoimage -iso-level 3", `genisoimage -quiet -iso-level 3 -V CONTEXT -o "$OUT" "$SRC"`, "CONTEXT", short},
	{"genisoimage -iso-level 4", `genisoimage -quiet -iso-level 4 -V CONTEXT -o "$OUT" "$SRC"`, "CONTEXT", small + "; xorriso puts letters beyond ASCII into other words"},
	{"genisoimage -R -z (zisofs)", compressed + ` && genisoimage -quiet -R -z -V CONTEXT -o "$OUT" "$TMP/z"`, "CONTEXT", ""},
	{"genisoimage -R -udf", `genisoimage -quiet -R -udf -V CONTEXT -o "$OUT" "$SRC"`, "CONTEXT", ""},
	{"mkisofs -J -R -V CONTEXT (OpenNebula)", `mkisofs -quiet -J -R -V CONTEXT -input-charset utf-8 -o "$OUT" "$SRC"`, "CONTEXT", ""},
	{"genisoimage -J -R (StratusLab)", `genisoimage -quiet -J -R -V _STRATUSLAB -input-charset utf-8 -o "$OUT" "$SRC"`, "_STRATUSLAB", ""},
	{"cloud-localds", `genisoimage -quiet -output "$OUT" -volid cidata -joliet -rock -input-charset utf-8 "$SRC"`, "cidata", ""},
	{"OpenStack config drive", `genisoimage -quiet -o "$OUT" -ldots -allow-lowercase -allow-multidot -l -publisher x -J -r -input-charset utf-8 -V config-2 "$SRC"`, "config-2", "-r has the writer set modes to 0444 or 0555"},
	{"xorriso -as mkisofs -R", `xorriso -as mkisofs -quiet -R -V CONTEXT -o "$OUT" "$SRC"`, "CONTEXT", ""},
	{"xorriso", `xorriso -outdev "$OUT" -volid CONTEXT -map "$SRC" / -commit`, "CONTEXT", ""},
	{"xorriso, hard links", `xorriso -hardlinks on -outdev "$OUT" -volid CONTEXT -map "$SRC" / -commit`, "CONTEXT", ""},
	{"xorriso, ACL and xattr", `xorriso -acl on -xattr on -md5 on -outdev "$OUT" -volid CONTEXT -map "$SRC" / -commit`, "CONTEXT", "extended attributes and ACLs are not read"},
	{"xorriso, zisofs", `xorriso -outdev "$OUT" -volid CONTEXT -map "$SRC" / -set_filter_r --zisofs / -- -commit`, "CONTEXT", ""},
	{"xorriso, isohybrid MBR and GPT", `head -c 432 /dev/zero >"$TMP/mbr"; mkdir "$TMP/b"; head -c 4096 /dev/zero >"$TMP/b/boot.img"; cp -a "$SRC/." "$TMP/b"; xorriso -as mkisofs -quiet -R -V CONTEXT -isohybrid-mbr "$TMP/mbr" -b boot.img -no-emul-boot -boot-load-size 4 -eltorito-alt-boot -e boot.img -no-emul-boot -isohybrid-gpt-basdat -o "$OUT" "$TMP/b"`, "CONTEXT", ""},
	{"xorriso, partition at 64 KiB", `xorriso -as mkisofs -quiet -R -V CONTEXT -partition_offset 16 -o "$OUT" "$SRC"`, "CONTEXT", ""},
	{"xorriso, appended partition", `head -c 1048576 /dev/zero >"$TMP/p"; xorriso -as mkisofs -quiet -R -V CONTEXT -append_partition 2 0x83 "$TMP/p" -o "$OUT" "$SRC"`, "CONTEXT", ""},
	{"xorriso, grown by a session", `mkdir "$TMP/one"; echo old >"$TMP/one/prolog.sh"; xorriso -outdev "$OUT" -volid CONTEXT -map "$TMP/one" / -commit && xorriso -dev "$OUT" -update_r "$SRC" / -commit`, "CONTEXT", ""},
	{"genisoimage, two sessions", `genisoimage -quiet -R -V CONTEXT -o "$OUT" "$SRC"; s=$(($(stat -c %s "$OUT") / 2048)); echo new >"$TMP/new"; genisoimage -quiet -R -V LATER -C 0,$s -M "$OUT" -o "$TMP/second" "$TMP/new" && cat "$TMP/second" >>"$OUT"`, "CONTEXT", "an image file shows its first session, as in Linux: only a drive knows where the last one begins"},
	{"bsdtar", `bsdtar --format iso9660 --options volume-id=CONTEXT,rockridge=strict -cf "$OUT" -C "$SRC" .`, "CONTEXT", ""},
	{"bsdtar, no Rock Ridge", `bsdtar --format iso9660 --options 'volume-id=CONTEXT,!rockridge' -cf "$OUT" -C "$SRC" .`, "CONTEXT", joliet},
	{"bsdtar, plain", `bsdtar --format iso9660 --options 'volume-id=CONTEXT,!rockridge,!joliet' -cf "$OUT" -C "$SRC" .`, "CONTEXT", short},
	{"FAT12", fatDisc(12, "4M"), "CONTEXT", mtools},
	{"FAT16", fatDisc(16, "16M"), "CONTEXT", mtools},
	{"FAT32", fatDisc(32, "40M"), "CONTEXT", mtools},
	{"FAT in an MBR partition", fatDisc(16, "16M") + ` && mv "$OUT" "$TMP/p" && truncate -s 18M "$OUT" && echo 2048,32768,c | sfdisk -q --label dos "$OUT" && dd if="$TMP/p" of="$OUT" bs=1M seek=1 conv=notrunc status=none`, "CONTEXT", mtools},
	{"ISO 9660 in a GPT partition", `genisoimage -quiet -R -V CONTEXT -o "$TMP/p" "$SRC" && truncate -s 8M "$OUT" && echo 2048,8192 | sfdisk -q --label gpt "$OUT" && dd if="$TMP/p" of="$OUT" bs=1M seek=1 conv=notrunc status=none`, "CONTEXT", ""},
}

// compressed has xorriso make $TMP/z, the source with its files compressed as
// mkzftree does, which Debian 12 lacks: genisoimage -z only says that they are.
const compressed = `xorriso -outdev "$TMP/z.iso" -map "$SRC" / -set_filter_r --zisofs / -- -commit &&
	xorriso -indev "$TMP/z.iso" -set_filter_r --remove-all-filters / -- -osirrox on -extract / "$TMP/z"`

func fatDisc(bits int, size string) string {
	return fmt.Sprintf(`truncate -s %s "$OUT" && mkfs.fat -F %d -n CONTEXT "$OUT" >/dev/null && cp -aL "$SRC" "$TMP/f" && cd "$TMP/f" && mcopy -i "$OUT" -s -n -- * .[!.]* ::/`, size, bits)
}

// flavourTree is a disc as a careful site would make it, with what formats differ in.
func flavourTree(t *testing.T) string {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"prolog.sh": "#!/bin/sh\necho prolog\n", "epilog.sh": "#!/bin/sh\n", "context.sh": "A=1\n", "README": "read me\n",
		".hidden": "dot\n", "empty": "", "a name with spaces.txt": "spaces\n", "Mixed.Case": "mixed\n",
		"grüße-日本.txt": "unicode\n", strings.Repeat("n", 60) + ".txt": "long\n", "sub/sub/file.txt": "deep\n", "other/sub/file.txt": "other\n",
		"payload.bin": strings.Repeat("payload ", 40_000),
	} {
		p := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chmod(filepath.Join(dir, "prolog.sh"), 0o755), os.Chmod(filepath.Join(dir, "context.sh"), 0o600),
		os.Chmod(filepath.Join(dir, "other"), 0o750), os.Symlink("prolog.sh", filepath.Join(dir, "link")),
		os.Symlink("../sub/sub", filepath.Join(dir, "other/up")), os.Link(filepath.Join(dir, "README"), filepath.Join(dir, "twin"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// files describes a directory of this machine as Find would a disc.
func files(t *testing.T, dir string) map[string]File {
	t.Helper()
	out := map[string]File{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, p)
		f := File{Path: name, Type: e.Type(), Mode: info.Mode().Perm()}
		switch e.Type() {
		case 0:
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(b)
			f.SHA256 = hex.EncodeToString(sum[:])
		case fs.ModeSymlink:
			if f.Target, err = os.Readlink(p); err != nil {
				return err
			}
		}
		out[name] = f
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func shell(t *testing.T, src, out, command string) error {
	t.Helper()
	cmd := exec.Command("bash", "-c", "PATH=$PATH:/usr/sbin:/sbin; "+command)
	cmd.Env = append(os.Environ(), "SRC="+src, "OUT="+out, "TMP="+t.TempDir(), "LC_ALL=C.UTF-8")
	if log, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", command, err, log)
	}
	return nil
}

// agreement says in a word how two trees agree in names, bytes, modes and links.
func agreement(got, want map[string]File, hasModes bool) (names, bytes, modes, links string) {
	names, bytes, modes, links = "exact", "exact", "exact", "exact"
	lower := map[string]bool{}
	for name := range want {
		lower[strings.ToLower(name)] = true
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		w, ok := want[name]
		g := got[name]
		if !ok {
			if names != "differ" && lower[strings.ToLower(name)] {
				names = "but for case"
			} else {
				names = "differ"
			}
			continue
		}
		if hasModes && g.Mode != w.Mode && g.Type != fs.ModeSymlink {
			modes = "differ"
		}
		if g.Type != w.Type || g.Target != w.Target {
			links = "differ"
		}
		if g.Type == 0 && w.Type == 0 && g.SHA256 != w.SHA256 {
			bytes = "DIFFER"
		}
	}
	for name, w := range want {
		if _, ok := got[name]; ok {
			continue
		}
		if w.Type == fs.ModeSymlink {
			links = "left out"
		} else if names == "exact" {
			names = "differ"
		}
	}
	if b := contents(got); bytes == "exact" && !maps.Equal(b, contents(want)) {
		bytes = "DIFFER"
	}
	return names, bytes, modes, links
}

// contents is every file's digest, whatever it is called; of a link that a
// writer replaced by a copy it is there already.
func contents(files map[string]File) map[string]bool {
	out := map[string]bool{}
	for _, f := range files {
		if f.Type == 0 {
			out[f.SHA256] = true
		}
	}
	return out
}

// reference says how what we read agrees with what a tool extracts from the image.
func reference(t *testing.T, image, command string, got map[string]File, hasModes bool) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	if err := shell(t, image, out, `mkdir "$OUT" && `+command); err != nil {
		t.Logf("the reference cannot read it: %v", err)
		return "–"
	}
	names, bytes, modes, links := agreement(got, files(t, out), hasModes)
	for _, word := range []string{bytes, names, links, modes} {
		if word != "exact" {
			return map[string]string{bytes: "bytes " + word, names: "names " + word, links: "links " + word, modes: "modes " + word}[word]
		}
	}
	return "same"
}

// TestFlavours writes one tree in every flavour at hand and reads it back. The
// outcome is the table in docs/compatibility.md.
func TestFlavours(t *testing.T) {
	src := flavourTree(t)
	want := files(t, src)
	var table strings.Builder
	table.WriteString("| written by | read as | label | names | bytes | modes | links | against xorriso | against bsdtar or mtools | because |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, c := range flavours {
		t.Run(c.name, func(t *testing.T) {
			image := filepath.Join(t.TempDir(), "disc")
			if err := shell(t, src, image, c.command); err != nil {
				t.Fatal(err)
			}
			d, err := Finder{MaxBytes: 1 << 20, MaxFiles: 100}.Inspect(image)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Usable(); err != nil {
				t.Errorf("not usable: %v", err)
			}
			if d.Label != c.label {
				t.Errorf("label %q; want %q", d.Label, c.label)
			}
			if d.Script("prolog.sh") == "" || d.Script("epilog.sh") == "" {
				t.Error("the scripts are not found")
			}
			got := map[string]File{}
			for _, f := range d.Files {
				got[f.Path] = f
			}
			delete(got, "boot.img") // what makes the hybrid one
			delete(got, "boot.catalog")
			hasModes := d.Flavour == "rock ridge"
			names, bytes, modes, links := agreement(got, want, hasModes)
			if bytes != "exact" {
				t.Errorf("bytes %s", bytes)
			}
			if c.note == "" && (names != "exact" || modes != "exact" || links != "exact") {
				t.Errorf("names %s, modes %s, links %s; want all exact", names, modes, links)
			}
			if !hasModes {
				modes = "none"
			}
			xorriso, bsdtar := "–", "–"
			switch {
			case strings.Contains(c.name, " in a"):
			case strings.Contains(c.name, "FAT"):
				bsdtar = reference(t, image, `mcopy -i "$SRC" -s -n :: "$OUT"`, got, hasModes)
			default:
				xorriso = reference(t, image, `xorriso -osirrox on:o_excl_off -indev "$SRC" -extract / "$OUT" && rm -f "$OUT/boot.img" "$OUT/boot.catalog"`, got, hasModes)
				bsdtar = reference(t, image, `bsdtar -xpf "$SRC" -C "$OUT"; rm -rf "$OUT/boot.img" "$OUT/boot.catalog"`, got, hasModes)
			}
			fmt.Fprintf(&table, "| %s | %s | `%s` | %s | %s | %s | %s | %s | %s | %s |\n", c.name, d.Flavour, d.Label, names, bytes, modes, links, xorriso, bsdtar, c.note)
		})
	}
	inDocument(t, "../../docs/compatibility.md", "flavours", table.String())
}

// inDocument compares the generated part of a document, or writes it.
func inDocument(t *testing.T, file, part, text string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+part+": generated by go test ./internal/cdrom -update -->\n", "<!-- end -->"
	head, rest, ok := strings.Cut(string(b), begin)
	old, tail, ok2 := strings.Cut(rest, end)
	switch {
	case !ok || !ok2:
		t.Fatalf("%s has no part %q", file, part)
	case *update:
		if err := os.WriteFile(file, []byte(head+begin+text+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	case old != text:
		t.Errorf("%s is out of date; it has\n%sand the test has found\n%s", file, old, text)
	}
}
