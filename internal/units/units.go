// SPDX-License-Identifier: Apache-2.0

// Package units carries out approved requests for systemd units. Its input is
// the list of a stage's accepted requests; its output is a result for each. It
// decides nothing, and it never waits for a job: a unit that is ordered behind
// the stage would wait for us while we wait for it.
package units

import (
	"context"
	"errors"
	"fmt"

	"github.com/coreos/go-systemd/v22/dbus"
)

// Request is what to do with one unit: systemctl(1)'s word and the unit's name.
type Request struct{ Verb, Unit string }

// Result is what became of a request: "queued" or "enabled", or the manager's error.
type Result struct {
	Request
	Result string
	Links  []Link // those that enabling made
	Err    error
}

// Link is a symlink of the service manager's.
type Link struct{ Path, Target string }

// Act asks the service manager for each request in turn, over its private
// socket /run/systemd/private: that is there long before a bus is. One that
// fails does not keep the others from being asked for.
func Act(ctx context.Context, reqs []Request) []Result {
	if len(reqs) == 0 {
		return nil
	}
	out := make([]Result, len(reqs))
	conn, err := dbus.NewSystemdConnectionContext(ctx)
	for i, r := range reqs {
		out[i].Request = r
		if err != nil {
			out[i].Err = fmt.Errorf("connect to the service manager: %w", err)
			continue
		}
		out[i].Err = out[i].act(ctx, conn)
	}
	if err == nil {
		conn.Close()
	}
	return out
}

// act uses the job mode "replace", which is systemctl's own: a start that is
// queued at boot already becomes the restart that was asked for.
func (r *Result) act(ctx context.Context, conn *dbus.Conn) error {
	job := map[string]func(context.Context, string, string, chan<- string) (int, error){
		"start":                 conn.StartUnitContext,
		"restart":               conn.RestartUnitContext,
		"try-restart":           conn.TryRestartUnitContext,
		"reload":                conn.ReloadUnitContext,
		"reload-or-restart":     conn.ReloadOrRestartUnitContext,
		"try-reload-or-restart": conn.ReloadOrTryRestartUnitContext,
	}[r.Verb]
	if job != nil {
		if _, err := job(ctx, r.Unit, "replace", nil); err != nil {
			return fmt.Errorf("%s %s: %w", r.Verb, r.Unit, err)
		}
		r.Result = "queued"
		return nil
	}
	if r.Verb != "enable" {
		return errors.New("unknown request " + r.Verb)
	}
	_, made, err := conn.EnableUnitFilesContext(ctx, []string{r.Unit}, false, false)
	for _, m := range made {
		if m.Type == "symlink" { // and not the removal of one that it replaces
			r.Links = append(r.Links, Link{m.Filename, m.Destination})
		}
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", r.Verb, r.Unit, err)
	}
	r.Result = "enabled"
	return reload(ctx, conn)
}

func reload(ctx context.Context, conn *dbus.Conn) error {
	if err := conn.ReloadContext(ctx); err != nil {
		return fmt.Errorf("reload the service manager: %w", err)
	}
	return nil
}

// Reload lets the service manager read its unit files and links anew.
func Reload(ctx context.Context) error {
	conn, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return fmt.Errorf("connect to the service manager: %w", err)
	}
	defer conn.Close()
	return reload(ctx, conn)
}

// FileState asks the service manager how a unit is enabled: "enabled",
// "disabled", "static" … as in systemctl(1)'s is-enabled.
func FileState(ctx context.Context, unit string) (string, error) {
	conn, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return "", fmt.Errorf("connect to the service manager: %w", err)
	}
	defer conn.Close()
	p, err := conn.GetUnitPropertyContext(ctx, unit, "UnitFileState")
	if err != nil {
		return "", fmt.Errorf("is %s enabled: %w", unit, err)
	}
	state, _ := p.Value.Value().(string)
	return state, nil
}
