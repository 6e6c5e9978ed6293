// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// batchReader is how the real reader of a batch system's format is asked about a site's file.
type batchReader struct {
	root   string // the variable of the environment that names the root directory with the reader
	format string
	needs  string // the program; it has to be there
	script string // for sh, in namespaces and a root of its own; $D is a directory of the test's, $D/site the file
	bad    string // what the reader complains about: the test has to notice
}

// batchComplaint is what a reader says of a file that it does not understand, or what the script says of a
// program that was started.
var batchComplaint = regexp.MustCompile(`(?i:parse error|parsing error|fatal:|unrecognized|not found|syntax error|unexpected|` +
	`critical|error: \(null\)|cannot find|invalid option|usage:|attribute|configuration error|nothing was read)|STARTED`)

const (
	// trace runs "$@" for two seconds (LIMIT, for what ends by itself) and tells of every program that it starts.
	batchTrace = `
printf '127.0.0.1 localhost %s\n192.0.2.1 qmaster\n' "$(hostname)" >$D/hosts
mount --bind $D/hosts /etc/hosts
mount --bind /dev/null /etc/resolv.conf
trace() {
	timeout -s KILL $((${LIMIT:-2} * PATIENCE)) strace -f -qq --seccomp-bpf -e trace=execve,execveat -o $D/trace "$@" >$D/out 2>&1 || true
	cat $D/out
	[ -s $D/trace ] || echo nothing was read
	sed 1d $D/trace | grep -F execve | grep -v ENOENT | sed 's/^/STARTED /'
	return 0
}
for dir in /var/spool /var/log /var/lib/slurm /run; do
	[ ! -d $dir ] || mount -t tmpfs none $dir
done
mkdir -p /var/spool/slurm /var/log/slurm /run/slurm
`
	batchSlurm = `
cat >$D/slurm.conf <<-EOF
	ClusterName=x
	SlurmctldHost=localhost
	SlurmUser=root
	ProctrackType=proctrack/linuxproc
	SlurmdSpoolDir=/var/spool/slurmd
	GresTypes=gpu,mps,shard
	NodeName=wn01 NodeAddr=127.0.0.1 CPUs=1
EOF
`
	batchCondor = `
mkdir $D/config.d
mv $D/site $D/config.d/50-site.config
sed "s,^LOCAL_CONFIG_DIR *=.*,LOCAL_CONFIG_DIR = $D/config.d," /etc/condor/condor_config >$D/condor_config
CONDOR_CONFIG=$D/condor_config
export CONDOR_CONFIG
LIMIT=25
trace condor_config_val -dump >$D/said
grep -Ev '^[A-Za-z0-9_.]+ =|^#' $D/said || true
`
	batchSource = `trace sh -eu -c ". $D/site"`
	batchCell   = `
mkdir -p $D/default/common
mv $D/site $D/default/common/$FILE
[ -e $D/default/common/act_qmaster ] || echo qmaster >$D/default/common/act_qmaster
{ cat /etc/passwd; printf 'sge:x:990:990::/:/bin/false\nsgeadmin:x:991:991::/:/bin/false\n'; } >$D/passwd
mount --bind $D/passwd /etc/passwd
SGE_ROOT=$D SGE_QMASTER_PORT=6444 SGE_EXECD_PORT=6445 SGE_ND=1
export SGE_ROOT SGE_QMASTER_PORT SGE_EXECD_PORT SGE_ND
trace /usr/lib/gridengine/sge_execd
trace /usr/lib/gridengine/qhost
`
)

var batchReaders = []batchReader{
	{"CTXAGENT_DAEMONS_13", "htcondor", "/usr/bin/condor_config_val", batchCondor, "use SECURITY:no_such_template\n"},
	{"CTXAGENT_DAEMONS", "gridengine-bootstrap", "/usr/lib/gridengine/sge_execd", "FILE=bootstrap\n" + batchCell, "ignore_fqdn true\n"},
	{"CTXAGENT_DAEMONS", "gridengine-defaults", "/bin/sh", batchSource, "SGE_ARCH=`/bin/true`\n"},
	{"CTXAGENT_DAEMONS", "lsf", "/bin/sh", batchSource, "LSF_SERVER_HOSTS=\"$(/bin/true)\"\n"},
	{"CTXAGENT_DAEMONS", "pbs", "/bin/sh", batchSource, "PBS_SERVER=x /bin/true\n"},
	{"CTXAGENT_DAEMONS", "slurm", "/usr/sbin/slurmd", "trace slurmd -D -N wn01 -f $D/site", "ClusterName=x\nZZZ=1\n"},
	{"CTXAGENT_DAEMONS", "slurm-cgroup", "/usr/sbin/slurmd", batchSlurm + "cp $D/site $D/cgroup.conf\ntrace slurmd -D -N wn01 -f $D/slurm.conf", "ZZZ=1\n"},
	{"CTXAGENT_DAEMONS", "slurm-defaults", "/usr/sbin/slurmd", batchSlurm + ". $D/site\ntrace slurmd -D -N wn01 -f $D/slurm.conf $SLURMD_OPTIONS", "SLURMD_OPTIONS=\"-Y\"\n"},
}

// TestBatchReaders loads every file of testdata with the real reader. CTXAGENT_DAEMONS names a root directory
// that holds the daemons of Debian 12, CTXAGENT_DAEMONS_13 one of Debian 13, the oldest with an HTCondor.
// gres.conf is not among them: slurmd reads it only behind a cgroup hierarchy that it can manage.
func TestBatchReaders(t *testing.T) {
	for _, r := range batchReaders {
		t.Run(r.format, func(t *testing.T) {
			for name, content := range siteFiles(t, r.format) {
				if out := r.read(t, content); batchComplaint.MatchString(out) {
					t.Errorf("%s: %s", name, out)
				}
			}
			if out := r.read(t, []byte(r.bad)); !batchComplaint.MatchString(out) {
				t.Errorf("%q: %s; want a complaint", r.bad, out)
			}
		})
	}
}

// read has the reader look at content, and returns what it and the script say.
func (r batchReader) read(t *testing.T, content []byte) string {
	t.Helper()
	root := os.Getenv(r.root)
	if root == "" {
		r.missing(t, "no daemons: set "+r.root+" to the directory that test/daemons.sh prints")
	}
	for _, program := range []string{r.needs, "/usr/bin/strace"} {
		if _, err := os.Lstat(filepath.Join(root, program)); err != nil {
			r.missing(t, err.Error())
		}
	}
	if os.Geteuid() != 0 {
		r.missing(t, "not root: a daemon gets namespaces of its own")
	}
	dir, err := os.MkdirTemp(filepath.Join(root, "tmp"), "reader")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // some readers leave root behind
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "site"), content, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second*patience())
	defer cancel()
	script := fmt.Sprintf("D=/tmp/%s PATIENCE=%d\n", filepath.Base(dir), patience()) + batchTrace + r.script
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--net", "--ipc", "--uts", "--pid", "--fork", "--kill-child",
		"--root="+root, "--mount-proc", "/bin/sh", "-eu", "-c", script)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// missing skips the test where the reader cannot be asked, unless it has to be.
func (r batchReader) missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CTXAGENT_REQUIRE_DAEMONS") == "1" {
		t.Fatalf("CTXAGENT_REQUIRE_DAEMONS=1: %s", why)
	}
	t.Skip(why)
}
