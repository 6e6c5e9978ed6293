// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"strings"
	"testing"
)

func TestPBS(t *testing.T) {
	var tests []refused
	for _, name := range []string{"PBS_RCP", "PBS_CP", "PBS_SCP_ARGS", "PBS_ENVIRONMENT", "PBS_MOM_HOME", "PBS_TMPDIR", "PBS_DATA_SERVICE_HOST",
		"PBS_DAEMON_SERVICE_USER", "PBS_AUTH_SERVICE_USERS", "PBS_GSS_USER_CREDENTIALS_BIN", "PBS_REMOTE_VIEWER", "PBS_CONF_FILE",
		"PBS_LR_SAVE_PATH", "PATH", "LD_PRELOAD", "BASH_ENV", "IFS"} {
		tests = append(tests, refused{name, "PBS_SERVER=x\n" + name + "=/tmp/x\n", 2, name})
	}
	testRefused(t, "pbs", append(tests, []refused{
		{"programs elsewhere", "PBS_EXEC=/tmp/pbs\n", 1, "PBS_EXEC"},
		{"programs above", "PBS_EXEC=/opt/pbs/../../tmp\n", 1, "PBS_EXEC"},
		{"spool elsewhere", "PBS_HOME=/etc\n", 1, "PBS_HOME"},
		{"another copy program", "PBS_SCP=/tmp/scp\n", 1, "PBS_SCP"},
		{"copy program in another case", "PBS_SCP=/BIN/SCP\n", 1, "PBS_SCP"},
		{"server started", "PBS_START_SERVER=1\n", 1, "PBS_START_SERVER"},
		{"server started by another number", "PBS_START_COMM=00001\n", 1, "PBS_START_COMM"},
		{"library by path", "PBS_AUTH_METHOD=../../tmp/x\n", 1, "PBS_AUTH_METHOD"},
		{"library second in a list", "PBS_SUPPORTED_AUTH_METHODS=munge,x\n", 1, "PBS_SUPPORTED_AUTH_METHODS"},
		{"case", "pbs_server=x\n", 1, ""},
		{"blanks around the sign", "PBS_SERVER = x\n", 1, ""},
		{"command behind an assignment", "PBS_SERVER=x /tmp/x\n", 1, ""},
		{"command behind a semicolon", "PBS_SERVER=x;/tmp/x\n", 1, ""},
		{"command in the background", "PBS_SERVER=x&/tmp/x\n", 1, ""},
		{"substitution", "PBS_SERVER=$(/tmp/x)\n", 1, ""},
		{"backquotes", "PBS_SERVER=`/tmp/x`\n", 1, ""},
		{"expansion", "PBS_SERVER=$X\n", 1, ""},
		{"quotes", "PBS_SERVER=\"x\"\n", 1, ""},
		{"quotes over lines", "PBS_SERVER='x\nPBS_START_MOM=1'\n", 1, ""},
		{"backslash", "PBS_SERVER=x\\\n", 1, `\`},
		{"octal", "PBS_SERVER=x\\041\n", 1, `\`},
		{"tilde", "PBS_HOME=~root\n", 1, ""},
		{"redirection", "PBS_SERVER=x>/etc/cron.d/x\n", 1, ""},
		{"comment behind a value", "PBS_SERVER=x # y\n", 1, ""},
		{"comment glued to a value", "PBS_SERVER=x#y\n", 1, ""},
		{"continued comment", "# a \\\nPBS_START_MOM=1\n", 1, ""},
		{"source", ". /tmp/x\n", 1, ""},
		{"export", "export PBS_SERVER=x\n", 1, ""},
		{"command", "/tmp/x\n", 1, ""},
		{"function", "test() { /tmp/x; }\n", 1, ""},
		{"append", "PBS_SERVER+=x\n", 1, ""},
		{"array", "PBS_SERVER[$(x)]=x\n", 1, ""},
		{"port of nothing", "PBS_MOM_SERVICE_PORT=0\n", 1, "PBS_MOM_SERVICE_PORT"},
		{"host like an option", "PBS_SERVER=-x\n", 1, "PBS_SERVER"},
	}...))
}

// TestPBSCutsLongComments pins that pbs.conf is read through a buffer of 256 bytes by older versions.
func TestPBSCutsLongComments(t *testing.T) {
	testRefused(t, "pbs", []refused{{"comment", "#" + strings.Repeat("x", 254) + "PBS_EXEC=/tmp/x\n", 1, ""}})
}

func TestPBSMom(t *testing.T) {
	var tests []refused
	for _, name := range []string{"action", "alloc_par_cmd", "apbasil_path", "checkpoint_path", "checkpoint_script", "checkpoint_run_exe",
		"job_starter", "job_starter_run_privileged", "jobdir_root", "node_check_script", "preexec", "presetup_prologue", "rcpcmd", "rcp_cmd", "restart_script",
		"varattr", "xauthpath", "log_directory", "log_file_suffix", "nospool_dir_list", "remote_checkpoint_dirs", "tmpdir",
		"remote_reconfig", "configversion", "vnodedef", "auto_max_load", "spool_as_final_name", "exec_with_exec", "rpp_throttle",
		"alps_client", "alien_attach", "force_overwrite", "job_oom_score_adjust", "nodefile_suffix", "reporter_mom"} {
		tests = append(tests, refused{name, "$clienthost h\n$" + name + " /tmp/x\n", 2, "$" + name})
	}
	testRefused(t, "pbs-mom", append(tests, []refused{
		{"resource from a command", "gpus !/tmp/x\n", 1, "gpus"},
		{"resource from a command behind blanks", "gpus \t !/tmp/x\n", 1, "gpus"},
		{"resource from a command, glued", "gpus!/tmp/x\n", 1, "gpus!/tmp/x"},
		{"resource with parameters", "size[fs=%fs] !/tmp/x\n", 1, "size[fs=%fs]"},
		{"size of a path that climbs", "size[fs=!/tmp/x]\n", 1, "size[fs=!/tmp/x]"},
		{"action of the site", "$action terminate 0 !/tmp/x\n", 1, "$action"},
		{"case", "$AcTiOn terminate 0 !/tmp/x\n", 1, "$AcTiOn"},
		{"indented", " \t$varattr 1 /tmp/x\n", 1, "$varattr"},
		{"blank behind the sign", "$ varattr 1 /tmp/x\n", 1, "$"},
		{"value glued to the directive", "$varattr/tmp/x\n", 1, "$varattr/tmp/x"},
		{"value glued to an allowed directive", "$logevent+1\n", 1, "$logevent+1"},
		{"everybody may ask", "$restricted *\n", 1, "$restricted"},
		{"every domain may ask", "$restricted *.\n", 1, "$restricted"},
		{"pattern for the server", "$clienthost *.example.org\n", 1, "$clienthost"},
		{"copy to a path that climbs", "$usecp *:/home /home/../etc\n", 1, "$usecp"},
		{"copy with a command", "$usecp *:/home /home;/tmp/x\n", 1, "$usecp"},
		{"third word", "$usecp *:/home /home /etc\n", 1, "$usecp"},
		{"output for everybody", "$job_output_file_umask 000\n", 1, "$job_output_file_umask"},
		{"root's scripts", "$reject_root_scripts false\n", 1, "$reject_root_scripts"},
		{"comment behind a value", "$logevent 255 # x\n", 1, ""},
		{"comment glued to a value", "ncpus 4#x\n", 1, ""},
		{"indented comment", " # gpus !/tmp/x\n", 1, ""},
		{"continuation", "$logevent \\\n255\n", 1, `\`},
		{"continued comment", "# a \\\n$logevent 255\n", 1, ""},
		{"octal", "ncpus \\041/tmp/x\n", 1, `\`},
		{"quotes", "$logevent \"255\"\n", 1, "$logevent"},
		{"directive alone", "$logevent\n", 1, "$logevent"},
		{"resource alone", "ncpus\n", 1, "ncpus"},
		{"vnode definitions", "$configversion 2\nwn01: ncpus = 4\n", 1, "$configversion"},
	}...))
}

// TestPBSMomCutsLongLines pins that pbs_mom of Torque reads 118 bytes at once: what follows in a comment is a
// line of its own, so this one would start a program.
func TestPBSMomCutsLongLines(t *testing.T) {
	hidden := "#" + strings.Repeat("x", 117) + "$varattr 1 /tmp/x"
	testRefused(t, "pbs-mom", []refused{
		{"comment", hidden + "\n", 1, ""},
		{"second comment", "# a\n" + hidden, 2, ""},
		{"blanks", strings.Repeat(" ", 118) + "$varattr 1 /tmp/x\n", 1, ""},
		{"blanks before a comment", "$logevent 255" + strings.Repeat(" ", 105) + "ncpus !/tmp/x\n", 1, ""},
	})
	testAllowed(t, "pbs-mom", []allowed{{"just short enough", "#" + strings.Repeat("x", 116) + "\n"}})
}

// TestPBSMomNumbersAreShort pins that pbs_mom of OpenPBS appends a load to a buffer of 50 bytes.
func TestPBSMomNumbersAreShort(t *testing.T) {
	testRefused(t, "pbs-mom", []refused{
		{"ideal load", "$ideal_load " + strings.Repeat("1", 45) + "\n", 1, "$ideal_load"},
		{"max load", "$max_load 1." + strings.Repeat("1", 45) + "\n", 1, "$max_load"},
	})
}

func TestServerName(t *testing.T) {
	testRefused(t, "server-name", []refused{
		{"two lines", "pbs1\npbs2\n", 2, "pbs2"},
		{"option", "-x\n", 1, "server"},
		{"path", "/etc/passwd\n", 1, "server"},
		{"command", "$(id)\n", 1, "server"},
		{"blanks", "pbs1 pbs2\n", 1, "server"},
		{"setting", "PBS_EXEC=/tmp/x\n", 1, "server"},
		{"long", strings.Repeat("x", 300) + "\n", 1, ""},
	})
}

// TestSourcedFilesTakeNoShellSyntax adds the directive that was refused: its value is a plain word all the same.
func TestSourcedFilesTakeNoShellSyntax(t *testing.T) {
	for _, format := range []string{"pbs", "lsf", "gridengine-defaults"} {
		if got, err := Check(format, []byte("X_PATH=/tmp/x\n"), []string{"X_PATH"}); err != nil || len(got) != 0 {
			t.Errorf("%s: %+v, %v; want no finding", format, got, err)
		}
		for _, value := range []string{"a b", "a;b", "$(a)", "`a`", "a&", "a|b", "a>b", "~", "{a,b}", "'a'", "a\\b", "!a", "\"$a\"", "\"a"} {
			if got, err := Check(format, []byte("X_PATH="+value+"\n"), []string{"X_PATH"}); err != nil || len(got) == 0 {
				t.Errorf("%s: X_PATH=%s is allowed, %v", format, value, err)
			}
		}
	}
}
