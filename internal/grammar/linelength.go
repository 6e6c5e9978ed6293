// SPDX-License-Identifier: Apache-2.0

package grammar

// shorterThan refuses every line, comments too, that does not fit into the limit bytes of a daemon's line
// buffer, line feed and terminating NUL included. Such a daemon reads what is behind the cut as another line:
// a long comment is how a forbidden line would come in.
func (f *file) shorterThan(limit int) {
	for i, line := range f.lines {
		if len(line)+2 > limit {
			f.refuse(i+1, "", "line is longer than %d bytes, where the daemon may cut it in two: make it shorter", limit-2)
		}
	}
}
