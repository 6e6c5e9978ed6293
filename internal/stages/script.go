// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/ctxagent/ctxagent/internal/report"
)

// maxScript is how long a script may be, in bytes.
const maxScript = 1 << 20

// script is a stage's script, ready to be run.
type script struct {
	name     string // inside the context directory
	file     string // as a reader at a desk types it, or name
	digest   string // hex SHA-256
	text     []byte
	command  []string
	other    [][]string // if the image lacks the command's program
	warnings []string
}

// load reads the stage's script; nil means that the disc has none. A disc of
// CERN's kind has init.sh in place of prolog.sh.
func load(c Context, stage string) (*script, error) {
	name := ScriptOf(c.Script, stage)
	if name == "" {
		return nil, nil
	}
	b, err := readBounded(path.Join(c.Dir, name), maxScript)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	s := &script{name: name, file: name, digest: hex.EncodeToString(sum[:]), text: b}
	if c.Disc.Flavour == "directory" && c.Disc.Contract == "hepix" {
		s.file = path.Join(c.Disc.Device, name)
	}
	if err := s.interpret(b); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if other := c.Script("init.sh"); stage == Prolog && other != "" && other != name {
		s.warnings = append(s.warnings, fmt.Sprintf("%s is not run: %s is the prolog, and may read it with `. ./%s`", other, name, other))
	}
	return s, nil
}

// ScriptOf is the file of a disc that a stage runs, or "".
func ScriptOf(file func(name string) string, stage string) string {
	name := file(stage + ".sh")
	if name == "" && stage == Prolog {
		name = file("init.sh")
	}
	return name
}

// missing says in words that a disc has no script for a stage.
func missing(c Context, stage string) string {
	for _, name := range []string{Prolog + ".sh", "init.sh", Epilog + ".sh"} {
		if c.Script(name) != "" {
			return fmt.Sprintf("the disc has no %s.sh", stage)
		}
	}
	return "the disc has no script: context.sh is values for prolog.sh, init.sh or epilog.sh, and is never run"
}

// readBounded reads a file of at most limit bytes.
func readBounded(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1)) // one more, to tell "full" from "too big"
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("read %q: longer than %d bytes", name, limit)
	}
	return b, err
}

// posixShells read a script by the "." command, the historical contract: a
// top-level return works, and so does exit (POSIX.1, dot).
var posixShells = []string{"sh", "bash", "dash", "ash", "ksh", "mksh", "busybox"}

// interpret decides how the script is run. Whether it is executable does not
// matter, for a plain ISO 9660 disc cannot say, nor whether its file system is
// mounted noexec.
func (s *script) interpret(b []byte) error {
	switch {
	case bytes.HasPrefix(b, []byte("\x7fELF")):
		return errors.New("it is a compiled program: a stage's script is text, and may call a program of the disc")
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		return errors.New("it begins with a byte order mark: save it as UTF-8 without one")
	case bytes.Contains(b, []byte("\r\n")):
		line := bytes.Count(b[:bytes.Index(b, []byte("\r\n"))], []byte("\n")) + 1
		return fmt.Errorf("line %d ends with CR LF, as on Windows: convert it with `sed -i 's/\\r$//' %s`", line, report.ShellWord(s.file))
	case bytes.IndexByte(b, 0) >= 0:
		return errors.New("it has a NUL byte: a stage's script is text")
	}
	first, _, _ := strings.Cut(string(b), "\n")
	line, ok := strings.CutPrefix(first, "#!")
	if !ok {
		s.warnings = append(s.warnings, s.name+" has no #! line; it is read by bash, or by sh where there is none: say which in its first line")
		s.command, s.other = s.source([]string{"/bin/bash"}), [][]string{s.source([]string{"/bin/sh"})}
		return nil
	}
	// The kernel hands everything after the interpreter on as one argument
	// (execve(2), "Interpreter scripts").
	program, arg := strings.TrimSpace(line), ""
	if i := strings.IndexAny(program, " \t"); i > 0 {
		program, arg = program[:i], program[i:]
	}
	if program == "" {
		return errors.New("its #! line names no interpreter")
	}
	argv := []string{program}
	if arg = strings.TrimSpace(arg); arg != "" && arg != "-" && arg != "--" {
		argv = append(argv, arg)
	}
	if path.Base(program) == "env" {
		if argv = envCommand(arg); len(argv) == 0 {
			return fmt.Errorf("its #! line %q names no interpreter", first)
		}
	}
	if !path.IsAbs(program) {
		return fmt.Errorf("its #! line names %q: write the interpreter's whole path", program)
	}
	if slices.Contains(posixShells, path.Base(argv[0])) {
		s.command = s.source(argv)
	} else {
		s.command = append(argv, "./"+s.name, start)
	}
	return nil
}

// source is the command line by which a shell reads the script in itself.
func (s *script) source(shell []string) []string {
	return append(slices.Clone(shell), "-c", `. "$0"`, "./"+s.name, start)
}

// envCommand is what "#!/usr/bin/env ARG" starts; the name is looked up in the
// script's PATH.
func envCommand(arg string) []string {
	if rest, ok := strings.CutPrefix(arg, "-S"); ok {
		return strings.Fields(rest)
	}
	if arg == "" || strings.HasPrefix(arg, "-") || strings.Contains(arg, "=") {
		return nil
	}
	return []string{arg}
}
