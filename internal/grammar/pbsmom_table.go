// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"slices"
	"strings"
)

var (
	// The daemon appends some of these numbers to buffers of 50 bytes.
	momNumber  = match("a number", `[0-9]{1,9}`)
	momFactor  = match("a number such as 1.5", `[0-9]{1,4}(?:\.[0-9]{1,4})?`)
	momMask    = match("a mask such as 255 or 0x1ff", `0x[0-9A-Fa-f]{1,8}|[0-9]{1,9}|-1`)
	momNumbers = match("up to three numbers", `[0-9]{1,9}(?:[ \t]+[0-9]{1,9}){0,2}`)
	momOn      = oneOf("true", "yes", "on", "1")
	momHost    = match("a host name with a :port if you like", hostWithPort)

	// Hosts whose ordinary accounts may ask for resources: a whole domain, but not everybody.
	momAskers = match("a host, or a domain such as *.example.org", `(?:\*\.)?`+hostExpr)

	momEnforce = oneOf("mem", "cpuaverage", "cpuburst", "complexmem", "!mem", "!cpuaverage", "!cpuburst", "!complexmem")
	momSource  = match("host:/directory", `(?:\*|(?:\*\.)?`+hostExpr+`):/[A-Za-z0-9._/-]*`)
	momTarget  = match("a directory", `/[A-Za-z0-9._/-]*`)

	// momCopy lets a job's owner, nobody else, write to a directory that another host has under another name.
	momCopy = rule{"host:/directory /directory", func(s string) bool {
		words := strings.Fields(s)
		return len(words) == 2 && momSource.ok(words[0]) && momTarget.ok(words[1]) &&
			!slices.ContainsFunc(words, func(w string) bool { return strings.Contains(w, "..") })
	}}
)

// momDirectives are those of both families. Not here is what names a program or a script ($action,
// $alloc_par_cmd, $apbasil_path, $checkpoint_script, $checkpoint_run_exe, $job_starter, $node_check_script,
// $preexec, $presetup_prologue, $rcpcmd, $restart_script, $varattr, $xauthpath), a directory ($checkpoint_path, $jobdir_root, $log_directory,
// $nospool_dir_list, $remote_checkpoint_dirs, $tmpdir), takes a configuration from the network
// ($remote_reconfig) or makes the daemon read this file as something else ($configversion).
var momDirectives = onUse(func() map[string]rule {
	return extend(tableOf([]entry[rule]{
		{"$pbsserver", momHost},
		{"$clienthost", momHost},
		{"$pbsclient", momHost},
		{"$alias_server_name", anyHost},
		{"$momname", match("a name of at most 63 characters", `[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}`)},
		{"$mom_host", anyHost},
		{"$port", aPort},
		{"$restricted", momAskers},
		{"$usecp", momCopy},
		{"$ideal_load", momFactor},
		{"$max_load", match("a number, with suspend behind it if you like", `[0-9]{1,4}(?:\.[0-9]{1,4})?(?:[ \t]+suspend)?`)},
		{"$cputmult", momFactor},
		{"$wallmult", momFactor},
		{"$logevent", momMask},
		{"$loglevel", match("a number from 0 to 10", `[0-9]|10`)},
		{"$kbd_idle", momNumbers},
		{"$enforce", momEnforce},
		{"$suspendsig", match("one or two signal numbers", `[0-9]{1,2}(?:[ \t]+[0-9]{1,2})?`)},
		{"$job_output_file_umask", match("a umask that leaves a job's output to its owner", `0?[0-7]?[0-7]7|userdefault`)},
		{"$reject_root_scripts", momOn},
		{"$node_check_interval", momNumber},
		{"$restrict_user_maxsysid", momNumber},
		{"$max_updates_before_sending", momNumber},
	}), nil, momSimple())
})

// momSimple are the directives that need only a number or a switch.
func momSimple() map[string]rule {
	table := map[string]rule{}
	for _, name := range []string{"prologalarm", "max_check_poll", "min_check_poll", "check_poll_time", "status_update_time",
		"timeout", "jobstartblocktime", "job_exit_wait_time", "max_join_job_wait_time", "resend_join_job_wait_time",
		"mom_hierarchy_retry_time", "max_conn_timeout_micro_sec", "ext_pwd_retry", "log_file_max_size", "log_file_roll_depth",
		"log_keep_days", "sister_join_job_alarm", "job_launch_delay", "max_poll_downtime"} {
		table["$"+name] = momNumber
	}
	for _, name := range []string{"igncput", "ignmem", "ignvmem", "ignwalltime", "down_on_error", "restrict_user", "attach_allow",
		"vnodedef_additive", "restart_background", "reject_job_submission", "thread_unlink_calls", "source_login_batch",
		"source_login_interactive", "use_smt", "cuda_visible_devices"} {
		table["$"+name] = yesNo
	}
	return table
}
