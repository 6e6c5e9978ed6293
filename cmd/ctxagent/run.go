// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/internal/cdrom"
	"github.com/ctxagent/ctxagent/internal/journal"
	"github.com/ctxagent/ctxagent/internal/netwait"
	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/stages"
)

func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// list is a flag that may be given more than once.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(v string) error { *l = append(*l, v); return nil }

// agent is one `ctxagent run` under way.
type agent struct {
	root    *os.Root
	path    string // of root
	policy  *policy.Policy
	journal *journal.Journal
	media   []string
	log     *slog.Logger
	console string
}

// runStage is `ctxagent run prolog|epilog`.
func runStage(ctx context.Context, args []string, stdout io.Writer, log *slog.Logger) (err error) {
	fs := flag.NewFlagSet("run", flag.ContinueOnError)
	rootDir := fs.String("root", "/", "")
	a := &agent{log: log}
	fs.Var((*list)(&a.media), "media", "")
	fs.StringVar(&a.console, "console", "", "")
	explained := fs.Bool("explain", false, "")
	if err := parse(fs, args, 1, 1); err != nil {
		return err
	}
	stage := fs.Arg(0)
	if stage != stages.Prolog && stage != stages.Epilog {
		return fmt.Errorf("%w: run: there is no stage %q: it is prolog or epilog", errUsage, stage)
	}
	if *explained && stage != stages.Epilog {
		return fmt.Errorf("%w: run %s --explain: it is the epilog that waits for the network", errUsage, stage)
	}
	if os.Geteuid() != 0 && !*explained {
		return &exitError{report.Unsupported.ExitCode(), errors.New("run it as root")}
	}
	if a.root, a.path, err = openRoot(*rootDir); err != nil {
		return &exitError{2, err}
	}
	defer func() { err = errors.Join(err, a.root.Close()) }()
	if *explained {
		return explain(a.root, stdout)
	}
	if err := a.root.MkdirAll(runDir, 0o755); err != nil {
		return err
	}
	lock, err := lockStage(a.root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	return a.run(ctx, stage)
}

// run runs the stage and leaves its receipt, whatever happens.
func (a *agent) run(ctx context.Context, stage string) error {
	began := time.Now()
	a.log.Info("stage begins", "stage", stage)
	p, _, policyErr := loadPolicy(a.root)
	a.policy = p
	r := newReceipt(stage, p)
	// First of all, and whatever the policy says: nothing may start from a root
	// that is neither before nor after a change.
	err := a.recover(r)
	switch {
	case err != nil:
		r.End(report.Failed, err)
	case policyErr != nil:
		r.End(report.Failed, policyErr)
		r.ExitCode = 2
	case stage == stages.Prolog:
		a.prolog(ctx, r)
	default:
		a.epilog(ctx, r)
	}
	if a.journal != nil {
		if err := a.journal.Close(); err != nil {
			r.Warnings = append(r.Warnings, err.Error())
		}
	}
	r.Durations["total"] = time.Since(began).Milliseconds()
	r.Clock.EndedMonotonic = stages.Monotonic()
	a.tell(r)
	if err := r.Write(a.root, runDir); err != nil {
		return fmt.Errorf("write receipt: %w", err)
	}
	if err := errors.Join(a.root.MkdirAll(keepDir, 0o700), r.Write(a.root, keepDir)); err != nil {
		a.log.Warn("the receipt is not kept over boots", "stage", stage, "err", err)
	}
	if r.ExitCode != 0 {
		return &exitError{status: r.ExitCode}
	}
	return nil
}

// prolog finds the disc, reads it, and runs the first stage.
func (a *agent) prolog(ctx context.Context, r *report.Receipt) {
	// What earlier stages of this boot left must not lead an epilog, should this
	// one be killed.
	if err := errors.Join(report.Remove(a.root, runDir, stages.Prolog, stages.Epilog), freshDirs(a.root, discDir, filesDir, workDir)); err != nil {
		r.End(report.Failed, err)
		return
	}
	m := a.machine()
	defer m.Close()
	// A disc that is sure to come is waited for with the confinement set up.
	prepare := func() {
		a.warm()
		if err := m.Prepare(ctx, filepath.Join(a.path, filesDir)); err != nil {
			a.log.Warn("the confinement is set up once the disc is there", "stage", r.Stage, "err", err)
		}
	}
	d, ok := a.find(ctx, r, time.Duration(a.policy.Media.Wait), prepare)
	switch {
	case ok:
		a.stage(ctx, m, d, r)
	case r.Outcome == report.NoMedia:
		m.Close() // before the root is changed beneath it
		a.absent(r)
	}
}

// warm has the kernel read this binary as a whole, in the background: what reads
// a disc has not been needed yet, and would be fetched page by page once it is.
func (a *agent) warm() {
	f, err := os.Open("/proc/self/exe")
	if err == nil {
		err = errors.Join(unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_WILLNEED), f.Close())
	}
	if err != nil {
		a.log.Debug("the binary is read as it is needed", "err", err)
	}
}

// find looks for the disc and puts its content into filesDir. If there is no
// usable one the receipt says how it ended, and ok is false. Waiting is called
// when a disc that was announced is not there yet; without it none is waited for.
func (a *agent) find(ctx context.Context, r *report.Receipt, wait time.Duration, waiting func()) (_ *cdrom.Disc, ok bool) {
	began := time.Now()
	defer func() { r.Durations["media"] = time.Since(began).Milliseconds() }()
	files, err := a.root.OpenRoot(filesDir)
	if err != nil {
		r.End(report.Failed, err)
		return nil, false
	}
	defer files.Close()
	finder := newFinder(a.policy, a.media, wait)
	if finder.Waiting = waiting; waiting == nil && finder.Expect == cdrom.Awaited {
		finder.Expect = cdrom.Unknown
	}
	verifySigned(&finder, a.policy, a.root)
	d, err := finder.Find(ctx, files)
	if err != nil {
		endMedia(r, err)
		if err := freshDirs(a.root, filesDir); err != nil { // part of a disc that was too large, say
			r.Warnings = append(r.Warnings, err.Error())
		}
		return nil, false
	}
	if d.Unsigned != nil {
		r.Warnings = append(r.Warnings, "the disc is used though its signature is not accepted: "+d.Unsigned.Error())
	}
	if !d.Event.IsZero() {
		r.Clock.DiscMonotonic = stages.Monotonic() - time.Since(d.Event).Microseconds()
	}
	if err := keepDisc(a.root, d); err != nil {
		r.End(report.Failed, err)
		return nil, false
	}
	a.log.Info("context disc found", "stage", r.Stage, "device", d.Device, "digest", d.Digest)
	return d, true
}

func newFinder(p *policy.Policy, named []string, wait time.Duration) cdrom.Finder {
	expect := cdrom.Unknown
	if wait > 0 && len(named) == 0 {
		expect = cdrom.Hint("/sys")
	}
	return cdrom.Finder{
		Expect: expect,
		Named:  named, Label: p.Media.Label, WritableDisks: p.Media.WritableDisks, MaxBytes: int64(p.Media.MaxBytes), MaxFiles: p.Media.MaxFiles,
		Wait: wait, Sys: "/sys", Dev: "/dev", Run: "/run", Events: cdrom.Events("/run"),
	}
}

// endMedia ends a stage that has no usable disc.
func endMedia(r *report.Receipt, err error) {
	var (
		ambiguous *cdrom.AmbiguousError
		unusable  *cdrom.UnusableError
	)
	refusal, refused := unsigned(err)
	switch {
	case refused:
		r.Refusals = append(r.Refusals, refusal)
		r.End(report.Refused, err)
	case errors.Is(err, cdrom.ErrNoMedia):
		r.End(report.NoMedia, err)
	case errors.As(err, &ambiguous):
		r.End(report.Ambiguous, err)
	case errors.As(err, &unusable):
		r.End(report.Unusable, err)
	default:
		r.End(report.Failed, err)
	}
}

// epilog runs the second stage on the disc that the prolog read. The network is
// waited for where the disc has something to do with it.
func (a *agent) epilog(ctx context.Context, r *report.Receipt) {
	before, err := report.Read(a.root, runDir, stages.Prolog)
	if err := freshDirs(a.root, workDir); err != nil {
		r.End(report.Failed, err)
		return
	}
	m := a.machine()
	m.Await, m.Local = a.await, netwait.Local
	switch {
	case len(a.media) > 0: // somebody at a desk names the disc anew
		if err := freshDirs(a.root, discDir, filesDir); err != nil {
			r.End(report.Failed, err)
			return
		}
		d, ok := a.find(ctx, r, 0, nil)
		if ok && before != nil && before.ExitCode != 0 && before.Disc != nil && before.Disc.Digest == d.Digest {
			notAfter(r, before)
		} else if ok {
			a.stage(ctx, m, d, r)
		}
	case errors.Is(err, os.ErrNotExist):
		r.End(report.Failed, fmt.Errorf("no receipt of the prolog in /%s: `ctxagent run prolog` comes first", runDir))
	case err != nil:
		r.End(report.Failed, err)
	case before.ExitCode != 0:
		notAfter(r, before)
	case before.Outcome == report.NoMedia:
		a.late(ctx, r)
	default:
		d, err := keptDisc(a.root)
		if err == nil && d == nil {
			err = fmt.Errorf("the prolog's copy of the disc is gone from /%s", discDir)
		}
		if err != nil {
			r.End(report.Failed, err)
			return
		}
		a.stage(ctx, m, d, r)
	}
}

// notAfter ends an epilog whose prolog did not succeed.
func notAfter(r, before *report.Receipt) {
	r.Disc = before.Disc
	r.End(report.Failed, fmt.Errorf("not run: the prolog ended as %q (`ctxagent status` tells why)", before.Outcome))
}

// lateWait bounds the epilog's wait for devices that are still being probed. The
// boot does not wait for the epilog, and policies allow the prolog as much.
const lateWait = 2 * time.Minute

// late looks once more where the prolog found no disc: one that is there now
// is reported and not used. On a slow machine the prolog's wait may have ended
// before its drive was there: that is waited for, and nothing else.
func (a *agent) late(ctx context.Context, r *report.Receipt) {
	if err := freshDirs(a.root, discDir, filesDir); err != nil {
		r.End(report.Failed, err)
		return
	}
	d, found := a.find(ctx, r, lateWait, nil)
	if err := freshDirs(a.root, discDir, filesDir); err != nil {
		r.End(report.Failed, err)
		return
	}
	if found {
		disc := discReport(d)
		r.Disc = &disc
		r.End(report.Late, fmt.Errorf("disc %s came after the prolog: attach it before the machine starts, or have the policy's media.wait be longer", d.Device))
	}
}

// machine is what a stage works on. workDir is empty then.
func (a *agent) machine() *stages.Machine {
	return &stages.Machine{
		Root: a.root, RootPath: a.path, Work: filepath.Join(a.path, workDir), Policy: a.policy, Activate: a.activate,
		Journal: a.journal, ID: machineID(a.root), FileState: fileState(a.path), UnitLinks: unitLinks(a.root, a.path),
		Line: func(stage, line string) { a.log.Info("script: "+line, "stage", stage) },
	}
}

// stage runs the stage's script.
func (a *agent) stage(ctx context.Context, m *stages.Machine, d *cdrom.Disc, r *report.Receipt) {
	disc := discReport(d)
	r.Disc = &disc
	m.Run(ctx, stages.Context{Disc: disc, Dir: filepath.Join(a.path, filesDir), Script: d.Script}, r)
}

// tell writes the receipt's line to the log, and to the console if asked.
func (a *agent) tell(r *report.Receipt) {
	line := r.Line()
	if r.ExitCode != 0 {
		a.log.Error(line, "stage", r.Stage)
		for _, x := range r.Refusals {
			a.log.Error(x.String(), "stage", r.Stage)
		}
	} else {
		a.log.Info(line, "stage", r.Stage)
	}
	if a.console == "" {
		return
	}
	f, err := os.OpenFile(a.console, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = fmt.Fprintln(f, line)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		a.log.Warn("the console has no line of this stage", "err", err)
	}
}
