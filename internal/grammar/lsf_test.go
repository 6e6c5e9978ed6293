// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"strings"
	"testing"
)

func TestLSF(t *testing.T) {
	var tests []refused
	for _, name := range []string{"LSB_MAILPROG", "LSB_MAILSERVER", "LSF_RSH", "LSF_TMPDIR", "LSF_USE_HOSTEQUIV", "LSF_ROOT_USER", "LSF_ROOT_REX",
		"LSB_PRE_POST_EXEC_USER", "LSB_DEFAULT_PREEXEC", "LSB_ESUB_METHOD", "LSB_EGROUP", "LSF_LICENSE_FILE", "LSB_BPEEK_METHOD", "LSF_MLS_LOG",
		"LSF_EGO_ENVDIR", "EGO_TOP", "LSF_SUDOERS", "LSF_DAEMON_WRAP", "LSB_RESOURCE_PROXY", "LSF_LOAD_PLUGINS", "LSF_TS_OPTIONS", "PATH", "LD_PRELOAD", "BASH_ENV"} {
		tests = append(tests, refused{name, "LSF_LIM_PORT=7869\n" + name + "=/tmp/x\n", 2, name})
	}
	testRefused(t, "lsf", append(tests, []refused{
		{"programs elsewhere", "LSF_SERVERDIR=/tmp\n", 1, "LSF_SERVERDIR"},
		{"programs elsewhere, in quotes", "LSF_SERVERDIR=\"/tmp\"\n", 1, "LSF_SERVERDIR"},
		{"programs above", "LSF_BINDIR=/opt/lsf/../../tmp\n", 1, "LSF_BINDIR"},
		{"configuration elsewhere", "LSF_CONFDIR=/etc\n", 1, "LSF_CONFDIR"},
		{"another environment", "LSF_ENVDIR=/tmp\n", 1, "LSF_ENVDIR"},
		{"log elsewhere", "LSF_LOGDIR=/etc/cron.d\n", 1, "LSF_LOGDIR"},
		{"own authentication", "LSF_AUTH=/tmp/x\n", 1, "LSF_AUTH"},
		{"more daemons", "LSF_ENABLE_EGO=Y\n", 1, "LSF_ENABLE_EGO"},
		{"resource of a command", "LSF_LOCAL_RESOURCES=\"[resource x] `id`\"\n", 1, ""},
		{"case", "lsf_serverdir=/tmp\n", 1, ""},
		{"blanks around the sign", "LSF_LIM_PORT = 7869\n", 1, ""},
		{"command behind an assignment", "LSF_LIM_PORT=7869 /tmp/x\n", 1, ""},
		{"command behind quotes", "LSF_SERVER_HOSTS=\"a\" /tmp/x\n", 1, ""},
		{"command behind a semicolon", "LSF_LIM_PORT=7869;/tmp/x\n", 1, ""},
		{"substitution in quotes", "LSF_SERVER_HOSTS=\"$(/tmp/x)\"\n", 1, ""},
		{"backquotes in quotes", "LSF_SERVER_HOSTS=\"`/tmp/x`\"\n", 1, ""},
		{"brackets without quotes", "LSF_LOCAL_RESOURCES=[resource\n", 1, ""},
		{"subshell", "LSF_LIM_PORT=(/tmp/x)\n", 1, ""},
		{"quotes over lines", "LSF_SERVER_HOSTS=\"a\nb\"\n", 1, ""},
		{"quote within", "LSF_SERVER_HOSTS=\"a\"\"b\"\n", 1, ""},
		{"single quotes", "LSF_SERVER_HOSTS='a b'\n", 1, ""},
		{"one quote", "LSF_SERVER_HOSTS=\"\n", 1, ""},
		{"continuation", "LSF_SERVER_HOSTS=\"a \\\nb\"\n", 1, `\`},
		{"octal", "LSF_LIM_PORT=\\067\n", 1, `\`},
		{"continued comment", "# a \\\nLSF_LIM_PORT=7869\n", 1, ""},
		{"trailing comment", "LSF_LIM_PORT=7869 # x\n", 1, ""},
		{"source", ". /tmp/x\n", 1, ""},
		{"section", "Begin Host\n", 1, ""},
		{"include", "#INCLUDE \"/tmp/x\"\n", 1, ""},
		{"condition", "#if hostname()\n", 1, ""},
		{"long comment", "#" + strings.Repeat("x", 511) + "LSF_SERVERDIR=/tmp\n", 1, ""},
	}...))
}
