// SPDX-License-Identifier: Apache-2.0

// Command intruder is the attacks' helper: a hostile disc's own program, for what
// a shell cannot do. Each argument, NAME or NAME=VALUE, is one attempt; it
// prints "= NAME=VALUE RESULT" for it, where the result is "ok", the errno's name,
// or a value. Attempts are as mild as they can be and still show that they came
// through: the wall may be missing.
package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// attempts are all commands by name.
var attempts = map[string]func(arg string) string{}

func add(more map[string]func(string) string) struct{} {
	maps.Copy(attempts, more)
	return struct{}{}
}

// try makes an attempt of a function that only ends well or badly.
func try(f func(arg string) error) func(string) string {
	return func(arg string) string { return result(f(arg)) }
}

// result is an error in one word.
func result(err error) string {
	var errno unix.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, unix.EOPNOTSUPP):
		return "EOPNOTSUPP" // which has a second name
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return strings.ReplaceAll(err.Error(), " ", "-")
}

func main() {
	runtime.LockOSThread() // capabilities and namespaces are the thread's
	// SIGXFSZ is to come as EFBIG, and a terminal of ours ends without SIGHUP.
	signal.Ignore(unix.SIGXFSZ, unix.SIGPIPE, unix.SIGHUP)
	args := os.Args[1:]
	for len(args) > 0 {
		name, arg, _ := strings.Cut(args[0], "=")
		if name == "as" { // become another user for the rest
			uid, err := strconv.Atoi(arg)
			if err == nil {
				err = errors.Join(unix.Setgid(uid), unix.Setuid(uid))
			}
			if err != nil {
				report(args[0], result(err))
			}
			args = args[1:]
			continue
		}
		f, ok := attempts[name]
		if !ok {
			fmt.Fprintf(os.Stderr, "intruder: unknown attempt %q\n", name)
			os.Exit(2)
		}
		report(args[0], f(arg))
		args = args[1:]
	}
}

func report(name, result string) {
	if result != "" {
		fmt.Printf("= %s %s\n", name, result)
	}
}

// call is a system call of which only the errno matters.
func call(nr uintptr, a ...uintptr) error {
	var full [6]uintptr
	copy(full[:], a)
	if _, _, errno := unix.RawSyscall6(nr, full[0], full[1], full[2], full[3], full[4], full[5]); errno != 0 {
		return errno
	}
	return nil
}

// two splits "A:B".
func two(arg string) (a, b string) {
	a, b, _ = strings.Cut(arg, ":")
	return a, b
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		fmt.Fprintf(os.Stderr, "intruder: %q is no number\n", s)
		os.Exit(2)
	}
	return n
}
