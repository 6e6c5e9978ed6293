// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/dist"
	"github.com/ctxagent/ctxagent/internal/isowrite"
	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/stages"
)

// packTime is the time of every entry of a disc when SOURCE_DATE_EPOCH is not
// set: a fixed one, for a copy or a checkout of the same tree has other times.
var packTime = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// pack is `ctxagent pack`: write a directory as a context disc. What a guest
// would refuse is refused here, and the image is read back before it is there.
func pack(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("pack", flag.ContinueOnError)
	out := flags.String("o", "", "")
	label := flags.String("label", "CONTEXT", "")
	policyPath := flags.String("policy", "", "")
	key := flags.String("sign", "", "")
	if err := parse(flags, args, 1, 1); err != nil {
		return err
	}
	if *out == "" {
		return fmt.Errorf("%w: pack: where to? Give -o FILE.iso", errUsage)
	}
	p, err := packPolicy(*policyPath)
	if err != nil {
		return &exitError{2, err}
	}
	when, err := sourceDate(os.Getenv("SOURCE_DATE_EPOCH"))
	if err != nil {
		return &exitError{2, err}
	}
	o := isowrite.Options{Label: *label, Time: when, Progress: progress(stderr)}
	if err := o.Validate(); err != nil {
		return &exitError{2, err}
	}
	if err := outside(flags.Arg(0), *out); err != nil {
		return &exitError{2, err}
	}
	dir, err := os.OpenRoot(flags.Arg(0))
	if err != nil {
		return &exitError{2, err}
	}
	defer dir.Close()
	t, err := surveyTree(flags.Arg(0), dir.FS(), p, *label)
	if err != nil {
		return fmt.Errorf("%s: %w", flags.Arg(0), err)
	}
	for _, w := range t.warnings {
		if _, err := fmt.Fprintln(stdout, "note:", w); err != nil {
			return err
		}
	}
	tree, signed := dir.FS(), ""
	if *key != "" {
		var signer string
		if tree, signer, err = signTree(tree, *key); err != nil {
			return err
		}
		t.entries, signed = t.entries+2, ", signed by "+signer
	}
	size, err := writeImage(ctx, tree, *out, o, t.private)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s: %d entries, %d bytes, label %q%s; read back and compared\n", *out, t.entries, size, *label, signed)
	if err == nil && t.private {
		_, err = fmt.Fprintln(stdout, "it holds files that not everybody may read, and so only its owner may read it")
	}
	return err
}

// packPolicy is the policy whose limits the disc has to keep: of a file, or the
// default one.
func packPolicy(file string) (*policy.Policy, error) {
	if file == "" {
		return policy.Parse("compiled into the agent", dist.Policy)
	}
	return policyFor(nil, file)
}

// sourceDate reads SOURCE_DATE_EPOCH (reproducible-builds.org).
func sourceDate(value string) (time.Time, error) {
	if value == "" {
		return packTime, nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q; it has to be a number of seconds", value)
	}
	return time.Unix(n, 0), nil
}

// outside refuses an output file that would become part of its own input.
func outside(dir, out string) error {
	top, err := filepath.Abs(dir)
	if err == nil {
		top, err = filepath.EvalSymlinks(top)
	}
	if err != nil {
		return err
	}
	at, err := filepath.Abs(filepath.Dir(out))
	if err == nil {
		at, err = filepath.EvalSymlinks(at)
	}
	if err != nil {
		return err
	}
	if at == top || strings.HasPrefix(at, strings.TrimSuffix(top, "/")+"/") {
		return fmt.Errorf("%s lies in %s, which is packed: write it somewhere else", out, dir)
	}
	return nil
}

// surveyed is what pack knows of a tree before it writes.
type surveyed struct {
	entries  int
	bytes    int64
	private  bool // something may not be read by everybody
	warnings []string
}

// scriptNames are the stage scripts (docs/context-disc.md).
var scriptNames = []string{"prolog.sh", "epilog.sh", "init.sh"}

// surveyTree refuses what a guest would: too much, no script or two of one name,
// a script that is none.
func surveyTree(dir string, tree fs.FS, p *policy.Policy, label string) (surveyed, error) {
	var t surveyed
	unusable := func(format string, a ...any) error {
		return &exitError{report.Unusable.ExitCode(), fmt.Errorf(format, a...)}
	}
	if p.Media.Label != "" && p.Media.Label != label {
		return t, unusable("the label is %q and the policy demands %q: give --label", label, p.Media.Label)
	}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		t.entries++
		t.private = t.private || info.Mode()&fs.ModeSymlink == 0 && info.Mode()&0o004 == 0
		if info.Mode().IsRegular() {
			t.bytes += info.Size()
		}
		switch {
		case t.entries > p.Media.MaxFiles:
			return unusable("more than %d entries, the policy's media.max_files: pack them into an archive", p.Media.MaxFiles)
		case t.bytes > int64(p.Media.MaxBytes):
			return unusable("more than %d bytes, the policy's media.max_bytes: a guest would not read it", int64(p.Media.MaxBytes))
		}
		return nil
	})
	if err != nil {
		return t, err
	}
	t.warnings, err = surveyScripts(dir, tree)
	return t, err
}

func surveyScripts(dir string, tree fs.FS) (warnings []string, err error) {
	entries, err := fs.ReadDir(tree, ".")
	if err != nil {
		return nil, err
	}
	unusable := report.Unusable.ExitCode()
	found := 0
	for _, want := range append(slices.Clone(scriptNames), "context.sh") {
		var same []string
		for _, e := range entries {
			if len(e.Name()) != len(want) || !strings.EqualFold(e.Name(), want) {
				continue
			}
			same = append(same, strconv.Quote(e.Name()))
			if !e.Type().IsRegular() {
				return nil, &exitError{unusable, fmt.Errorf("%q is not a file: put the script itself there", e.Name())}
			}
			if want == "context.sh" {
				continue
			}
			text, err := fs.ReadFile(tree, e.Name())
			if err != nil {
				return nil, err
			}
			notes, err := stages.Examine(dir, e.Name(), text)
			if err != nil {
				return nil, err
			}
			warnings = append(warnings, notes...)
			found++
		}
		if len(same) > 1 {
			return nil, &exitError{unusable, fmt.Errorf("%s are all %s: keep one", strings.Join(same, " and "), want)}
		}
	}
	if found == 0 {
		return nil, &exitError{unusable, errors.New("neither prolog.sh nor epilog.sh is in this directory: a guest would have nothing to run")}
	}
	return warnings, nil
}

// writeImage writes beside the output file, reads that back, and gives it its
// name last: there is never half a disc under it.
func writeImage(ctx context.Context, tree fs.FS, out string, o isowrite.Options, private bool) (size int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(out), "."+filepath.Base(out)+".*")
	if err != nil {
		return 0, err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	err = isowrite.Write(ctx, f, tree, o)
	if _, ok := errors.AsType[*isowrite.EntryError](err); ok {
		return 0, &exitError{report.Unusable.ExitCode(), err}
	}
	if err != nil {
		return 0, err
	}
	if size, err = f.Seek(0, io.SeekCurrent); err != nil {
		return 0, err
	}
	if err := compareImage(ctx, f, size, tree, o.Label); err != nil {
		return 0, fmt.Errorf("the image does not read back as the tree: %w", err)
	}
	if !private {
		umask := unix.Umask(0)
		unix.Umask(umask)
		if err := f.Chmod(0o666 &^ fs.FileMode(umask)); err != nil {
			return 0, err
		}
	}
	return size, os.Rename(f.Name(), out)
}

// progress shows a line that renews itself, on a terminal and for a disc that
// takes a while.
func progress(w io.Writer) func(done, total int64) {
	const worth = 256 << 20
	f, ok := w.(*os.File)
	if !ok || !isTerminal(f) {
		return nil
	}
	last := time.Time{}
	return func(done, total int64) {
		end := total-done < 2048
		if total < worth || !end && time.Since(last) < 100*time.Millisecond {
			return
		}
		last = time.Now()
		const width = 40
		n := int(done * width / total)
		fmt.Fprintf(f, "\r[%s%s] %d of %d MiB", strings.Repeat("#", n), strings.Repeat(".", width-n), done>>20, total>>20)
		if end {
			fmt.Fprint(f, "\r\x1b[K")
		}
	}
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
