// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"bytes"
	"context"
	"time"

	"github.com/ctxagent/ctxagent/internal/journal"
	"github.com/ctxagent/ctxagent/internal/sandbox"
)

// mountDir is where the boot scripts of 2010 mounted the disc (HEPiX book, "CERN
// current site contextualization"): scripts from then name it.
const mountDir = "/mnt"

// alsoAt is where a script finds the disc, too: nowhere if the policy lets
// contexts write there.
func (m *Machine) alsoAt() string {
	if e := m.Policy.Explain(mountDir); e.Rule != nil || e.DirectoryFor != "" {
		return ""
	}
	return mountDir
}

// mounted tells whether a script has paths below mountDir.
func (s *script) mounted() bool { return bytes.Contains(s.text, []byte(mountDir+"/")) }

// early is a confinement that is set up while the disc is waited for.
type early struct {
	began, since time.Time
	cancel       context.CancelCauseFunc
	release      chan sandbox.Release
	ended        chan struct{}
	res          *sandbox.Result
	err          error
}

// Prepare begins to set up the confinement of the first stage, whose disc is not
// there yet; its files will be in dir. Nothing of a disc has a say in it: the
// first stage sees the image without any context, and its script comes with the
// release. Close ends what Run did not use.
func (m *Machine) Prepare(ctx context.Context, dir string) error {
	view, err := m.Journal.View(journal.Context{}, rank(Prolog))
	if err != nil {
		return err
	}
	e := &early{began: time.Now(), release: make(chan sandbox.Release, 1), ended: make(chan struct{})}
	if e.since, err = m.stamp(); err != nil {
		return err
	}
	ctx, e.cancel = context.WithCancelCause(ctx)
	spec := m.spec(Prolog, dir, view)
	spec.Hold = func(ctx context.Context) (sandbox.Release, error) {
		select {
		case r := <-e.release:
			return r, nil
		case <-ctx.Done():
			return sandbox.Release{}, context.Cause(ctx)
		}
	}
	go func() {
		defer close(e.ended)
		e.res, e.err = sandbox.Run(ctx, spec)
	}()
	m.early = e
	return nil
}

// finish releases the script and waits for its end.
func (e *early) finish(r sandbox.Release) (*sandbox.Result, error) {
	e.release <- r
	<-e.ended
	res := e.res
	e.res = nil // the caller's to close
	return res, e.err
}

// Close ends what Prepare began. It returns when no process of it is left.
func (m *Machine) Close() {
	e := m.early
	if e == nil {
		return
	}
	m.early = nil
	e.cancel(context.Canceled)
	<-e.ended
	if e.res != nil {
		_ = e.res.Close() // nothing was run in it
	}
}

// since is from when on a change of the root is not the image's: before the
// confinement was begun.
func (m *Machine) since() (time.Time, error) {
	if m.early != nil {
		return m.early.since, nil
	}
	return m.stamp()
}
