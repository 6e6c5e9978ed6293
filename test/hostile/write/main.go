// SPDX-License-Identifier: Apache-2.0

// Command write puts the discs of package hostile into a directory, one file
// each, to try a reader on them: go run ./test/hostile/write DIR.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ctxagent/ctxagent/test/hostile"
)

func main() {
	if err := write(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "write:", err)
		os.Exit(1)
	}
}

func write(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one directory, have %d", len(args))
	}
	if err := os.MkdirAll(args[0], 0o755); err != nil {
		return err
	}
	for i, image := range hostile.Images() {
		name := fmt.Sprintf("%03d-%s.img", i, strings.NewReplacer(" ", "-", "/", "-", ":", "").Replace(image.Name))
		if err := os.WriteFile(filepath.Join(args[0], name), image.Bytes(), 0o644); err != nil {
			return err
		}
		fmt.Printf("%s\t%s\n", name, image.Want)
	}
	return nil
}
