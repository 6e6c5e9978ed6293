// SPDX-License-Identifier: Apache-2.0

package grammar

import "testing"

// TestPatternsCompile finds what would else be a panic in the guest.
func TestPatternsCompile(t *testing.T) {
	if len(patterns) < 50 {
		t.Errorf("%d patterns; want them all", len(patterns))
	}
	for _, p := range patterns {
		p.compiled()
	}
}
