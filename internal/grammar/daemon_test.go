// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// daemon is how the real reader of a format is asked about a site's file. In main, check and run, DIR
// stands for a directory of the test's own; the site's file is DIR/site.conf.
type daemon struct {
	format string
	main   string   // DIR/main.conf: what the image brings and what takes the site's file in
	check  []string // the daemon's own check of its configuration; nil if it has none
	run    []string // the daemon in the foreground; nil if that needs more than a file
	// A daemon may end with status 0 and yet not have understood everything: this in its output is a failure.
	complaint string

	writes []string // what the daemon writes to of its own, whatever the configuration

	bad string // what the daemon complains about, or starts a program for: the test has to notice
}

// daemons are those of the syslog family, and collectd.
var daemons = []daemon{
	{
		format:    "collectd",
		main:      "BaseDir \"DIR\"\nPIDFile \"DIR/pid\"\nTypesDB \"/usr/share/collectd/types.db\"\nFQDNLookup false\nInclude \"DIR/site.conf\"\n",
		check:     []string{"/usr/sbin/collectd", "-t", "-C", "DIR/main.conf"},
		run:       []string{"/usr/sbin/collectd", "-f", "-C", "DIR/main.conf"},
		complaint: `(?i)parse error|parsing|not register|could not find|unknown|ignoring|invalid|expects|block within`,
		writes:    []string{"/dev/console"}, // syslog(3), since nobody takes the messages here
		bad:       "LoadPlugin exec\n<Plugin exec>\nExec \"nobody\" \"/bin/true\"\n</Plugin>\n",
	},
	{
		format:    "journal-remote",
		check:     []string{"/bin/sh", "-c", dropIn + `"$0" -o DIR/x.journal /dev/null || :`, "/lib/systemd/systemd-journal-remote"},
		complaint: `ignoring`,
		bad:       "[Remote]\nOutput=/tmp\n",
	},
	{
		format:    "journal-upload",
		check:     []string{"/bin/sh", "-c", dropIn + `"$0" /dev/null || :`, "/lib/systemd/systemd-journal-upload"}, // there is no network
		complaint: `ignoring`,
		bad:       "[Upload]\nurl=http://h\n",
	},
	{
		format:    "rsyslog",
		main:      "global(processInternalMessages=\"on\")\nmodule(load=\"imuxsock\" SysSock.Use=\"off\")\n$WorkDirectory DIR\n*.* DIR/before\n$IncludeConfig DIR/site.conf\n*.* DIR/after\n",
		check:     []string{"/usr/sbin/rsyslogd", "-N1", "-f", "DIR/main.conf"},
		run:       []string{"/usr/sbin/rsyslogd", "-n", "-f", "DIR/main.conf", "-i", "DIR/pid"},
		complaint: `(?i)error|warning|invalid|could not|unknown`,
		bad:       "module(load=\"omprog\")\naction(type=\"omprog\" binary=\"/bin/true\")\n",
	},
	{
		format:    "syslog-ng",
		main:      "@version: 3.38\n@include \"scl.conf\"\nsource s_src { internal(); };\n@include \"DIR/site.conf\"\n",
		check:     []string{"/usr/sbin/syslog-ng", "--syntax-only", "-f", "DIR/main.conf", "-R", "DIR/persist"},
		run:       []string{"/usr/sbin/syslog-ng", "-F", "-f", "DIR/main.conf", "-R", "DIR/persist", "-p", "DIR/pid", "-c", "DIR/ctl", "--no-caps"},
		complaint: `(?i)error parsing|warning|invalid`,
		writes:    []string{"/var/lib/syslog-ng/"}, // disk-buffer()
		bad:       "destination d { program(\"/bin/true\"); };\nlog { source(s_src); destination(d); };\n",
	},
}

// dropIn puts the site's file where systemd's programs look for their configuration, on a /run of its own.
const dropIn = `set -e; mount -t tmpfs none /run
for d in upload remote; do mkdir -p /run/systemd/journal-$d.conf.d; cp DIR/site.conf /run/systemd/journal-$d.conf.d; done
`

// TestDaemons loads every file of testdata with the daemon that it is for. CTXAGENT_DAEMONS names a root
// directory that holds the daemons, as test/daemons.sh builds it.
func TestDaemons(t *testing.T) {
	for _, d := range slices.Concat(daemons, monitoringDaemons) {
		t.Run(d.format, func(t *testing.T) {
			for _, file := range corpus(t, d.format) {
				t.Run(filepath.Base(file), func(t *testing.T) {
					t.Parallel()
					text, err := os.ReadFile(file)
					if err != nil {
						t.Fatal(err)
					}
					for _, problem := range d.load(t, string(text)) {
						t.Error(problem)
					}
				})
			}
			t.Run("bad", func(t *testing.T) {
				t.Parallel()
				if len(d.load(t, d.bad)) == 0 {
					t.Errorf("%s loads %q; want a complaint", d.format, d.bad)
				}
			})
		})
	}
}

// load has the daemon check text, and then run with it for a moment, in which it may start nothing. It
// returns what went wrong.
func (d daemon) load(t *testing.T, text string) (problems []string) {
	t.Helper()
	root := os.Getenv("CTXAGENT_DAEMONS")
	if root == "" {
		missing(t, "CTXAGENT_DAEMONS names no root with the daemons: see test/daemons.sh")
	}
	dir := d.write(t, root, text)
	complaint := regexp.MustCompile(d.complaint)
	if d.check != nil {
		out, err := d.command(t, root, dir, 20*time.Second*patience(), d.check)
		if err != nil || d.complaint != "" && complaint.MatchString(out) {
			problems = append(problems, fmt.Sprintf("check: %v\n%s", err, out))
		}
	}
	if d.run == nil {
		return problems
	}
	trace := []string{"/usr/bin/strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=execve,execveat,open,openat,creat", "-o", "DIR/trace"}
	out, _ := d.command(t, root, dir, 1500*time.Millisecond*patience(), append(trace, d.run...))
	if d.complaint != "" && complaint.MatchString(out) {
		problems = append(problems, "run: "+out)
	}
	calls, err := os.ReadFile(filepath.Join(root, dir, "trace"))
	started, written := d.traced(string(calls), dir)
	if err != nil || len(started) != 1 {
		problems = append(problems, fmt.Sprintf("run: %q started, %v; want itself alone\n%s", started, err, out))
	}
	if len(written) > 0 {
		problems = append(problems, fmt.Sprintf("run: %q opened for writing", written))
	}
	return problems
}

var (
	traceExec = regexp.MustCompile(`(?m)^[0-9]+ +execve(?:at)?\(.*`)
	traceOpen = regexp.MustCompile(`(?m)^[0-9]+ +(?:open|openat|creat)\((?:AT_FDCWD, )?"([^"]*)", (.*)$`)
)

// traced reads the lines of strace: the programs that were started, and the files that were opened for
// writing, other than those below dir, the daemon's own and devices that hold nothing.
func (d daemon) traced(calls, dir string) (started, written []string) {
	for _, m := range traceOpen.FindAllStringSubmatch(calls, -1) {
		own := func(prefix string) bool { return strings.HasPrefix(m[1], prefix) }
		if strings.Contains(m[2], "O_WRONLY") || strings.Contains(m[2], "O_RDWR") || strings.Contains(m[2], "O_CREAT") {
			if !slices.ContainsFunc(append([]string{dir + "/", "/dev/null", "/dev/tty", "/proc/"}, d.writes...), own) {
				written = append(written, m[1])
			}
		}
	}
	return traceExec.FindAllString(calls, -1), written
}

// write puts main.conf and site.conf into a directory below root and returns its name as the daemon sees it.
func (d daemon) write(t *testing.T, root, text string) string {
	t.Helper()
	for _, word := range slices.Concat(d.check, d.run, []string{"/usr/bin/strace"}) {
		if _, err := os.Lstat(filepath.Join(root, word)); err != nil && path.IsAbs(word) {
			missing(t, err.Error())
		}
	}
	if os.Geteuid() != 0 {
		missing(t, "not root: a daemon gets namespaces of its own")
	}
	outside, err := os.MkdirTemp(filepath.Join(root, "tmp"), "daemon")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(outside) })
	dir := "/tmp/" + filepath.Base(outside)
	for name, content := range map[string]string{"main.conf": strings.ReplaceAll(d.main, "DIR", dir), "site.conf": text} {
		if err := os.WriteFile(filepath.Join(outside, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// missing skips the test where the daemon cannot be asked, unless it has to be.
func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CTXAGENT_REQUIRE_DAEMONS") == "1" {
		t.Fatalf("CTXAGENT_REQUIRE_DAEMONS=1: %s", why)
	}
	t.Skip(why)
}

// patience is how many times as long as here a daemon is given: in a guest in software
// emulation (test/guest) a few.
func patience() time.Duration {
	n, _ := strconv.Atoi(os.Getenv("CTXAGENT_DAEMON_PATIENCE"))
	return time.Duration(max(1, n))
}

// command runs a program in root for at most limit, with no network, its own /proc and a pid namespace that
// ends with it, and returns what it printed.
func (d daemon) command(t *testing.T, root, dir string, limit time.Duration, words []string) (string, error) {
	t.Helper()
	// A low limit of descriptors: a daemon that starts a program closes them all in its child, one by one.
	args := []string{"--nofile=256", "unshare", "--mount", "--net", "--ipc", "--pid", "--fork", "--kill-child",
		"--root=" + root, "--mount-proc"}
	for _, w := range words {
		args = append(args, strings.ReplaceAll(w, "DIR", dir))
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	out, err := exec.CommandContext(ctx, "prlimit", args...).CombinedOutput()
	return string(out), err
}
