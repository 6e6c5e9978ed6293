// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	qemu           = "qemu-system-x86_64"
	waitDelay      = 5 * time.Second
	defaultTimeout = 3 * time.Minute
	defaultWait    = time.Minute
	lastLines      = 25 // of the console, in an error
)

// errPowerCut is the cause with which a context ends a guest at once. With any other one
// QEMU is asked first what the guest's CPUs do.
var errPowerCut = errors.New("killed on purpose")

// Config describes one guest. The zero value of all but Image boots the image as it is,
// without disc and network, and brings back the default report.
type Config struct {
	Image   Image
	Kernel  *Kernel // in place of the image's own, if not nil
	Payload []File

	// CDs are IDE CD drives in the order of /dev/sr*, at most four, each with an ISO
	// file; "" is an empty drive.
	CDs []string
	// Disks are files that the guest sees as read-only virtio block devices.
	Disks []string
	// Root is a copy of the image's root file system that keeps what this guest
	// writes; "" boots a throw-away snapshot of the image's own.
	Root string
	// Network is the guest's network card and what it reaches; nil is no card.
	Network *Network

	// Report is the script that runs when the boot has settled; "" is DefaultReport.
	Report string
	// ReportWait bounds the wait for that, in guest time; 0 is a minute.
	ReportWait time.Duration

	// Devices are further QEMU options, and Machine its machine, "pc" if empty.
	Devices []string
	Machine string
	// OneCPU is for a guest that is booted dozens of times: about one boot in 500
	// stands still with both CPUs of QEMU 7.2's emulation in the kernel. A second CPU
	// could still be plugged in: for a machine that has one and no more, QEMU before 8.1
	// leaves out the guest's memory barriers, and a request to a disk, which another
	// thread of QEMU serves, can be lost (its commit c914d46d0a, "tcg: Do not elide
	// memory barriers for !CF_PARALLEL in system mode").
	OneCPU bool

	KernelArgs []string
	Console    func(Line)           // called with each line as it comes; may be nil
	Monitor    func(Line, *Monitor) // likewise, to change what is attached
	Timeout    time.Duration        // of the whole guest; 0 is three minutes
}

// Result is what a guest left behind.
type Result struct {
	Files      map[string][]byte // the report's blocks by name
	Exits      map[string]int    // exit status of each block's command
	Lines      []Line            // the whole console
	PoweredOff bool              // by the guest itself, not by a reset, a panic or us
	Took       time.Duration     // from QEMU's start to its end
}

// Console returns the text of the whole console.
func (r *Result) Console() string { return join(r.Lines) }

// Find returns the first console line that contains text.
func (r *Result) Find(text string) (Line, bool) {
	for _, line := range r.Lines {
		if strings.Contains(line.Text, text) {
			return line, true
		}
	}
	return Line{}, false
}

// Properties returns what "systemctl show" said of unit, in the default report or
// another block whose name begins with "show": paragraphs, a line for each property.
func (r *Result) Properties(unit string) map[string]string {
	for name, block := range r.Files {
		if !strings.HasPrefix(name, "show") {
			continue
		}
		for paragraph := range strings.SplitSeq(string(block), "\n\n") {
			properties := map[string]string{}
			for line := range strings.Lines(paragraph) {
				if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
					properties[name] = value
				}
			}
			if properties["Id"] == unit {
				return properties
			}
		}
	}
	return nil
}

// Boot runs one guest from start to power-off and returns what it reported. The result
// is never nil: with an error it holds what there was until then. When Boot returns,
// the guest has ended, whatever became of it.
func Boot(ctx context.Context, config Config) (result *Result, err error) {
	result = &Result{Files: map[string][]byte{}, Exits: map[string]int{}}
	if _, err := exec.LookPath(qemu); err != nil {
		return result, fmt.Errorf("find QEMU: %w: %w", ErrUnavailable, err)
	}
	work, err := os.MkdirTemp("", "ctxtest-guest-")
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := config.prepare(work); err != nil {
		return result, fmt.Errorf("boot guest: %w", err)
	}
	if err := config.run(ctx, work, result); err != nil {
		return result, fmt.Errorf("boot guest: %w; last console lines:\n%s", err,
			join(result.Lines[max(0, len(result.Lines)-lastLines):]))
	}
	report, err := os.ReadFile(filepath.Join(work, "report"))
	if err != nil {
		return result, err
	}
	return result, parseReport(report, result.Files, result.Exits)
}

// prepare fills in defaults and writes the initrd.
func (c *Config) prepare(work string) error {
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.ReportWait == 0 {
		c.ReportWait = defaultWait
	}
	files := append(reportFiles(c.Report, c.ReportWait), c.Payload...)
	var early []cpioEntry
	if c.Kernel != nil {
		modules, err := c.Kernel.modules()
		if err != nil {
			return err
		}
		files = append(files, modules...)
		if early, err = c.Kernel.early(); err != nil {
			return err
		}
		c.Image.Kernel = c.Kernel.path()
	}
	archive, err := initrd(c.Image.Busybox, files, early...)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(work, "initrd"), archive, 0o600)
}

// run starts QEMU and waits for its end.
func (c *Config) run(ctx context.Context, work string, result *Result) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout,
		fmt.Errorf("no power-off after %v", c.Timeout))
	defer cancel()
	qmp, err := listenMonitor(filepath.Join(work, "qmp"))
	if err != nil {
		return err
	}
	// The parent-death signal comes when the thread ends that started the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	out := &console{start: time.Now(), follow: c.follow(qmp)}
	var diagnostics bytes.Buffer
	cmd := exec.CommandContext(ctx, qemu, c.args(work)...)
	cmd.Stdout, cmd.Stderr = out, &diagnostics
	if c.Network != nil && c.Network.Tap != nil {
		cmd.ExtraFiles = []*os.File{c.Network.Tap} // its descriptor 3
	}
	where := ""
	cmd.Cancel = func() error {
		if !errors.Is(context.Cause(ctx), errPowerCut) {
			if cpus := qmp.where(); cpus != "" {
				where = "; " + cpus
			}
		}
		return cmd.Process.Kill()
	}
	cmd.WaitDelay = waitDelay
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	reason := qmp.end()
	result.Took = time.Since(out.start)
	result.Lines = out.close()
	result.PoweredOff = err == nil && reason == "guest-shutdown"
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w%s", context.Cause(ctx), where)
	case err != nil:
		return fmt.Errorf("run %s: %w: %s", qemu, err, bytes.TrimSpace(diagnostics.Bytes()))
	case !result.PoweredOff:
		return fmt.Errorf("guest ended without a power-off: %q", reason)
	}
	return nil
}

// follow is what is called with each line of the console.
func (c *Config) follow(qmp *Monitor) func(Line) {
	if c.Monitor == nil {
		return c.Console
	}
	return func(line Line) {
		if c.Console != nil {
			c.Console(line)
		}
		c.Monitor(line, qmp)
	}
}

// args is QEMU's command line. The machine is the quickest dependable one in software
// emulation: -M pc, two CPUs, an uncompressed kernel, the root on NVMe, whose driver the
// kernel has built in. Without cmpxchg16b: in QEMU 7.2's emulation it ends Linux 6.12
// with a double fault.
func (c *Config) args(work string) []string {
	root := "snapshot=on,file=" + escape(c.Image.Root)
	if c.Root != "" {
		root = "file=" + escape(c.Root)
	}
	cpus := "2"
	if c.OneCPU {
		cpus = "1,maxcpus=2"
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-accel", "tcg,thread=multi", "-M", cmp.Or(c.Machine, "pc"), "-cpu", "qemu64,-cx16", "-smp", cpus, "-m", "512",
		"-kernel", c.Image.Kernel, "-initrd", filepath.Join(work, "initrd"),
		"-append", strings.Join(c.kernelArgs(), " "),
		"-serial", "stdio", "-serial", "file:" + filepath.Join(work, "report"),
		"-chardev", "socket,id=qmp,path=" + escape(filepath.Join(work, "qmp")),
		"-mon", "chardev=qmp,mode=control",
		"-drive", "if=none,id=root,format=raw," + root,
		"-device", "nvme,drive=root,serial=root",
	}
	for i, iso := range c.CDs {
		device := fmt.Sprintf("ide-cd,id=drive%d,bus=ide.%d,unit=%d", i, i/2, i%2)
		if iso != "" {
			args = append(args, "-drive", fmt.Sprintf(
				"if=none,id=cd%d,media=cdrom,format=raw,readonly=on,file=%s", i, escape(iso)))
			device += fmt.Sprintf(",drive=cd%d", i)
		}
		args = append(args, "-device", device)
	}
	for i, disk := range c.Disks {
		args = append(args, "-drive", fmt.Sprintf(
			"if=none,id=disk%d,format=raw,readonly=on,file=%s", i, escape(disk)),
			"-device", fmt.Sprintf("virtio-blk-pci,drive=disk%d", i))
	}
	args = append(args, c.Devices...)
	if c.Network != nil {
		args = append(args, "-netdev", c.Network.option(c.Image.Busybox),
			"-device", "virtio-net-pci,netdev=net,mac=52:54:00:12:34:56,romfile=")
	}
	return args
}

// kernelArgs is the kernel command line.
func (c *Config) kernelArgs() []string {
	args := []string{
		"console=ttyS0", "loglevel=4", "rw", "panic=-1", "mitigations=off",
		"systemd.show_status=1", "TERM=dumb",
	}
	if c.Network == nil {
		// munge and slurmd want network-online.target, which would wait in vain.
		args = append(args, "systemd.mask=systemd-networkd-wait-online.service")
	}
	return append(args, c.KernelArgs...)
}

// escape doubles the commas of a path, as QEMU's option syntax asks for.
func escape(path string) string { return strings.ReplaceAll(path, ",", ",,") }

func join(lines []Line) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(line.Text + "\n")
	}
	return b.String()
}
