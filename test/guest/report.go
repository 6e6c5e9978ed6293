// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxBlock bounds one block of a report after expansion.
const maxBlock = 64 << 20

// parseReport reads the blocks that inside/run writes: "@@FILE name", gzip in base64,
// "@@END status". Blocks before the first bad one are kept in files and exits.
func parseReport(report []byte, files map[string][]byte, exits map[string]int) error {
	name, open := "", false
	var body strings.Builder
	for line := range strings.Lines(string(report)) {
		line = strings.TrimRight(line, "\r\n")
		if rest, ok := strings.CutPrefix(line, "@@FILE "); ok {
			if open {
				return fmt.Errorf("read report block %q: it does not end", name)
			}
			name, open = rest, true
			body.Reset()
			continue
		}
		status, end := strings.CutPrefix(line, "@@END ")
		if !end {
			body.WriteString(line)
			continue
		}
		content, err := expand(body.String())
		if err != nil {
			return fmt.Errorf("read report block %q: %w", name, err)
		}
		if exits[name], err = strconv.Atoi(status); err != nil {
			return fmt.Errorf("read report block %q: %w", name, err)
		}
		files[name], open = content, false
	}
	if open {
		return fmt.Errorf("read report block %q: it does not end", name)
	}
	return nil
}

func expand(body string) ([]byte, error) {
	packed, err := base64.StdEncoding.DecodeString(body)
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, maxBlock))
}
