// SPDX-License-Identifier: Apache-2.0

package sandbox

import "testing"

// A signal that Go's runtime leaves to the C library, right behind one that it
// handles, finds the first thread of init in a handler.
func TestInitSurvivesSignals(t *testing.T) {
	res := run(t, newRoot(t), `
		i=0
		while [ $i -lt 4000 ]; do
			kill -1 1; kill -32 1; kill -10 1; kill -33 1; kill -15 1; kill -34 1
			i=$((i+1))
		done 2>/dev/null
		echo alive`)
	if res.Output != "alive\n" || res.ExitStatus != 0 {
		t.Errorf("output %q, exit status %d, signal %q; want the script to come to its end", res.Output, res.ExitStatus, res.Signal)
	}
}
