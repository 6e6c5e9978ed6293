// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckAsksAnImage rehearses against disk images: raw and qcow2, with and
// without a partition table, ext4 and xfs. The image is not written, and nothing
// stays mounted.
func TestCheckAsksAnImage(t *testing.T) {
	root := busyboxRoot(t)
	write(t, root, map[string]string{"usr/.keep": "", "etc/rsyslog.d/image.conf": "# this is the image's\n"})
	dir := write(t, t.TempDir(), map[string]string{"prolog.sh": "#!/bin/sh\nset -e\ncat /etc/rsyslog.d/image.conf\n" + strings.TrimPrefix(goodScript, "#!/bin/sh\n")})
	images := t.TempDir()
	parts := map[string]string{"ext4.raw": "the whole disk", "gpt.raw": "partition 2", "mbr.qcow2": "partition 1"}
	for name, script := range map[string]string{
		"ext4.raw":  `truncate -s 64M "$0" && mke2fs -q -t ext4 -d "$1" "$0"`,
		"gpt.raw":   `truncate -s 64M part && mke2fs -q -t ext4 -d "$1" part && truncate -s 80M "$0" && printf 'label: gpt\nsize=4M\nsize=64M\n' | sfdisk -q "$0" && dd if=part of="$0" bs=1M seek=5 conv=notrunc,sparse status=none`,
		"mbr.qcow2": `truncate -s 64M part && mke2fs -q -t ext4 -d "$1" part && truncate -s 80M raw && printf 'label: dos\nsize=64M\n' | sfdisk -q raw && dd if=part of=raw bs=1M seek=1 conv=notrunc,sparse status=none && qemu-img convert -c -O qcow2 raw "$0"`,
	} {
		t.Run(name, func(t *testing.T) {
			image, part := filepath.Join(images, name), parts[name]
			cmd := exec.CommandContext(t.Context(), "timeout", "30", "sh", "-exc", script, image, root)
			cmd.Dir = t.TempDir()
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			before, err := os.ReadFile(image)
			if err != nil {
				t.Fatal(err)
			}
			mounts := mountsOf(t)
			r := ctxagent(t, "check", "--root", image, dir)
			if r.status != 0 || !strings.Contains(r.stdout, "output    # this is the image's") || !strings.Contains(r.stdout, "would be applied") || !strings.Contains(r.stdout, "rehearsal against the root "+image+", "+part+", with") {
				t.Errorf("exit status %d:\n%s%s", r.status, r.stdout, r.stderr)
			}
			after, err := os.ReadFile(image)
			if err != nil || string(after) != string(before) {
				t.Errorf("the image was written: %v", err)
			}
			if got := mountsOf(t); got != mounts {
				t.Errorf("mounts before\n%s\nafter\n%s", mounts, got)
			}
		})
	}
	empty := filepath.Join(images, "empty.raw")
	backed := filepath.Join(images, "backed.qcow2")
	script := fmt.Sprintf(`truncate -s 8M %[1]s; qemu-img create -q -f qcow2 -F raw -b %[1]s %[2]s`, empty, backed)
	if out, err := exec.Command("sh", "-ec", script).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	vmdk := filepath.Join(write(t, images, map[string]string{"sparse.vmdk": "KDMV\x01\x00\x00\x00", "a disk.vmdk": "# Disk DescriptorFile\nversion=1\n"}), "sparse.vmdk")
	for image, says := range map[string]string{
		empty:                                "no root file system",
		backed:                               "backing file: what lies in another file is not read: make it stand alone with `qemu-img convert -O qcow2 " + backed + " " + filepath.Join(images, "backed-alone.qcow2") + "`",
		vmdk:                                 "this looks like VMDK; raw and qcow2 are read: `qemu-img convert -O qcow2 " + vmdk + " " + filepath.Join(images, "sparse.qcow2") + "`",
		filepath.Join(images, "a disk.vmdk"): "convert -O qcow2 '" + filepath.Join(images, "a disk.vmdk") + "' '",
	} {
		if r := ctxagent(t, "check", "--root", image, dir); r.status != 2 || !strings.Contains(r.stderr, says) {
			t.Errorf("%s: exit status %d: %s; want 2, %q", image, r.status, r.stderr, says)
		}
	}
	if out, err := exec.Command("setpriv", "--reuid", "65534", "--clear-groups", "sh", "-c", `cp "$0" "$2/c" 2>/dev/null; exec "$0" check --root "$1" "$2"`, binary, empty, dir).CombinedOutput(); err == nil || !strings.Contains(string(out), "denied") && !strings.Contains(string(out), "only root can mount one") {
		t.Errorf("without root: %v: %s; want what to do", err, out)
	}
}

func mountsOf(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", `grep -c ctxagent-image- /proc/mounts; losetup -a | grep -c ctxagent-image- ; true`).CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
