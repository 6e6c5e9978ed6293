// SPDX-License-Identifier: Apache-2.0

package grammar

var (
	netdataYes  = words("yes", "no")
	netdataAuto = words("yes", "no", "auto")
	netdataNo   = words("no")
	netdataText = match("plain text", `[A-Za-z0-9_][A-Za-z0-9_ .:,;/@+-]{0,200}`)

	// Every listener on the loopback, without the =what of newer versions, which opens more of the interface.
	netdataBind = listOf("", match("127.0.0.1, ::1 or localhost, with a port if you like", `(?:127\.0\.0\.1|\[::1\]|localhost)(?::`+portExpr+`)?|::1`))
)

// netdataSections are from "Daemon configuration" of Netdata 1.37. Not here: [directories] and [logs], which say
// where files are read and written and plugins started; [environment variables], which reaches every
// plugin; [plugin:NAME], whose "command options" go to a shell; "run as user" and "pthread stack size" of
// [global]; "script to execute on alarm" of [health]; [registry], [cloud] and [statsd] other than off.
var netdataSections = onUse(func() map[string]map[string]rule {
	return map[string]map[string]rule{
		"[global]": tableOf([]entry[rule]{
			{"hostname", anyHost},
			{"timezone", match("a time zone such as Europe/Zurich", `[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}`)},
			{"update every", from(1, 3600)},
			{"memory mode", words("dbengine", "ram", "alloc", "none")},
			{"history", from(5, 86400)},
			{"crash reports", words("off")},
			{"process scheduling policy", words("keep", "idle", "batch", "other")},
			{"OOM score", words("keep", "1000", "0")},
			{"cleanup obsolete charts after secs", from(0, 86400)},
		}),
		"[db]": tableOf([]entry[rule]{
			{"mode", words("dbengine", "ram", "alloc", "none")},
			{"update every", from(1, 3600)},
			{"retention", from(5, 86400)},
			{"storage tiers", from(1, 5)},
			{"page cache size MB", from(8, 4096)},
			{"dbengine page cache size MB", from(8, 4096)},
			{"dbengine disk space MB", from(64, 65536)},
			{"dbengine multihost disk space MB", from(64, 65536)},
			{"cleanup obsolete charts after secs", from(0, 86400)},
			{"gap when lost iterations above", from(1, 1000)},
			{"enable replication", netdataYes},
		}),
		"[web]": tableOf([]entry[rule]{
			{"mode", words("none", "static-threaded")},
			{"bind to", netdataBind},
			{"default port", from(1024, 65535)},
			{"web server threads", from(1, 64)},
			{"disconnect idle clients after seconds", from(1, 3600)},
			{"timeout for first request", from(1, 3600)},
			{"accept a streaming request every seconds", from(0, 3600)},
			{"respect do not track policy", netdataYes},
			{"enable gzip compression", netdataYes},
			{"gzip compression level", from(1, 9)},
		}),
		"[health]": tableOf([]entry[rule]{
			{"enabled", netdataYes},
			{"in memory max health log entries", from(50, 100000)},
			{"default repeat warning", match("never or a number of seconds", `never|[0-9]{1,6}s?`)},
			{"default repeat critical", match("never or a number of seconds", `never|[0-9]{1,6}s?`)},
			{"run at least every seconds", from(1, 3600)},
			{"enabled alarms", match("alarm names with blanks, * and ! in them", `[A-Za-z0-9_*! .-]{1,200}`)},
		}),
		"[host labels]": tableOf([]entry[rule]{
			{"site", netdataText}, {"cluster", netdataText}, {"flavour", netdataText}, {"type", netdataText}, {"location", netdataText},
			{"experiment", netdataText}, {"vo", netdataText}, {"rack", netdataText}, {"environment", netdataText}, {"role", netdataText},
		}),
		"[registry]":          {"enabled": netdataNo},
		"[cloud]":             {"enabled": netdataNo},
		"[statsd]":            {"enabled": netdataNo},
		"[ml]":                {"enabled": netdataAuto},
		"[global statistics]": {"update every": from(1, 3600)},

		// The collectors that are threads of Netdata itself may be turned on; the others are programs.
		"[plugins]": tableOf([]entry[rule]{
			{"proc", netdataYes}, {"diskspace", netdataYes}, {"cgroups", netdataYes}, {"timex", netdataYes}, {"idlejitter", netdataYes},
			{"loadavg", netdataYes}, {"netdata monitoring", netdataYes}, {"netdata monitoring extended", netdataYes}, {"profile", netdataNo},
			{"statsd", netdataNo}, {"tc", netdataNo}, {"checks", netdataNo}, {"enable running new plugins", netdataNo}, {"apps", netdataNo},
			{"charts", netdataNo}, {"python", netdataNo}, {"go", netdataNo}, {"node", netdataNo}, {"fping", netdataNo}, {"ioping", netdataNo},
			{"ebpf", netdataNo}, {"perf", netdataNo}, {"slabinfo", netdataNo}, {"freeipmi", netdataNo}, {"nfacct", netdataNo},
			{"cups", netdataNo}, {"xenstat", netdataNo}, {"debugfs", netdataNo}, {"check for new plugins every", from(0, 86400)},
		}),
	}
})

var netdataCert = below("/etc/netdata/", "/etc/ssl/", "/etc/pki/")

var netdataStream = onUse(func() map[string]map[string]rule {
	return map[string]map[string]rule{
		"[stream]": tableOf([]entry[rule]{
			{"enabled", netdataYes},

			// PROTOCOL:HOST%INTERFACE:PORT:SSL without unix:, which is a path.
			{"destination", listOf("", match("host, host:port or host:port:SSL",
				`(?:tcp:)?(?:`+hostExpr+`|\[`+ip6Expr+`\])(?:%[A-Za-z0-9_.-]{1,15})?(?::`+portExpr+`)?(?::SSL)?`))},
			{"api key", match("a UUID", `[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}`)},
			{"timeout seconds", from(1, 3600)},
			{"default port", from(1, 65535)},
			{"buffer size bytes", from(65536, 1<<30)},
			{"reconnect delay seconds", from(1, 3600)},
			{"initial clock resync iterations", from(0, 3600)},
			{"send charts matching", match("chart names with blanks, * and ! in them", `[A-Za-z0-9_*! .-]{1,200}`)},
			{"enable compression", netdataYes},
			{"enable replication", netdataYes},
			{"ssl skip certificate verification", netdataNo},
			{"CApath", netdataCert},
			{"CAfile", netdataCert},
		}),
	}
})
