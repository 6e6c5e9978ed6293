// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/sandbox"
)

// validate asks the daemons of the classes that a change belongs to what they
// make of all their files together, with the change: the policy's validators.
// The grammars look at one file at a time and have accepted each. A validator
// runs in a sandbox of its own, whose writes are thrown away; one that the image
// does not have has nothing to say.
func (a *attempt) validate(ctx context.Context, approved policy.Approved) ([]policy.Refusal, error) {
	m := a.m
	validators := m.Policy.Validators(approved)
	if len(validators) == 0 {
		return nil, nil
	}
	with, err := remember(slices.Clone(m.shown), approved.Changes())
	if err != nil {
		return nil, err
	}
	var refusals []policy.Refusal
	for _, argv := range validators {
		ok, says, err := a.ask(ctx, argv, with)
		if err != nil {
			return nil, fmt.Errorf("ask %s: %w", argv[0], err)
		}
		if ok {
			continue
		}
		before, _, err := a.ask(ctx, argv, m.shown)
		if err != nil {
			return nil, fmt.Errorf("ask %s: %w", argv[0], err)
		}
		if !before { // no fault of this context
			a.r.Warnings = append(a.r.Warnings, fmt.Sprintf("%s does not accept the image's own configuration, with or without the change: %s", argv[0], says))
			continue
		}
		refusals = append(refusals, policy.Refusal{Path: argv[0], Rule: "validator",
			Reason: fmt.Sprintf("%q accepts its configuration without this change and not with it: %s", strings.Join(argv, " "), says)})
	}
	return refusals, nil
}

// ask runs one validator on the image with these entries over it; ok is also that
// the root has no such program. says is the end of what it printed.
func (a *attempt) ask(ctx context.Context, argv []string, shown []sandbox.Entry) (ok bool, says string, err error) {
	m := a.m
	ctx, cancel := context.WithTimeout(ctx, time.Duration(m.Policy.Limits.Deadline))
	defer cancel()
	res, err := sandbox.Run(ctx, sandbox.Spec{
		Root: m.RootPath, Mirrors: m.mirrored(), Work: m.Work, Context: a.c.Dir, Command: argv, Env: []string{"PATH=" + searchPath, "HOME=/", "LANG=C"},
		Show:  slices.Concat(secrets, without(shown, a.seen.Shown, m.RootPath), shown),
		Bytes: int64(m.Policy.Limits.Bytes), Inodes: m.Policy.Limits.Inodes,
		Processes: m.Policy.Limits.Processes, Memory: int64(m.Policy.Limits.Memory),
	})
	if errors.Is(err, sandbox.ErrNotFound) {
		return true, "", nil
	}
	if err != nil {
		return false, "", err
	}
	says = lastLines(strings.ToValidUTF8(res.Output, "\uFFFD"), 3)
	if res.TimedOut {
		says = "it did not end before the policy's limits.deadline"
	}
	return res.ExitStatus == 0 && res.Signal == "" && !res.TimedOut, says, res.Close()
}

// lastLines is the end of what a program printed, in one line.
func lastLines(text string, n int) string {
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return strings.TrimSpace(l) == "" })
	return strings.Join(lines[max(0, len(lines)-n):], "; ")
}
