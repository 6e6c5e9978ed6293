// SPDX-License-Identifier: Apache-2.0

package grammar

import "strings"

// gridEngineBuffer is the shortest buffer into which a Grid Engine reads a line of bootstrap.
const gridEngineBuffer = 1000

const (
	gridEngineRoot  = `(?:/var/lib/gridengine|/usr/share/gridengine|/opt/(?:sge|gridengine|uge|ocs)(?:[0-9]+(?:\.[0-9]+)*)?)`
	gridEngineSpool = `(?:/var/spool/gridengine|` + gridEngineRoot + `)(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*`
)

var (
	gridEngineLine = lazy(`\A([A-Za-z_]+)[ \t]+([^ \t]+)\z`)
	gridEngineBool = oneOf("true", "false", "1", "0")
)

// gridEngineSettings are from bootstrap(5). Not here is what only a version with other security has; what is,
// has to be there, or the daemon does not start. admin_user is whom the daemon becomes for its files,
// spooling_lib is a library that is loaded, binary_path is where the daemon starts its helpers from.
var gridEngineSettings = onUse(func() map[string]rule {
	return tableOf([]entry[rule]{
		{"admin_user", match("sgeadmin, sge or none", `sgeadmin|sge|none`)},
		{"default_domain", anyHost},
		{"ignore_fqdn", gridEngineBool},
		{"spooling_method", match("classic or berkeleydb", `classic|berkeleydb`)},
		{"spooling_lib", match("libspoolc or libspoolb", `libspool[bc]`)},
		{"spooling_params", match("Grid Engine's own directories with ; between", gridEngineSpool+`(?:;`+gridEngineSpool+`)?(?:;private)?`)},
		{"binary_path", match("/usr/lib/gridengine, or bin of a client below /opt", `/usr/lib(?:64)?/gridengine|/opt/(?:sge|gridengine|uge|ocs)(?:[0-9]+(?:\.[0-9]+)*)?/bin`)},
		{"qmaster_spool_dir", match("a directory of Grid Engine's own", gridEngineSpool)},
		{"security_mode", match("none, munge or csp", `none|munge|csp`)},
		{"job_spooling", gridEngineBool},
		{"listener_threads", momNumber},
		{"worker_threads", momNumber},
		{"scheduler_threads", oneOf("0", "1")},
		{"jvm_threads", oneOf("0")}, // one thread more, with a Java virtual machine that listens
	})
})

// checkGridEngineBootstrap allows the file bootstrap of a cell, bootstrap(5) of Grid Engine 8.1: a name, blanks
// and one word as its value. Some versions read the rest of the line as the value and some one word.
func checkGridEngineBootstrap(f *file) {
	f.shorterThan(gridEngineBuffer)
	f.assignments("#", gridEngineLine, gridEngineSettings())
}

// gridEngineShell is NAME=value or NAME="value", with "; export NAME" behind it or not, or export NAME.
var gridEngineShell = lazy(`\A([A-Z][A-Z0-9_]*)=(?:"([A-Za-z0-9_./-]*)"|([A-Za-z0-9_./-]*))(?:[ \t]*;[ \t]*export[ \t]+([A-Z][A-Z0-9_]*))?\z`)

// gridEngineVariables are from sge_intro(1) and sge_execd(8), ENVIRONMENT VARIABLES, and Debian's defaults file.
// SGE_ROOT is where the daemon starts programs from.
var gridEngineVariables = onUse(func() map[string]rule {
	return tableOf([]entry[rule]{
		{"SGE_ROOT", match("/var/lib/gridengine, /usr/share/gridengine or a client below /opt", gridEngineRoot)},
		{"SGE_CELL", aName},
		{"SGE_CLUSTER_NAME", aName},
		{"SGE_ARCH", match("an architecture such as lx-amd64", `[a-z0-9_]+-[a-z0-9_]+`)},
		{"SGE_QMASTER_PORT", aPort},
		{"SGE_EXECD_PORT", aPort},
		{"SGE_START_EXECD", match("yes or no", `yes|no`)},
		{"SGE_START_MASTERD", match("no", `no`)}, // a master listens
	})
})

// checkGridEngineDefaults allows Debian's /etc/default/gridengine and a cell's settings.sh. Shells source
// both, the first one root's: only plain assignments and exports of the variables above are allowed.
func checkGridEngineDefaults(f *file) {
	for i, line := range f.lines {
		if f.comment(i+1, line, "#") {
			continue
		}
		text := strings.Trim(line, " \t")
		if name, ok := strings.CutPrefix(text, "export "); ok {
			f.gridEngineExport(i+1, name)
			continue
		}
		m := gridEngineShell.FindStringSubmatch(text)
		if m == nil {
			name, _, _ := strings.Cut(text, "=")
			f.refuse(i+1, name, "%q is not a plain NAME=value or export NAME, and a shell would run it: rewrite or remove it", cut(text))
			continue
		}
		f.setting(i+1, m[1], m[2]+m[3], gridEngineVariables())
		if m[4] != "" {
			f.gridEngineExport(i+1, m[4])
		}
	}
}

// gridEngineExport allows a variable of the list to be passed on.
func (f *file) gridEngineExport(line int, name string) {
	if _, ok := gridEngineVariables()[name]; !ok && !f.extra[name] {
		f.unknown(line, name)
	}
}
