// SPDX-License-Identifier: Apache-2.0

package grammar

import "testing"

func TestJournald(t *testing.T) {
	testAllowed(t, "journald", []allowed{
		{"forward", "[Journal]\nForwardToSyslog=yes\nMaxLevelSyslog=info\n"},
		{"no limit of rate and age", "[Journal]\nRateLimitIntervalSec=0\nRateLimitBurst=0\nMaxRetentionSec=0\n"},
		{"ages", "[Journal]\nMaxRetentionSec=7d\nMaxFileSec=1day\nSyncIntervalSec=5m\nRuntimeMaxFileSize=16777216\n"},
		{"limits", "; site\n[Journal]\nSystemMaxUse = 500M\nRuntimeMaxUse=64M\nMaxRetentionSec=1month\nRateLimitIntervalSec=30s\nRateLimitBurst=10000\n"},
		{"storage", "[Journal]\nStorage=persistent\nCompress=no\nForwardToConsole=no\n"},
	})
	testRefused(t, "journald", []refused{
		{"silenced", "[Journal]\nStorage=none\n", 2, "Storage"},
		{"wiped by age", "[Journal]\nMaxRetentionSec=1s\n", 2, "MaxRetentionSec"},
		{"wiped by age in small units", "[Journal]\nMaxRetentionSec=999999999us\n", 2, "MaxRetentionSec"},
		{"wiped by size", "[Journal]\nSystemMaxUse=1K\n", 2, "SystemMaxUse"},
		{"wiped by size in memory", "[Journal]\nRuntimeMaxUse=1\n", 2, "RuntimeMaxUse"},
		{"wiped by number", "[Journal]\nSystemMaxFiles=1\n", 2, "SystemMaxFiles"},
		{"silenced by rate", "[Journal]\nRateLimitIntervalSec=1month\nRateLimitBurst=1\n", 3, "RateLimitBurst"},
		{"silenced by period", "[Journal]\nRateLimitIntervalSec=1month\n", 2, "RateLimitIntervalSec"},
		{"silenced by free space", "[Journal]\nSystemKeepFree=16E\n", 2, "SystemKeepFree"},
		{"empty value, which is the default again", "[Journal]\nCompress=\n", 2, "Compress"},
		{"section with a comment", "[Journal] # x\nCompress=yes\n", 1, ""},
		{"silenced by level", "[Journal]\nMaxLevelStore=emerg\n", 2, "MaxLevelStore"},
		{"console", "[Journal]\nForwardToConsole=yes\nTTYPath=/dev/sda\n", 3, "TTYPath"},
		{"console on", "[Journal]\nForwardToConsole=yes\n", 2, "ForwardToConsole"},
		{"socket", "[Journal]\nForwardToSocket=/run/docker.sock\n", 2, "ForwardToSocket"},
		{"another section", "[Journal]\nCompress=yes\n[Service]\nExecStart=/bin/x\n", 3, "[Service]"},
		{"setting of another section", "[Service]\nExecStart=/bin/x\n", 2, "ExecStart"},
		{"before a section", "Compress=yes\n", 1, "Compress=yes"},
		{"case", "[Journal]\ncompress=yes\n", 2, "compress"},
		{"section case", "[journal]\n", 1, "[journal]"},
		{"continuation", "[Journal]\nCompress=\\\nyes\n", 2, ""},
		{"continued comment", "[Journal]\n# a \\\nTTYPath=/dev/sda\n", 2, ""},
		{"trailing garbage", "[Journal]\nCompress=yes; TTYPath=/dev/sda\n", 2, "Compress"},
		{"specifier", "[Journal]\nSystemMaxUse=%h\n", 2, "SystemMaxUse"},
		{"include", ".include /tmp/x\n", 1, ""},
	})
}

func TestNodeExporter(t *testing.T) {
	testAllowed(t, "node_exporter", []allowed{
		{"Debian's own", "# Set the command-line arguments to pass to the server.\nARGS=\"\"\n"},
		{"collectors", `ARGS="--collector.systemd --no-collector.wifi --no-collector.infiniband --collector.tcpstat"` + "\n"},
		{"listen", `ARGS="--web.listen-address=192.0.2.5:9100 --web.telemetry-path=/metrics --web.max-requests=10"` + "\n"},
		{"listen on IPv6", `ARGS='--web.listen-address=[2001:db8::5]:9100 --log.level=warn --log.format=json'` + "\n"},
		{"filters", `ARGS="--collector.filesystem.mount-points-exclude=^/(dev|proc|run|sys)(/.*)? --collector.filesystem.fs-types-exclude=^(tmpfs|overlay) --collector.netdev.device-exclude=^(lo|veth.*) --collector.textfile.directory=/var/lib/prometheus/node-exporter"` + "\n"},
		{"minimal", `ARGS="--collector.disable-defaults --web.disable-exporter-metrics --collector.cpu --collector.meminfo --web.listen-address=:9100"` + "\n"},
	})
	testRefused(t, "node_exporter", []refused{
		{"web config", `ARGS="--web.config.file=/tmp/x"`, 1, "--web.config.file"},
		{"web config, older", `ARGS="--web.config=/tmp/x"`, 1, "--web.config"},
		{"root", `ARGS="--path.rootfs=/host"`, 1, "--path.rootfs"},
		{"textfile elsewhere", `ARGS="--collector.textfile.directory=/etc"`, 1, "--collector.textfile.directory"},
		{"textfile above", `ARGS="--collector.textfile.directory=/var/lib/prometheus/node-exporter/../.."`, 1, "--collector.textfile.directory"},
		{"collector with a value", `ARGS="--collector.cpu=/etc/shadow"`, 1, "--collector.cpu"},
		{"collector in another case", `ARGS="--collector.CPU"`, 1, "--collector.CPU"},
		{"systemd socket", `ARGS="--web.systemd-socket"`, 1, "--web.systemd-socket"},
		{"arguments from a file", `ARGS="@/tmp/x"`, 1, "@/tmp/x"},
		{"end of flags", `ARGS="--collector.cpu -- x"`, 1, "--"},
		{"short flag", `ARGS="-h"`, 1, "-h"},
		{"value as a word", `ARGS="--web.listen-address :9100"`, 1, "--web.listen-address"},
		{"another server", `ARGS="--collector.ntp.server=192.0.2.1"`, 1, "--collector.ntp.server"},
		{"command substitution", "ARGS=\"$(id)\"", 1, "ARGS"},
		{"backquotes", "ARGS=\"`id`\"", 1, "ARGS"},
		{"escape", `ARGS="--collector\x2ecpu"`, 1, "ARGS"},
		{"quote in quotes", `ARGS="--web.telemetry-path='/x'"`, 1, "ARGS"},
		{"quotes joined", `ARGS="--collector.cpu"' --path.rootfs=/x'`, 1, "ARGS"},
		{"command behind the value", `ARGS="--collector.cpu" /bin/x`, 1, "ARGS"},
		{"command behind a semicolon", `ARGS="--collector.cpu"; /bin/x`, 1, "ARGS"},
		{"no quotes", `ARGS=--collector.cpu`, 1, "ARGS"},
		{"blanks around the sign", `ARGS = "--collector.cpu"`, 1, ""},
		{"open quote", "ARGS=\"--collector.cpu\n--path.rootfs=/x\"", 1, "ARGS"},
		{"second line of a value", "ARGS=\"--collector.cpu\n--path.rootfs=/x\"", 2, ""},
		{"another variable", "ARGS=\"\"\nLD_PRELOAD=\"/tmp/x.so\"", 2, "LD_PRELOAD"},
		{"lower case", `args=""`, 1, "args"},
		{"export", `export ARGS=""`, 1, ""},
		{"command", "/bin/x", 1, "/bin/x"},
		{"comment of systemd alone", "; x\n", 1, ""},
		{"value on the next word of systemd", "ARGS=\"--collector.cpu\" \"--path.rootfs=/x\"", 1, "ARGS"},
		{"negated flag of a value", `ARGS="--no-web.listen-address"`, 1, "--no-web.listen-address"},
		{"blank before the name", ` ARGS=""`, 1, "ARGS"},
		{"expansion in braces", "ARGS=\"${HOME}\"", 1, "ARGS"},
		{"plus as of the shell", `ARGS+="--path.rootfs=/x"`, 1, ""},
		{"continued comment", "# a \\\nARGS=\"\"", 1, ""},
		{"continuation", "ARGS=\\\n\"--path.rootfs=/x\"", 1, "ARGS"},
	})
}

func TestPrometheusText(t *testing.T) {
	testAllowed(t, "prometheus-text", []allowed{
		{"names near the exporter's", "node_reboot_required 0\nnode_directory_size_bytes{directory=\"/a\"} 1\ngopher 1\n"},
		{"gauge", "# HELP site_info Where this node runs.\n# TYPE site_info gauge\nsite_info{site=\"CERN\",flavour=\"m2.large\"} 1\n"},
		{"numbers", "a 1\nb -1.5e-3\nc +Inf\nd NaN\ne .5\nf{} 0\n"},
		{"blanks and escapes", "# just a comment\n\n  a { b = \"x\\\\y\\\"z\\n\" , c=\"}\", }\t7 \n"},
		{"histogram", "# TYPE h histogram\nh_bucket{le=\"0.1\"} 1\nh_bucket{le=\"+Inf\"} 3\nh_sum 1.2\nh_count 3\n"},
	})
	testRefused(t, "prometheus-text", []refused{
		{"shell script", "#!/bin/sh\nrm -rf /\n", 2, "rm -rf /"},
		{"timestamp", "a 1 1700000000000\n", 1, "a"},
		{"no value", "a{b=\"c\"}\n", 1, ""},
		{"text after the value", "a 1 ; id\n", 1, ""},
		{"type", "# TYPE a thing\n", 1, "TYPE"},
		{"second type", "# TYPE a gauge\n# TYPE a counter\n", 2, "a"},
		{"escape", "a{b=\"\\x41\"} 1\n", 1, ""},
		{"open string", "a{b=\"c} 1\n", 1, ""},
		{"hexadecimal", "a 0x1p-2\n", 1, ""},
		{"no line feed", "a 1\nb 2", 2, ""},
		{"type behind a sample", "a 1\n# TYPE a gauge\n", 2, "a"},
		{"comment behind a value", "a 1 # b\n", 1, ""},
		{"the exporter's own error", "node_textfile_scrape_error 0\n", 1, "node_textfile_scrape_error"},
		{"the exporter's own error with a label", "node_scrape_collector_success{collector=\"cpu\"} 1\n", 1, "node_scrape_collector_success"},
		{"the exporter's own load", "node_load1 0\n", 1, "node_load1"},
		{"the exporter itself", "process_start_time_seconds 0\n", 1, "process_start_time_seconds"},
	})
}
