// SPDX-License-Identifier: Apache-2.0

package grammar

// lsfLineBuffer is the shortest line that a reader of lsf.conf takes whole.
const lsfLineBuffer = 512

// lsfAssignment is NAME=value or NAME="value". LSF's own scripts source lsf.conf as root, so a value has no
// character that is special to a shell, and blanks and brackets only in quotes.
var lsfAssignment = lazy(`\A([A-Z][A-Z0-9_]*)=("[A-Za-z0-9_.,:/@%+*=()\[\] -]*"|[A-Za-z0-9_.,:/@%+-]*)\z`)

// lsfComment is what looks like a comment and is none in files of LSF: Configuration Reference, "#INCLUDE", and
// Administration Guide, "Automatic time-based configuration". Not every version obeys it in lsf.conf.
var lsfComment = lazy(`(?i)\A[ \t]*#[ \t]*(?:include|if|ifdef|elif|else|endif|define)\b`)

// unquoted is a rule for a value that may be in a pair of double quotes.
func unquoted(r rule) rule {
	return rule{r.want, func(s string) bool {
		if len(s) >= 2 && s[0] == '"' {
			s = s[1 : len(s)-1] // lsfAssignment saw to the other one
		}
		return r.ok(s)
	}}
}

var (
	lsfHosts = listOf("", match("a host name", hostExpr))
	lsfYesNo = oneOf("Y", "N", "y", "n")
	lsfOwn   = below("/opt/lsf/") // the client that the site unpacked
	lsfDelay = match("a number, with h or m behind it if you like", `[0-9]{1,9}[hHmM]?`)
	lsfUnit  = oneOf("KB", "MB", "GB", "TB", "PB", "EB")
)

// lsfSettings are from the IBM Spectrum LSF Configuration Reference 10.1, "lsf.conf". Not here is what names a
// program (LSB_MAILPROG, LSF_RSH, LSB_PRE_POST_EXEC_USER and the like, LSB_*_PREEXEC, LSB_ESUB_METHOD,
// LSB_API_*), trusts hosts (LSF_USE_HOSTEQUIV), makes accounts administrators (LSF_ROOT_USER, LSF_ROOT_REX),
// starts other daemons (LSF_ENABLE_EGO) or writes elsewhere (LSF_TMPDIR, LSB_CHUNK_RUSAGE and the rest).
var lsfSettings = onUse(func() map[string]rule {
	return tableOf([]entry[rule]{
		{"LSF_MASTER_LIST", lsfHosts},
		{"LSF_SERVER_HOSTS", lsfHosts},
		{"LSF_GET_CONF", oneOf("lim")},
		{"LSF_LIM_PORT", aPort},
		{"LSF_RES_PORT", aPort},
		{"LSB_MBD_PORT", aPort},
		{"LSB_SBD_PORT", aPort},
		{"LSB_QUERY_PORT", aPort},
		{"LSF_STRIP_DOMAIN", match("domains such as .example.org with colons between", `\.[A-Za-z0-9.-]+(?::\.[A-Za-z0-9.-]+)*`)},
		{"LSF_DYNAMIC_HOST_WAIT_TIME", number},
		{"LSF_DYNAMIC_HOST_TIMEOUT", lsfDelay},
		{"LSF_LOCAL_RESOURCES", match("[resource name] and [resourcemap value*name]", `(?:\[(?:resource|resourcemap|type|model) [A-Za-z0-9_.*-]+\] ?)+`)},
		{"LSF_AUTH", match("eauth", `eauth`)},
		{"LSF_AUTH_DAEMONS", lsfYesNo},
		{"LSF_ENABLE_EGO", oneOf("N")},
		{"LSF_EGO_DAEMON_CONTROL", oneOf("N")},
		{"LSF_LOGDIR", below("/var/log/lsf")},
		{"LSF_LOG_MASK", match("a level such as LOG_WARNING", `LOG_(?:EMERG|ALERT|CRIT|ERR|WARNING|NOTICE|INFO|DEBUG[123]?)`)},
		{"LSF_UNIT_FOR_LIMITS", lsfUnit},
		{"LSF_PROCESS_TRACKING", lsfYesNo},
		{"LSF_LINUX_CGROUP_ACCT", lsfYesNo},
		{"LSB_RESOURCE_ENFORCE", listOf("", oneOf("cpu", "memory", "gpu"))},
		{"LSB_JOB_CPULIMIT", lsfYesNo},
		{"LSB_JOB_MEMLIMIT", lsfYesNo},
		{"LSF_ACCEPT_NUMCLIENTS", number},
		{"LSF_VERSION", match("a version", `[0-9.]{1,16}`)},
		{"LSF_TOP", either(match("/opt/lsf", `/opt/lsf`), lsfOwn)},
		{"LSF_CONFDIR", lsfOwn},
		{"LSF_ENVDIR", lsfOwn},
		{"LSB_CONFDIR", lsfOwn},
		{"LSB_SHAREDIR", lsfOwn},
		{"LSF_BINDIR", lsfOwn},
		{"LSF_LIBDIR", lsfOwn},
		{"LSF_SERVERDIR", lsfOwn},
		{"LSF_MACHDEP", lsfOwn},
		{"LSF_INDEP", either(match("/opt/lsf", `/opt/lsf`), lsfOwn)},
		{"LSF_MANDIR", lsfOwn},
		{"LSF_INCLUDEDIR", lsfOwn},
		{"LSF_MISC", lsfOwn},
		{"XLSF_UIDDIR", lsfOwn},
	})
})

// checkLSF allows lsf.conf of a host that runs jobs: where its master is, its ports and logs. The directories
// with LSF's programs are those of a client below /opt/lsf.
func checkLSF(f *file) {
	f.shorterThan(lsfLineBuffer)
	for i, line := range f.lines {
		if lsfComment.MatchString(line) {
			f.refuse(i+1, line, "comment is an include or a condition to LSF: remove it, or begin it with another word")
		}
	}
	table := make(map[string]rule, len(lsfSettings()))
	for name, r := range lsfSettings() {
		table[name] = unquoted(r)
	}
	f.assignments("#", lsfAssignment, table)
}
