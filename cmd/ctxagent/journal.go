// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/ctxagent/ctxagent/internal/journal"
	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/stages"
	"github.com/ctxagent/ctxagent/internal/units"
)

// recover opens the journal, which finishes what an earlier run left, and makes
// the requests for units that it did not come to.
func (a *agent) recover(r *report.Receipt) (err error) {
	if a.journal, err = journal.Open(a.root, nil); err != nil {
		return err
	}
	if said := a.journal.Recovered; said != "" {
		a.log.Warn("recovered: "+said, "stage", r.Stage)
		r.Warnings = append(r.Warnings, "recovered: "+said)
	}
	for _, p := range a.journal.Left {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%q was changed by someone else before the recovery, and is left as it is", p))
	}
	rec := a.journal.Record()
	if len(rec.Pending) == 0 {
		return nil
	}
	r.Warnings = append(r.Warnings, "the last run did not come to ask for its units: they are asked for now")
	done := a.activate(requests(rec.Pending))
	r.Units = append(r.Units, done...)
	return stages.Settle(a.journal, done)
}

func requests(reqs []journal.Request) []policy.UnitRequest {
	out := make([]policy.UnitRequest, len(reqs))
	for i, q := range reqs {
		out[i] = policy.UnitRequest(q)
	}
	return out
}

// absent says what becomes of a former disc's context on a boot without one.
func (a *agent) absent(r *report.Receipt) {
	rec := a.journal.Record()
	said := fmt.Sprintf("what the disc with digest %.12s did on an earlier boot is put back (the policy's media.absent)", rec.Context.Disc)
	switch {
	case rec.Context == (journal.Context{}) && len(rec.Enabled) == 0:
		return
	case rec.Context == (journal.Context{}):
		said = "units that a former disc enabled could not be disabled, which is tried again"
	case a.policy.Media.Absent == policy.Keep:
		r.Warnings = append(r.Warnings, fmt.Sprintf("what the disc with digest %.12s did on an earlier boot stays (the policy's media.absent): `ctxagent revert` puts the image's own back", rec.Context.Disc))
		return
	}
	plan := a.journal.Plan(journal.Goal{})
	if err := a.journal.Commit(plan); err != nil {
		r.End(report.Failed, fmt.Errorf("put back what the last disc changed: %w", err))
		return
	}
	r.Warnings = append(r.Warnings, said)
	r.Changes = stages.Changes(plan, policy.Approved{})
	for _, p := range plan.Left {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%q was changed by someone else since, and is left as it is", p))
	}
	done := a.activate(requests(plan.Units()))
	r.Units = append(r.Units, done...)
	if err := stages.Settle(a.journal, done); err != nil {
		r.Warnings = append(r.Warnings, err.Error())
	}
}

// machineID tells this machine from a clone of its disk: the hypervisor gives
// each its own product UUID (SMBIOS, System Information). Not every platform has
// one.
func machineID(root *os.Root) string {
	b, err := root.ReadFile("sys/class/dmi/id/product_uuid")
	if err != nil {
		return ""
	}
	return strings.ToLower(strings.TrimSpace(string(b)))
}

// fileState asks this machine's service manager; another root has none.
func fileState(root string) func(string) (string, error) {
	if root != "/" {
		return nil
	}
	return func(unit string) (string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), unitDeadline)
		defer cancel()
		return units.FileState(ctx, unit)
	}
}
