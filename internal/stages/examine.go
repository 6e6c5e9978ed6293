// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"fmt"
	"path"
)

// Examine says what a guest would say to a script before it runs it: an error
// if the text is none that it would run (a compiled program, CR LF, a byte order
// mark …), and otherwise what it would warn of. Name is for the messages, and
// is the one that the script has on the disc, in the directory dir.
func Examine(dir, name string, text []byte) (warnings []string, err error) {
	if len(text) > maxScript {
		return nil, fmt.Errorf("%s: longer than %d bytes", name, maxScript)
	}
	s := &script{name: name, file: path.Join(dir, name)}
	if err := s.interpret(text); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s.warnings, nil
}
