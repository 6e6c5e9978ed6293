// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"archive/tar"
	"bytes"
	_ "embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

//go:embed inside/init
var initScript []byte

//go:embed inside/run
var reportRunner []byte

//go:embed inside/ctxtest-report.service
var reportUnit string

// DefaultReport is the report script of a [Config] that names none. A test may run it
// and add to it: Report: guest.DefaultReport + "file hosts cat /etc/hosts\n".
//
//go:embed inside/report.sh
var DefaultReport string

// File is one entry of a payload. It is laid over the root file system before systemd
// starts, replaces what is there, and belongs to root. Parents are made as needed, and
// keep their mode if they exist. The first of Target, Source and Content that is set
// says what it is.
type File struct {
	Path    string      // absolute, in the guest
	Mode    fs.FileMode // permission bits; 0 is 0644; with fs.ModeDir an empty directory
	Target  string      // a symbolic link to this
	Source  string      // a copy of this file of the host
	Content string
}

// Unit returns the payload of a systemd unit in /etc/systemd/system that is enabled for
// each of wantedBy.
func Unit(name, content string, wantedBy ...string) []File {
	const dir = "/etc/systemd/system"
	files := []File{{Path: path.Join(dir, name), Content: content}}
	for _, target := range wantedBy {
		files = append(files, File{
			Path:   path.Join(dir, target+".wants", name),
			Target: path.Join(dir, name),
		})
	}
	return files
}

// reportFiles is the payload that the package adds to each guest.
func reportFiles(script string, wait time.Duration) []File {
	if script == "" {
		script = DefaultReport
	}
	settings := fmt.Sprintf("WAIT_SECONDS=%d\n", int(wait.Seconds()))
	files := []File{
		{Path: "/usr/lib/ctxtest/run", Mode: 0o755, Content: string(reportRunner)},
		{Path: "/usr/lib/ctxtest/report.sh", Content: script},
		{Path: "/usr/lib/ctxtest/settings", Content: settings},
	}
	return append(files, Unit("ctxtest-report.service", reportUnit, "multi-user.target")...)
}

// payloadTar writes the files as a tar archive. An archive, unlike a tree in the initrd,
// leaves the mode of directories that exist and goes through links such as /lib.
func payloadTar(files []File) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		if !path.IsAbs(f.Path) {
			return nil, fmt.Errorf("pack payload: path %q is not absolute", f.Path)
		}
		header, content, err := f.entry()
		if err != nil {
			return nil, fmt.Errorf("pack payload: %w", err)
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("pack payload %q: %w", f.Path, err)
		}
		if _, err := w.Write(content); err != nil {
			return nil, fmt.Errorf("pack payload %q: %w", f.Path, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack payload: %w", err)
	}
	return buf.Bytes(), nil
}

// entry returns the archive's header and content of f.
func (f File) entry() (*tar.Header, []byte, error) {
	mode := f.Mode.Perm()
	if mode == 0 {
		mode = 0o644
	}
	header := &tar.Header{
		Name:    strings.TrimPrefix(path.Clean(f.Path), "/"),
		Mode:    int64(mode),
		ModTime: time.Now().Truncate(time.Second),
		Format:  tar.FormatGNU,
	}
	switch {
	case f.Target != "":
		header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, f.Target, 0o777
		return header, nil, nil
	case f.Mode.IsDir():
		header.Typeflag, header.Name = tar.TypeDir, header.Name+"/"
		return header, nil, nil
	}
	content := []byte(f.Content)
	if f.Source != "" {
		var err error
		if content, err = os.ReadFile(f.Source); err != nil {
			return nil, nil, err
		}
	}
	header.Typeflag, header.Size = tar.TypeReg, int64(len(content))
	return header, content, nil
}

// initrd returns a cpio archive with busybox, the init script, the payload and more.
func initrd(busybox string, files []File, more ...cpioEntry) ([]byte, error) {
	shell, err := os.ReadFile(busybox)
	if err != nil {
		return nil, err
	}
	payload, err := payloadTar(files)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	entries := append([]cpioEntry{
		{name: "dev", mode: 0o040755},
		{name: "dev/console", mode: 0o020600, major: 5, minor: 1},
		{name: "sysroot", mode: 0o040755},
		{name: "busybox", mode: 0o100755, content: shell},
		{name: "init", mode: 0o100755, content: initScript},
		{name: "payload.tar", mode: 0o100600, content: payload},
	}, more...)
	for i, e := range append(entries, cpioEntry{name: "TRAILER!!!"}) {
		e.write(&buf, i+1)
	}
	return buf.Bytes(), nil
}

// cpioEntry is one file of an archive in the "newc" format; see the kernel's
// Documentation/driver-api/early-userspace/buffer-format.rst.
type cpioEntry struct {
	name         string
	mode         uint32
	major, minor uint32
	content      []byte
}

func (e cpioEntry) write(buf *bytes.Buffer, inode int) {
	pad := func() {
		for buf.Len()%4 != 0 {
			buf.WriteByte(0)
		}
	}
	buf.WriteString("070701")
	for _, field := range []uint32{
		uint32(inode), e.mode, 0, 0, 1, 0, uint32(len(e.content)),
		0, 0, e.major, e.minor, uint32(len(e.name) + 1), 0,
	} {
		fmt.Fprintf(buf, "%08x", field)
	}
	buf.WriteString(e.name + "\x00")
	pad()
	buf.Write(e.content)
	pad()
}
