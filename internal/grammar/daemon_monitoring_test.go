// SPDX-License-Identifier: Apache-2.0

package grammar

// monitoringDaemons are those of nodes that are watched. NRPE has no check of its own: with -i it reads its
// configuration, writes what it thinks of it to its log and finds no connection. gmond -m reads the
// configuration, loads the modules and lists their metrics. Netdata says nothing about what it does not
// know, and always starts itself and its own plugins, so it is asked whether it starts something else.
var monitoringDaemons = []daemon{
	{
		format:    "gmond",
		check:     []string{"/usr/sbin/gmond", "-c", "DIR/site.conf", "-m"},
		run:       []string{"/usr/sbin/gmond", "-c", "DIR/site.conf", "-f"},
		complaint: `(?i)no such option|parse error|cannot load|invalid`,
		bad:       "globals { nosuch = yes }\n",
	},
	{
		format:    "icinga2-zones",
		main:      "const NodeName = \"wn021.example.org\"\nconst ZoneName = NodeName\ninclude \"DIR/site.conf\"\n",
		check:     []string{"/bin/sh", "-c", `chmod 755 DIR; exec "$0" daemon -C -c DIR/main.conf`, "/usr/sbin/icinga2"}, // as nagios
		complaint: `critical/`,
		bad:       "object Zone \"x\" {\n  nosuch = 1\n}\n",
	},
	{
		format: "netdata",
		check: []string{"/bin/sh", "-c", `for d in /var/lib /var/cache /var/log; do mount -t tmpfs none $d/netdata; chown netdata $d/netdata; done
			timeout -k 1 $((3 * ${CTXAGENT_DAEMON_PATIENCE:-1})) strace -f -qq -e trace=execve -o DIR/trace "$0" -u netdata -D -c DIR/site.conf >/dev/null 2>&1
			test $(grep -c 'execve(' DIR/trace) -gt 1 || echo netdata did not start
			grep 'execve(' DIR/trace | grep -v -e /usr/sbin/netdata -e /usr/lib/netdata/ -e grep -e systemd; true`, "/usr/sbin/netdata"},
		complaint: `execve|did not start`,
		bad:       "[web]\nmode = none\n[plugins]\ntc = yes\n[plugin:tc]\nscript to run to get tc values = /bin/true\n",
	},
	{
		format: "node_exporter",
		check:  []string{"/bin/sh", "-fc", `. DIR/site.conf; exec "$0" $ARGS --version`, "/usr/bin/prometheus-node-exporter"},
		bad:    "ARGS=\"--collector.nosuch\"\n",
	},
	{
		format:    "nrpe",
		main:      "log_file=DIR/log\nnrpe_user=nobody\nnrpe_group=nogroup\nserver_port=5666\ninclude=DIR/site.conf\n",
		check:     []string{"/bin/sh", "-c", `"$0" -c DIR/main.conf -i </dev/null; cat DIR/log`, "/usr/sbin/nrpe"},
		run:       []string{"/usr/sbin/nrpe", "-c", "DIR/main.conf", "-f"},
		complaint: `Unknown option|Invalid|No variable|Continuing with errors`,
		bad:       "nosuch=1\n",
	},
	{
		format:    "zabbix-agent2",
		main:      "LogType=console\nPidFile=DIR/pid\nServer=127.0.0.1\nHostname=image\nControlSocket=DIR/control\nPluginSocket=DIR/plugin\nInclude=DIR/site.conf\n",
		check:     []string{"/usr/sbin/zabbix_agent2", "-c", "DIR/main.conf", "-t", "agent.ping"},
		run:       []string{"/usr/sbin/zabbix_agent2", "-f", "-c", "DIR/main.conf"},
		writes:    []string{"/var/log/zabbix/"},
		complaint: `unknown parameter|exceeded|[Cc]annot assign|cannot parse`,
		bad:       "NoSuch=1\n",
	},
	{
		format:    "zabbix-agentd",
		main:      "LogType=console\nPidFile=DIR/pid\nAllowRoot=1\nServer=127.0.0.1\nHostname=image\nInclude=DIR/site.conf\n",
		check:     []string{"/usr/sbin/zabbix_agentd", "-c", "DIR/main.conf", "-t", "agent.ping"},
		run:       []string{"/usr/sbin/zabbix_agentd", "-f", "-c", "DIR/main.conf"},
		writes:    []string{"/var/log/zabbix-agent/"},
		complaint: `unknown parameter|invalid|exceeds|missing mandatory`,
		bad:       "NoSuch=1\n",
	},
}
