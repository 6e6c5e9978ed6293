// SPDX-License-Identifier: Apache-2.0

// Command ctxagent contextualises a virtual-machine image from the site's
// context disc, as the HEPiX Virtualisation Working Group agreed in 2010, and
// makes the agreement's limits true: the disc's prolog.sh and epilog.sh run
// confined by the kernel, and what they changed is applied as a whole, or not
// at all.
//
// The commands are in usage below, their exit codes in docs/operator-guide.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/ctxagent/ctxagent/internal/sandbox"
)

const usage = `ctxagent runs a site's context disc in this image, and nothing but that.

  ctxagent run prolog|epilog [--root DIR] [--media PATH]… [--console FILE]
        run one stage: units do this at boot
  ctxagent run epilog --explain [--root DIR]
        is the network up, and why or why not? Runs nothing
  ctxagent check [--root DIR|IMAGE] [--policy FILE] [--lint] [--json]
                 [--sarif FILE] [--network] [--media FILE]… [DISC|DIR]
        read the scripts, then rehearse both stages and say what they would
        change; applies nothing
  ctxagent init [--syslog rsyslog] [--monitoring node_exporter] [--batch SYSTEM]
                [--loghost HOST] [--site NAME] [--manager HOST] [--cluster NAME] … DIR
        write the first tree of a context disc; SYSTEM is htcondor, slurm, pbs,
        gridengine or lsf; asks on a terminal for what is not given
  ctxagent pack [--label LABEL] [--policy FILE] [--sign KEY] -o FILE.iso DIR
        write a directory as a context disc, the same bytes every time
  ctxagent inspect [--json | --manifest] [--signers FILE] [--show-values] DISC|DIR
        what is on a disc, as a guest reads it; or what a site signs of it
  ctxagent status [--root DIR] [--json | --html FILE] [--since TIME]
                  [--wait [--timeout DURATION]]
        what the stages of this boot did, and when; --wait until they are done
  ctxagent doctor [--root DIR] [--json]
        is this image ready to be contextualised?
  ctxagent revert [--root DIR] [--dry-run | --recover]
        put the image's own files back; or finish only what a run left half done
  ctxagent seal [--root DIR] [--with DIR]… [-o FILE]
        write down what every file of an image is, once it is built
  ctxagent verify [--root DIR] [--manifest FILE] [--json]
        is the image what was sealed? Says who explains each difference
  ctxagent policy show [--root DIR]
        the policy in force: what a site may change
  ctxagent policy lint FILE
        is this a valid policy?
  ctxagent policy explain [--root DIR | --policy FILE] [--json] PATH…
        which class and rule decide about a path
  ctxagent policy diff [--json] A B
        what policy B adds to A, takes away, or sets otherwise; A may be "default"
  ctxagent policy schema
        a JSON Schema of policy files, for editors
  ctxagent completion bash|zsh|fish
        print a shell's completions
  ctxagent version

"ctxagent COMMAND --help" says more of each, with examples.

Exit status: 0 done, nothing to do, or no disc; 1 the script failed or timed
out, or something else did not work; 2 usage or policy-file error; 3 refused by
policy; 4 disc unusable, ambiguous or late; 5 no network in time; 6 this system
cannot confine scripts, or only root can do this.
`

// errUsage is a mistake on the command line; its text says which.
var errUsage = errors.New("usage")

// exitError carries an exit status that is not 1, or one whose reason has been
// told already, in a receipt.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func main() {
	if status, done := sandbox.Main(os.Args, os.Stderr); done {
		os.Exit(status)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop) // a second signal ends a run that does not heed the first
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop() // os.Exit skips defers
	os.Exit(exitCode(err, os.Stderr))
}

// run finds the command and runs it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: which command? `ctxagent help` lists them", errUsage)
	}
	if c, ok := commandOf(args); ok && wantsHelp(args) {
		return c.help(stdout)
	}
	switch args[0] {
	case "run":
		return runStage(ctx, args[1:], stdout, newLogger(stderr))
	case "check":
		return check(ctx, args[1:], stdout)
	case awaitMapping:
		return awaitNamespace(args[1:])
	case checkMirrored:
		return checkInNamespace(ctx, args[1:], stdout)
	case "init":
		return initDisc(args[1:], os.Stdin, stdout)
	case "pack":
		return pack(ctx, args[1:], stdout, stderr)
	case "doctor":
		return doctorCommand(ctx, args[1:], stdout)
	case "status":
		return status(ctx, args[1:], stdout)
	case "inspect":
		return inspect(args[1:], stdout)
	case "revert":
		return revert(args[1:], stdout, newLogger(stderr))
	case "seal":
		return seal(ctx, args[1:], stdout, stderr)
	case "verify":
		return verify(ctx, args[1:], stdout, stderr)
	case "policy":
		return policyCommand(args[1:], stdout)
	case "completion":
		return completion(args[1:], stdout)
	case "version", "--version":
		_, err := fmt.Fprintln(stdout, "ctxagent", version())
		return err
	case "help", "-h", "-help", "--help":
		_, err := io.WriteString(stdout, usage)
		return err
	}
	return fmt.Errorf("%w: there is no command %q: `ctxagent help` lists them", errUsage, args[0])
}

// exitCode tells the user once what went wrong, unless a receipt did.
func exitCode(err error, stderr io.Writer) int {
	var exit *exitError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stderr, usage)
		return 0
	case errors.As(err, &exit):
		if exit.err != nil {
			fmt.Fprintf(stderr, "ctxagent: %v\n", exit.err)
		}
		return exit.status
	}
	fmt.Fprintf(stderr, "ctxagent: %v\n", err)
	if errors.Is(err, errUsage) {
		return 2
	}
	return 1
}

// newLogger writes for the journal, which keeps time and unit itself.
func newLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && len(groups) == 0 {
			return slog.Attr{}
		}
		return a
	}}))
}

// parse reads a command's flags and checks how many words are left.
func parse(fs *flag.FlagSet, args []string, least, most int) error {
	fs.SetOutput(io.Discard)
	var words []string
	for { // flags may stand behind the words
		if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
			return err
		} else if err != nil {
			return fmt.Errorf("%w: %s: %w: `ctxagent help` lists the flags", errUsage, fs.Name(), err)
		}
		if fs.NArg() == 0 {
			break
		}
		words, args = append(words, fs.Arg(0)), fs.Args()[1:]
	}
	if len(words) < least || len(words) > most {
		return fmt.Errorf("%w: %s: %d words: `ctxagent help` shows how it is called", errUsage, fs.Name(), len(words))
	}
	return fs.Parse(append([]string{"--"}, words...))
}
