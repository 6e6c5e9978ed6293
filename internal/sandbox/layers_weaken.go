// SPDX-License-Identifier: Apache-2.0

//go:build ctxagent_weaken

package sandbox

import (
	"os"
	"slices"
	"strings"
)

// without tells whether CTXAGENT_WITHOUT, a list with commas, names a layer:
// capabilities, cgroup, landlock, proc or seccomp.
func without(layer string) bool {
	return slices.Contains(strings.Split(os.Getenv("CTXAGENT_WITHOUT"), ","), layer)
}

func initEnv() []string {
	return []string{"GOMAXPROCS=1", "CTXAGENT_WITHOUT=" + os.Getenv("CTXAGENT_WITHOUT")}
}
