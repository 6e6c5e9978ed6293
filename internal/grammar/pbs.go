// SPDX-License-Identifier: Apache-2.0

package grammar

// pbsAssignment is NAME=value as both PBS and a shell read it: PBS's init script sources /etc/pbs.conf as
// root, so there is no blank, quote or special character in it, whatever the name.
var pbsAssignment = lazy(`\A([A-Z][A-Z0-9_]*)=([A-Za-z0-9_.,:/@%+-]*)\z`)

const (
	pbsLineBuffer = 256 // pbs.conf up to OpenPBS 20; later versions take any length
)

var (
	pbsHosts  = match("host names with commas between, each with a :port if you like", hostWithPort+`(?:,`+hostWithPort+`)*`)
	pbsHost   = match("a host name with a :port if you like", hostWithPort)
	pbsSwitch = oneOf("0", "1")
	pbsNever  = oneOf("0")
	// The method's name is that of a library which PBS loads.
	pbsAuth = match("munge, resvport or gss, with commas between", `(?:munge|resvport|gss)(?:,(?:munge|resvport|gss))*`)
)

// pbsSettings are from the PBS Professional Reference Guide, chapter "Configuration Parameters", "The PBS
// Configuration File". Not here is what names a program (PBS_RCP, PBS_CP, PBS_SCP_ARGS,
// PBS_GSS_USER_CREDENTIALS_BIN, PBS_REMOTE_VIEWER), a file or directory elsewhere (PBS_ENVIRONMENT,
// PBS_MOM_HOME, PBS_TMPDIR) or an account (PBS_DAEMON_SERVICE_USER, PBS_AUTH_SERVICE_USERS), and what the
// server alone reads.
var pbsSettings = onUse(func() map[string]rule {
	return tableOf([]entry[rule]{
		{"PBS_SERVER", pbsHost},
		{"PBS_PRIMARY", pbsHost},
		{"PBS_SECONDARY", pbsHost},
		{"PBS_SERVER_HOST_NAME", anyHost},
		{"PBS_PUBLIC_HOST_NAME", anyHost},
		{"PBS_OUTPUT_HOST_NAME", anyHost},
		{"PBS_MOM_NODE_NAME", anyHost},
		{"PBS_LEAF_NAME", pbsHosts},
		{"PBS_LEAF_ROUTERS", pbsHosts},
		{"PBS_START_MOM", pbsSwitch},
		{"PBS_START_SERVER", pbsNever}, // the others of a pool listen, too
		{"PBS_START_SCHED", pbsNever},
		{"PBS_START_COMM", pbsNever},
		{"PBS_EXEC", match("/opt/pbs", `/opt/pbs(?:/default)?`)}, // root starts what lies there
		{"PBS_HOME", match("/var/spool/pbs", `/var/spool/(?:pbs|PBS)`)},
		{"PBS_SCP", match("/usr/bin/scp or /bin/scp", `(?:/usr)?/bin/scp`)}, // the installer writes it
		{"PBS_BATCH_SERVICE_PORT", aPort},
		{"PBS_BATCH_SERVICE_PORT_DIS", aPort},
		{"PBS_MANAGER_SERVICE_PORT", aPort},
		{"PBS_MOM_SERVICE_PORT", aPort},
		{"PBS_AUTH_METHOD", match("munge, resvport or gss", `munge|resvport|gss`)},
		{"PBS_SUPPORTED_AUTH_METHODS", pbsAuth},
		{"PBS_ENCRYPT_METHOD", match("tls or gss", `tls|gss`)},
		{"PBS_CORE_LIMIT", match("a number or unlimited", `[0-9]{1,15}|unlimited`)},
		{"PBS_LOCALLOG", pbsSwitch},
		{"PBS_SYSLOG", match("a number", `[0-9]{1,3}`)},
		{"PBS_SYSLOGSEVR", match("a number from 0 to 7", `[0-7]`)},
		{"PBS_LOG_HIGHRES_TIMESTAMP", pbsSwitch},
		{"PBS_USE_COMPRESSION", pbsSwitch},
	})
})

// checkPBS allows /etc/pbs.conf of PBS Professional and OpenPBS, the part of it that an execution host reads.
func checkPBS(f *file) {
	f.shorterThan(pbsLineBuffer)
	f.assignments("#", pbsAssignment, pbsSettings())
}
