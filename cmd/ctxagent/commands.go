// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// command is what help and shell completions say of one command. Its flags are
// those that its function parses: TestCommandsAreTheFlags holds both together.
type command struct {
	name     string // one word, or two: "policy show"
	words    string // what it takes beside flags: "DISC|DIR"
	summary  string
	flags    []option
	examples []string
	about    string // sentences for help and the man page, one a line
}

// option is one flag. A kind tells a shell what to offer for its value.
type option struct {
	name, kind, summary string
}

// The kinds of an option's value: none at all, a file, a directory, either (a disk
// image in a directory's place), one of a list (separated by |), or anything.
const (
	noValue          = ""
	file             = "FILE"
	directory        = "DIR"
	directoryOrImage = "DIR|IMAGE"
	anyValue         = "VALUE"
)

var (
	rootOption   = option{"root", directory, "the root to act on; / if it is left out"}
	jsonOption   = option{"json", noValue, "print for programs"}
	policyOption = option{"policy", file, "use this policy and not the root's own"}
)

// policySummary is of all commands below "policy".
const policySummary = "the endorser's policy: what a site may change"

// commands are in the order of a site admin's day.
var commands = []command{
	{"init", "DIR", "write the first tree of a context disc", []option{
		{"syslog", "rsyslog|none", "what sends the site's syslog"}, {"monitoring", "node_exporter|none", "what the site monitors with"},
		{"batch", "htcondor|slurm|pbs|gridengine|lsf|none", "the site's batch system"},
		{"loghost", anyValue, "where syslog goes to"}, {"logport", anyValue, "its TCP port; 514"}, {"site", anyValue, "the site's name in the graphs"},
		{"exporter-port", anyValue, "the port of node_exporter; 9100"}, {"manager", anyValue, "the batch system's central host"}, {"cluster", anyValue, "the Slurm cluster's name"},
	}, []string{"ctxagent init disc", "ctxagent init disc --syslog rsyslog --loghost log.example.org --batch slurm --manager ctl.example.org --cluster main"}, "It makes context.sh, prolog.sh, epilog.sh and a README.md for what the site runs, in a new or empty directory.\nWhat no flag says is asked on a terminal; but once --syslog, --monitoring or --batch is given, those that are not are none.\nWithout a terminal a port has its default, and what else is missing is an error.\nThe result, untouched, is what a guest with the default policy applies."},
	{"check", "[DISC|DIR]", "say what a guest would say to a disc; nothing is applied", []option{
		{"root", directoryOrImage, "the root to act on, a directory or a disk image; / if it is left out"}, policyOption, {"lint", noValue, "read the scripts, and rehearse nothing"}, jsonOption,
		{"sarif", file, "write findings and refusals for a CI to annotate"}, {"network", noValue, "let the epilog reach the site's servers, as in a guest"}, {"media", file, "a drive with a disc; may be repeated, for a guest with several, and DISC is one more"},
	}, []string{"ctxagent check disc", "ctxagent check --root /srv/image-root context.iso", "ctxagent check --media a.iso --media b.iso", "ctxagent check --lint --sarif out.sarif disc"}, "First the scripts are read: shell syntax, bashisms under #!/bin/sh, CR LF, commands that a guest can only refuse, files that the disc lacks, keys that everybody may read.\nThen both stages are rehearsed, confined as in a guest, against the root and its policy: what would be created, changed (as a diff, where everybody may read it), refused and restarted. For root, --root takes a disk image, too, raw or qcow2.\nThe exit status is the guest's; with --lint it is 1 if a finding is an error. Who is not root rehearses in a user namespace, with the subordinate ids of subuid(5), where there are any; what only root could read or do there is named, and makes the exit status 6."},
	{"pack", "DIR", "write a directory as a context disc, the same bytes every time", []option{
		{"o", file, "the image to write"}, {"label", anyValue, "the volume label; CONTEXT"}, {"policy", file, "keep this policy's limits"}, {"sign", file, "sign it with this Ed25519 key of OpenSSH"},
	}, []string{"ctxagent pack disc -o context.iso", "SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) ctxagent pack disc -o context.iso", "ctxagent pack --sign ~/.ssh/site_ed25519 disc -o context.iso"}, "The image is ISO 9660 with Rock Ridge. Every entry belongs to root and has one time: SOURCE_DATE_EPOCH, or 1980-01-01.\nA file that all may read gets mode 0644, or 0755 if its owner may execute it; any other 0600 or 0700.\nWhat a guest would refuse is refused, and the image is read back and compared before it gets its name.\nAn image with a file that not everybody may read is for its owner alone.\n--sign adds a manifest of all entries and its signature, the same bytes every time: what media.signature in a guest's policy asks for."},
	{"inspect", "DISC|DIR", "what is on a disc, as a guest reads it", []option{jsonOption, {"manifest", noValue, "print what a site signs with ssh-keygen"}, {"signers", file, "say who signed it, by these allowed_signers"}, {"show-values", noValue, "show the values of context.sh"}},
		[]string{"ctxagent inspect context.iso", "ctxagent inspect --signers allowed_signers context.iso"}, "It prints the label, the flavour, the digests, the stages' scripts, the signer, the names of context.sh's variables, and every entry.\nWithout --signers a signature is verified by the key that it names: that says who has signed, and not whether a guest trusts the key.\nThe disc need not be a context disc. Nothing is written, and no privilege is needed."},
	{"run", "prolog|epilog", "run one stage: units do this at boot", []option{
		rootOption, {"media", file, "an ISO file, a directory or a device, instead of searching; may be repeated"}, {"console", file, "write the receipt's line here, too"},
		{"explain", noValue, "of the epilog: say whether the network is up, and run nothing"},
	}, []string{"ctxagent run prolog --console /dev/console"}, "The receipt is in /run/ctxagent, and the last one is kept in /var/lib/ctxagent.\nIt needs root; --explain does not, and its exit status is 0 or 5."},
	{"status", "", "what the stages of this boot did, and when", []option{
		rootOption, jsonOption, {"html", file, "write one page that needs nothing else"}, {"since", anyValue, "leave out what ran before this time, or longer ago, such as 2h"},
		{"wait", noValue, "until both stages are done; exit as the first that failed"}, {"timeout", anyValue, "wait at most this long"},
	}, []string{"ctxagent status", "ctxagent status --wait --timeout 5m", "ctxagent status --html status.html"}, "The receipts of this boot, or else the last ones, and the steps of the boot drawn to scale.\nA time is written as \"2026-11-22 10:00\" or as in RFC 3339, a duration as 90s or 5m.\nColour is for terminals; NO_COLOR turns it off.\nExit status 1: there is nothing to show, or the wait was in vain."},
	{"revert", "", "put the image's own files back", []option{rootOption, {"dry-run", noValue, "only say what would be done"}, {"recover", noValue, "only finish what a run left half done"}},
		[]string{"sudo ctxagent revert --dry-run"}, "What someone else changed since is left alone and named, and makes the exit status 1.\nIt needs root, --dry-run too."},
	{"doctor", "", "is this image ready to be contextualised?", []option{rootOption, jsonOption}, []string{"sudo ctxagent doctor", "sudo ctxagent doctor --root /srv/image-root"}, "It looks at the program, the units, the shell, the kernels and the daemons of an image, and tries whether this kernel confines a script.\nExit status 1: something is missing. 6: scripts cannot be confined."},
	{"seal", "", "write down what every file of an image is, once it is built", []option{
		rootOption, {"with", directory, "a mount point inside the root whose file system belongs to the image, too; may be repeated"}, {"o", file, "the manifest; /usr/lib/ctxagent/manifest.mtree inside the root"},
	}, []string{"sudo ctxagent seal --root $IMAGE", "sudo ctxagent seal --root $IMAGE --with /boot -o manifest.mtree"}, "The manifest is in mtree(5)'s words: of every path the type, mode, owner, size, SHA-256 digest, link target, device and extended attributes. The same image is the same bytes.\nIt covers the root's own file system and those of --with. Of /dev, /proc, /run and /sys it has only that they are there; it leaves out /var/lib/ctxagent and itself.\nThe policy's mutable paths are written into it: nobody widens them later.\nOnly root can seal, and only root may read the manifest. A root with a context in it is not sealed."},
	{"verify", "", "is the image what was sealed?", []option{rootOption, {"manifest", file, "compare with this one, kept elsewhere, and not with the root's own"}, jsonOption},
		[]string{"sudo ctxagent verify", "sudo ctxagent verify --manifest endorsed.mtree --json"}, "Each difference is explained by what the context in force applied, with that very content; by a path that may change (the manifest's mutable list), unless it is setuid, setgid, a device or has a capability; or not at all.\nExit status 1: there are differences that nothing explains. 2: there is no manifest, or it is damaged.\nWhat may change is counted; --json lists it.\nOther file systems than those of seal's --with are not entered: each is named. One that hides paths of the image is a difference.\nIt needs root."},
	{"policy show", "", "the policy in force: what a site may change", []option{rootOption}, []string{"ctxagent policy show >policy.yaml"}, ""},
	{"policy lint", "FILE", "is this a valid policy?", nil, []string{"ctxagent policy lint policy.yaml"}, ""},
	{"policy explain", "PATH…", "which class and rule decide about a path", []option{rootOption, policyOption, jsonOption}, []string{"ctxagent policy explain /etc/rsyslog.d/50-site.conf"}, "A path without a rule is refused; a few are refused whatever the policy says."},
	{"policy diff", "A B", `what policy B adds to A, takes away, or sets otherwise; A may be "default"`, []option{jsonOption}, []string{"ctxagent policy diff default policy.yaml"}, "What the files say is compared: a default that only one of them spells out is a difference.\nIn paths and in reach the first rule that fits decides: there, another order of the rules that both files have is one line, which names the first that moved. Elsewhere order is no difference."},
	{"policy schema", "", "a JSON Schema of policy files, for editors", nil, []string{"ctxagent policy schema >policy.schema.json"}, ""},
	{"completion", "bash|zsh|fish", "print a shell's completions", nil, []string{"ctxagent completion bash >/usr/share/bash-completion/completions/ctxagent"}, ""},
	{"version", "", "print the version", nil, nil, ""},
}

// commandOf finds the command that a command line begins with.
func commandOf(args []string) (command, bool) {
	for _, n := range []int{2, 1} {
		if len(args) < n {
			continue
		}
		i := slices.IndexFunc(commands, func(c command) bool { return c.name == strings.Join(args[:n], " ") })
		if i >= 0 {
			return commands[i], true
		}
	}
	return command{}, false
}

// wantsHelp tells whether a command line asks for help about its command.
func wantsHelp(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool { return a == "-h" || a == "-help" || a == "--help" })
}

// help writes what there is to know of one command.
func (c command) help(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "ctxagent %s: %s\n\n  ctxagent %s", c.name, c.summary, c.name)
	if len(c.flags) > 0 {
		b.WriteString(" [flags]")
	}
	if c.words != "" {
		b.WriteString(" " + c.words)
	}
	b.WriteString("\n")
	if c.about != "" {
		fmt.Fprintf(&b, "\n%s\n", c.about)
	}
	for i, f := range c.flags {
		if i == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "  %-28s %s\n", strings.TrimRight(f.dashed()+" "+f.kind, " "), f.summary)
	}
	for i, e := range c.examples {
		if i == 0 {
			b.WriteString("\nExamples:\n")
		}
		fmt.Fprintf(&b, "  %s\n", e)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// dashed is the flag as it is written.
func (o option) dashed() string {
	if len(o.name) == 1 {
		return "-" + o.name
	}
	return "--" + o.name
}

// repeats tells whether the flag may be given more than once.
func (o option) repeats() bool { return o.name == "media" || o.name == "with" }
