// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// mapIDs makes this user root in the user namespace of a process, and gives the
// namespace the user's subordinate ids (subuid(5)) from 1 on, if there are any and
// shadow's newuidmap(1) is there to hand them out. It tells how many ids there are.
func mapIDs(ctx context.Context, pid int) (uint32, error) {
	names := []string{strconv.Itoa(os.Getuid())}
	if name := accountName(os.Getuid()); name != "" {
		names = append(names, name)
	}
	uids, gids := subordinate("/etc/subuid", names), subordinate("/etc/subgid", names)
	if n := min(uids.count, gids.count); n > 0 {
		err := handOut(ctx, "newuidmap", pid, os.Getuid(), uids)
		if err == nil {
			err = handOut(ctx, "newgidmap", pid, os.Getgid(), gids)
		}
		if err == nil {
			return n + 1, nil
		}
	}
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	for _, f := range []struct{ name, content string }{
		{"uid_map", fmt.Sprintf("0 %d 1", os.Getuid())},
		{"setgroups", "deny"}, // or the kernel refuses the next one
		{"gid_map", fmt.Sprintf("0 %d 1", os.Getgid())},
	} {
		err := os.WriteFile(filepath.Join(proc, f.name), []byte(f.content), 0)
		if err != nil && !(f.name == "uid_map" && mappedAlready(proc)) {
			return 0, forbidden(err)
		}
	}
	return 1, nil
}

// mappedAlready tells that newuidmap did its work and newgidmap did not.
func mappedAlready(proc string) bool {
	b, err := os.ReadFile(filepath.Join(proc, "uid_map"))
	return err == nil && len(b) > 0
}

// idRange is a line of subuid(5).
type idRange struct{ first, count uint32 }

// subordinate is the first range of one of these names.
func subordinate(file string, names []string) idRange {
	b, err := os.ReadFile(file)
	if err != nil {
		return idRange{}
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 3 || f[0] != names[0] && f[0] != names[len(names)-1] {
			continue
		}
		first, err1 := strconv.ParseUint(f[1], 10, 32)
		count, err2 := strconv.ParseUint(f[2], 10, 31)
		if err1 == nil && err2 == nil && count > 0 {
			return idRange{uint32(first), uint32(count)}
		}
	}
	return idRange{}
}

// handOut calls newuidmap or newgidmap.
func handOut(ctx context.Context, tool string, pid, id int, r idRange) error {
	u := func(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
	return exec.CommandContext(ctx, tool, strconv.Itoa(pid), "0", strconv.Itoa(id), "1", "1", u(r.first), u(r.count)).Run()
}

// accountName is the name of a user of /etc/passwd.
func accountName(uid int) string {
	b, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Split(line, ":")
		if len(f) > 2 && f[2] == strconv.Itoa(uid) {
			return f[0]
		}
	}
	return ""
}
