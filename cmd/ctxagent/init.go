// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/ctxagent/ctxagent/internal/starter"
)

// initDisc is `ctxagent init`: the first tree of a context disc. What no flag
// says is asked on a terminal, and is an error where there is none.
func initDisc(args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet("init", flag.ContinueOnError)
	chosen, answers := map[string]*string{}, map[string]*string{}
	for _, purpose := range starter.Purposes {
		chosen[purpose] = flags.String(purpose, "", "")
	}
	for _, q := range starter.AllQuestions() {
		answers[q.Name] = flags.String(q.Name, "", "")
	}
	if err := parse(flags, args, 1, 1); err != nil {
		return err
	}
	a := asker{out: stdout}
	if f, ok := stdin.(*os.File); ok && isTerminal(f) {
		a.in = bufio.NewReader(f)
	}
	parts, err := a.choose(chosen)
	if err != nil {
		return err
	}
	values, err := a.answer(starter.Questions(parts), answers)
	if err != nil {
		return err
	}
	files, err := starter.Tree(parts, values)
	if err != nil {
		return fmt.Errorf("%w: init: %w", errUsage, err)
	}
	if err := writeTree(flags.Arg(0), files); err != nil {
		return err
	}
	for _, f := range files {
		if _, err := fmt.Fprintf(stdout, "wrote %s/%s\n", strings.TrimSuffix(flags.Arg(0), "/"), f.Path); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(stdout, "next: sudo ctxagent check %[1]s, and ctxagent pack %[1]s -o context.iso\n", flags.Arg(0))
	return err
}

// asker asks on a terminal; without one (in is nil) nothing can be asked.
type asker struct {
	in  *bufio.Reader
	out io.Writer
}

// ask puts one question until its answer is valid.
func (a asker) ask(text, preset string, check func(string) error) (string, error) {
	for {
		if preset != "" {
			text = strings.TrimSuffix(text, " ["+preset+"]") + " [" + preset + "]"
		}
		if _, err := fmt.Fprint(a.out, text+" "); err != nil {
			return "", err
		}
		line, err := a.in.ReadString('\n')
		if err != nil {
			return "", errors.Join(errors.New("no answer"), err)
		}
		if line = strings.TrimSpace(line); line == "" {
			line = preset
		}
		err = check(line)
		if err == nil {
			return line, nil
		}
		if _, err := fmt.Fprintln(a.out, err); err != nil {
			return "", err
		}
	}
}

// choose finds the part for each purpose. Once one is given by a flag, those that
// are not given are none.
func (a asker) choose(flags map[string]*string) (map[string]string, error) {
	parts := map[string]string{}
	given := slices.ContainsFunc(starter.Purposes, func(p string) bool { return *flags[p] != "" })
	for _, purpose := range starter.Purposes {
		parts[purpose] = *flags[purpose]
		switch {
		case parts[purpose] != "":
		case given || a.in == nil:
			parts[purpose] = "none"
		default:
			known := append(slices.Clone(starter.Parts[purpose]), "none")
			part, err := a.ask(fmt.Sprintf("Which %s (%s)?", purpose, strings.Join(known, ", ")), known[0], func(s string) error {
				if !slices.Contains(known, s) {
					return fmt.Errorf("it is one of %s", strings.Join(known, ", "))
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
			parts[purpose] = part
		}
	}
	return parts, nil
}

// answer finds the value for each question.
func (a asker) answer(questions []starter.Question, flags map[string]*string) (map[string]string, error) {
	values := map[string]string{}
	for _, q := range questions {
		switch value := *flags[q.Name]; {
		case value != "":
			values[q.Name] = value
		case a.in != nil:
			var err error
			if values[q.Name], err = a.ask(q.Text, q.Default, q.Check); err != nil {
				return nil, err
			}
		case q.Default != "":
			values[q.Name] = q.Default
		}
	}
	return values, nil
}

// writeTree writes files into a directory that is new or empty: nothing of
// anybody's is overwritten.
func writeTree(dir string, files []starter.File) (err error) {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if list, err := os.ReadDir(dir); err != nil {
		return err
	} else if len(list) > 0 {
		return &exitError{2, fmt.Errorf("%s is not empty: name a new directory", dir)}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for _, f := range files {
		if err := root.WriteFile(f.Path, f.Content, f.Mode); err != nil {
			return err
		}
	}
	return nil
}
