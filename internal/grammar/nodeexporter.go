// SPDX-License-Identifier: Apache-2.0

package grammar

import "strings"

var (
	nodeExporterFlag      = lazy(`\A(--[A-Za-z][A-Za-z0-9_.-]*)(?:=(.*))?\z`)
	nodeExporterCollector = lazy(`\A--(?:no-)?collector\.[a-z0-9_]+\z`)
	nodeExporterRegexp    = match("a regular expression without $, backslash, quotes and blanks", `[A-Za-z0-9_.,:;^()|*+?\[\]{}/=@%-]+`)
	nodeExporterListen    = match("host:port or :port", `(?:`+hostExpr+`|\[`+ip6Expr+`\])?:`+portExpr)
)

// nodeExporterBare are the flags without a value, other than --collector.NAME and --no-collector.NAME.
var nodeExporterBare = onUse(func() map[string]bool {
	return map[string]bool{
		"--collector.disable-defaults":                  true,
		"--collector.bcache.priorityStats":              true,
		"--collector.cpu.guest":                         true,
		"--collector.cpu.info":                          true,
		"--no-collector.cpu.guest":                      true,
		"--no-collector.cpu.info":                       true,
		"--collector.netclass.ignore-invalid-speed":     true,
		"--collector.netclass.netlink":                  true,
		"--collector.netclass_rtnl.with-stats":          true,
		"--collector.netdev.address-info":               true,
		"--collector.netdev.enable-detailed-metrics":    true,
		"--collector.netdev.netlink":                    true,
		"--no-collector.netdev.netlink":                 true,
		"--collector.rapl.enable-zone-label":            true,
		"--collector.stat.softirq":                      true,
		"--collector.systemd.enable-task-metrics":       true,
		"--collector.systemd.enable-restarts-metrics":   true,
		"--collector.systemd.enable-start-time-metrics": true,
		"--web.disable-exporter-metrics":                true,
	}
})

// nodeExporterValued are the flags with a value, from node_exporter 1.5.0 --help. Not here are those that
// name a file, a directory or a socket (--path.*, --web.config.file, --collector.runit.servicedir, the
// fixtures), another server to ask (--collector.ntp.server, --collector.supervisord.url) or kernel
// internals (--collector.perf.*, --collector.sysctl.*).
var nodeExporterValued = onUse(func() map[string]rule {
	return tableOf([]entry[rule]{
		{"--collector.arp.device-include", nodeExporterRegexp},
		{"--collector.arp.device-exclude", nodeExporterRegexp},
		{"--collector.cpu.info.flags-include", nodeExporterRegexp},
		{"--collector.cpu.info.bugs-include", nodeExporterRegexp},
		{"--collector.diskstats.device-include", nodeExporterRegexp},
		{"--collector.diskstats.device-exclude", nodeExporterRegexp},
		{"--collector.ethtool.device-include", nodeExporterRegexp},
		{"--collector.ethtool.device-exclude", nodeExporterRegexp},
		{"--collector.ethtool.metrics-include", nodeExporterRegexp},
		{"--collector.filesystem.mount-points-exclude", nodeExporterRegexp},
		{"--collector.filesystem.fs-types-exclude", nodeExporterRegexp},
		{"--collector.ipvs.backend-labels", nodeExporterRegexp},
		{"--collector.netclass.ignored-devices", nodeExporterRegexp},
		{"--collector.netdev.device-include", nodeExporterRegexp},
		{"--collector.netdev.device-exclude", nodeExporterRegexp},
		{"--collector.netstat.fields", nodeExporterRegexp},
		{"--collector.powersupply.ignored-supplies", nodeExporterRegexp},
		{"--collector.qdisk.device-include", nodeExporterRegexp},
		{"--collector.qdisk.device-exclude", nodeExporterRegexp},
		{"--collector.systemd.unit-include", nodeExporterRegexp},
		{"--collector.systemd.unit-exclude", nodeExporterRegexp},
		{"--collector.tapestats.ignored-devices", nodeExporterRegexp},
		{"--collector.vmstat.fields", nodeExporterRegexp},
		{"--collector.textfile.directory", match("/var/lib/prometheus/node-exporter", `/var/lib/prometheus/node-exporter/?`)},
		{"--web.listen-address", nodeExporterListen},
		{"--web.telemetry-path", match("a plain path", `/[A-Za-z0-9_/.-]+`)},
		{"--web.max-requests", match("a number", `[0-9]{1,6}`)},
		{"--log.level", oneOf("debug", "info", "warn", "error")},
		{"--log.format", oneOf("logfmt", "json")},
	})
})

// checkNodeExporter allows Debian's /etc/default/prometheus-node-exporter: the variable ARGS, whose words
// are flags of node_exporter, each written as --flag or --flag=value.
func checkNodeExporter(f *file) {
	f.environment("ARGS", func(line int, words []string) {
		for _, word := range words {
			m := nodeExporterFlag.FindStringSubmatch(word)
			if m == nil {
				f.refuse(line, word, "%q is not a long flag: write --flag or --flag=value", cut(word))
				continue
			}
			flag, bare := m[1], !strings.Contains(word, "=")
			switch {
			case bare && (nodeExporterBare()[flag] || nodeExporterCollector.MatchString(flag)):
			case !bare && (nodeExporterBare()[flag] || nodeExporterCollector.MatchString(flag)) && !f.extra[flag]:
				f.refuse(line, flag, "%s takes no value: write it alone", cut(flag))
			default:
				f.setting(line, flag, m[2], nodeExporterValued())
			}
		}
	})
}
