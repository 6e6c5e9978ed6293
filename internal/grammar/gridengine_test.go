// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"strings"
	"testing"
)

func TestGridEngineBootstrap(t *testing.T) {
	testRefused(t, "gridengine-bootstrap", []refused{
		{"programs elsewhere", "binary_path /tmp\n", 1, "binary_path"},
		{"programs above", "binary_path /opt/sge/../../tmp/bin\n", 1, "binary_path"},
		{"programs in a name of dots", "binary_path /opt/sge../bin\n", 1, "binary_path"},
		{"programs by a second slash", "binary_path /opt/sge//bin\n", 1, "binary_path"},
		{"case", "Binary_Path /tmp\n", 1, "Binary_Path"},
		{"indented", " \tbinary_path\t/tmp\n", 1, "binary_path"},
		{"root's files", "admin_user root\n", 1, "admin_user"},
		{"ordinary account", "admin_user alice\n", 1, "admin_user"},
		{"library", "spooling_lib ../../../tmp/x\n", 1, "spooling_lib"},
		{"spool elsewhere", "qmaster_spool_dir /etc\n", 1, "qmaster_spool_dir"},
		{"spool above", "qmaster_spool_dir /var/spool/gridengine/../../../etc\n", 1, "qmaster_spool_dir"},
		{"database on another host", "spooling_params h:sge\n", 1, "spooling_params"},
		{"Java", "jvm_threads 1\n", 1, "jvm_threads"},
		{"security", "security_mode kerberos\n", 1, "security_mode"},
		{"not of bootstrap", "execd_params ENABLE_ADDGRP_KILL=1\n", 1, "execd_params"},
		{"program of the configuration", "load_sensor /tmp/x\n", 1, "load_sensor"},
		{"equals sign", "ignore_fqdn=true\n", 1, ""},
		{"second word", "ignore_fqdn true x\n", 1, ""},
		{"trailing comment", "ignore_fqdn true # x\n", 1, ""},
		{"no value", "ignore_fqdn\n", 1, ""},
		{"quotes", "binary_path \"/opt/sge/bin\"\n", 1, "binary_path"},
		{"continuation", "binary_path \\\n/tmp\n", 1, `\`},
		{"continued comment", "# a \\\nignore_fqdn true\n", 1, ""},
		{"include", "include /tmp/x\n", 1, "include"},
	})
}

// TestGridEngineCutsLongComments pins what sge_execd 8.1.9 was seen to do: it reads 1023 bytes at once, so
// behind a comment of that length stood an admin_user that it took.
func TestGridEngineCutsLongComments(t *testing.T) {
	for _, n := range []int{999, 1023, 4095} {
		testRefused(t, "gridengine-bootstrap", []refused{{"comment", strings.Repeat("#", n) + "admin_user root\n", 1, ""}})
	}
}

func TestGridEngineDefaults(t *testing.T) {
	testRefused(t, "gridengine-defaults", []refused{
		{"root elsewhere", "SGE_ROOT=/tmp/sge\n", 1, "SGE_ROOT"},
		{"root above", "SGE_ROOT=/opt/sge/../../tmp\n", 1, "SGE_ROOT"},
		{"cell that climbs", "SGE_CELL=../x\n", 1, "SGE_CELL"},
		{"master", "SGE_START_MASTERD=yes\n", 1, "SGE_START_MASTERD"},
		{"another variable", "PATH=/tmp\n", 1, "PATH"},
		{"another variable exported", "export LD_PRELOAD\n", 1, "LD_PRELOAD"},
		{"another variable behind an assignment", "SGE_CELL=x; export LD_PRELOAD\n", 1, "LD_PRELOAD"},
		{"assignment exported", "export PATH=/tmp\n", 1, "PATH=/tmp"},
		{"two exports", "export SGE_CELL PATH\n", 1, "SGE_CELL PATH"},
		{"backquotes", "SGE_ARCH=`/tmp/x`\n", 1, "SGE_ARCH"},
		{"substitution", "SGE_ARCH=$(/tmp/x)\n", 1, "SGE_ARCH"},
		{"substitution in quotes", "SGE_ARCH=\"$(/tmp/x)\"\n", 1, "SGE_ARCH"},
		{"command behind", "SGE_CELL=x /tmp/x\n", 1, "SGE_CELL"},
		{"command behind a semicolon", "SGE_CELL=x; /tmp/x\n", 1, "SGE_CELL"},
		{"command behind an export", "SGE_CELL=x; export SGE_CELL; /tmp/x\n", 1, "SGE_CELL"},
		{"quotes over lines", "SGE_CELL=\"x\n/tmp/x\"\n", 1, "SGE_CELL"},
		{"single quotes", "SGE_CELL='x'\n", 1, "SGE_CELL"},
		{"blanks around the sign", "SGE_CELL = x\n", 1, ""},
		{"blanks behind the sign", "SGE_CELL= x\n", 1, "SGE_CELL"},
		{"source", ". /tmp/x\n", 1, ""},
		{"comment glued to a value", "SGE_CELL=x#y\n", 1, "SGE_CELL"},
		{"C shell", "setenv SGE_CELL x\n", 1, ""},
		{"continuation", "SGE_CELL=x\\\n", 1, "SGE_CELL"},
		{"continued comment", "# a \\\nSGE_CELL=x\n", 1, ""},
		{"case", "sge_cell=x\n", 1, "sge_cell"},
	})
}
