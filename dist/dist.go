// SPDX-License-Identifier: Apache-2.0

// Package dist holds what an image gets beside the binary: units, the man page
// and the default policy. It hands the policy to the binary and does nothing else.
package dist

import _ "embed"

// Policy is the default policy, used by an image that has no
// /etc/ctxagent/policy.yaml and printed by `ctxagent policy show`.
//
//go:embed policy.yaml
var Policy []byte
