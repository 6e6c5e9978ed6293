// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed build-kernel.sh
var kernelScript []byte

// A Kernel is another one than that of the base image, with its modules.
type Kernel struct{ dir string }

// GenericKernel returns Debian's generic kernel, which has drivers that the base
// image's cloud kernel lacks: AHCI and USB. It is fetched once and cached.
func GenericKernel(ctx context.Context, log io.Writer) (*Kernel, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find the cache directory: %w", err)
	}
	dir := filepath.Join(cache, "ctxagent", fmt.Sprintf("kernel-%.6x", sha256.Sum256(kernelScript)))
	cmd := exec.CommandContext(ctx, "bash", "-c", string(kernelScript), "build-kernel.sh", dir)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("build kernel %q: %w", dir, err)
	}
	return &Kernel{dir}, nil
}

// path is the kernel that QEMU starts.
func (k *Kernel) path() string { return filepath.Join(k.dir, "vmlinuz") }

// modules is the payload of /lib/modules.
func (k *Kernel) modules() ([]File, error) {
	var files []File
	top := filepath.Join(k.dir, "modules")
	err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			rel, _ := filepath.Rel(top, name) // it is below
			files = append(files, File{Path: filepath.Join("/usr/lib/modules", rel), Source: name})
		}
		return err
	})
	return files, err
}

// early is what the initrd loads, in order.
func (k *Kernel) early() ([]cpioEntry, error) {
	names, err := filepath.Glob(filepath.Join(k.dir, "early", "*.ko"))
	if err != nil {
		return nil, err
	}
	out := []cpioEntry{{name: "modules", mode: 0o040755}}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		out = append(out, cpioEntry{name: "modules/" + filepath.Base(name), mode: 0o100644, content: b})
	}
	return out, nil
}
