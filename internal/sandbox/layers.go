// SPDX-License-Identifier: Apache-2.0

//go:build !ctxagent_weaken

package sandbox

// without tells whether a layer of the confinement is left out. It never is: the
// build tag ctxagent_weaken is for the tests that show what each layer stops
// (internal/sandbox/attacks), and no binary that is installed has it.
func without(string) bool { return false }

// initEnv is sandbox-init's environment. Its steps follow each other: on one
// processor the runtime has no thread look for work that is not there.
func initEnv() []string { return []string{"GOMAXPROCS=1"} }
