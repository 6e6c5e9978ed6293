// SPDX-License-Identifier: Apache-2.0

package grammar

import "maps"

var (
	filebeatBool  = oneOf("true", "false")
	filebeatSpan  = match("a time span such as 10s", `[0-9]{1,9}(?:ms|s|m|h)?`)
	filebeatText  = match("letters, digits and the usual signs", `[A-Za-z0-9_.,:;/*?!+=<>()\[\]|^%@ -]{1,200}`)
	filebeatIndex = match("a name, with %{[field]} or %{+yyyy.MM.dd} in it if you like", `[A-Za-z0-9_.-]*(?:%\{(?:\[[a-z_.]+\]|\+[A-Za-z.-]+)\}[A-Za-z0-9_.-]*)*`)
	filebeatCert  = below("/etc/ssl/", "/etc/pki/", "/etc/filebeat/")
	filebeatPeer  = either(anyURL, match("a host, with a port if you like", `(?:`+hostExpr+`|\[`+ip6Expr+`\])(?::`+portExpr+`)?`))
)

// filebeatFamilies are tables whose keys are the site's own.
var filebeatFamilies = []string{"fields.", "filebeat.inputs[].fields.", "processors[].add_fields.fields."}

// filebeatSettings are from the Filebeat 8 reference, "Configure". Not here are filebeat.config.* and
// filebeat.modules, which read other files, path.* and filebeat.registry.*, output.file and output.console,
// http.*, which listens, setup.dashboards, and the processor script; inputs are the three that read files.
var filebeatSettings = onUse(func() map[string]rule {
	return filebeatJoin(
		tableOf([]entry[rule]{
			{"name", anyHost},
			{"tags[]", aName},
			{"fields_under_root", filebeatBool},
			{"max_procs", number},
			{"queue.mem.events", number},
			{"queue.mem.flush.min_events", number},
			{"queue.mem.flush.timeout", filebeatSpan},
			{"logging.level", oneOf("debug", "info", "warning", "error")},
			{"logging.metrics.enabled", filebeatBool},
			{"logging.to_stderr", filebeatBool},
			{"logging.to_syslog", filebeatBool},
			{"setup.ilm.enabled", oneOf("true", "false", "auto")},
			{"setup.template.enabled", filebeatBool},
			{"setup.template.name", aName},
			{"setup.template.pattern", match("a pattern of names", `[A-Za-z0-9_.*-]+`)},
			{"setup.dashboards.enabled", oneOf("false")},
			{"processors[].add_fields.target", match("a name or nothing", `[A-Za-z0-9_.-]*`)},
			{"processors[].add_host_metadata", match("~", `~|null|`)},
			{"processors[].add_tags.tags[]", aName},
			{"processors[].add_tags.target", aName},
			{"processors[].drop_fields.fields[]", aName},
		}),
		filebeatUnder("filebeat.inputs[].", tableOf([]entry[rule]{
			{"type", oneOf("log", "filestream", "journald")},
			{"id", aName},
			{"enabled", filebeatBool},
			{"paths[]", fluentLogs},
			{"exclude_files[]", filebeatText},
			{"include_lines[]", filebeatText},
			{"exclude_lines[]", filebeatText},
			{"tags[]", aName},
			{"fields_under_root", filebeatBool},
			{"encoding", oneOf("plain", "utf-8", "latin1")},
			{"ignore_older", filebeatSpan},
			{"close_inactive", filebeatSpan},
			{"scan_frequency", filebeatSpan},
			{"tail_files", filebeatBool},
			{"max_bytes", number},
			{"units[]", match("the name of a unit", `[A-Za-z0-9_.@:-]+`)},
			{"seek", oneOf("head", "tail", "cursor")},
		})),
		filebeatOutput("output.elasticsearch.", tableOf([]entry[rule]{
			{"hosts[]", filebeatPeer},
			{"protocol", oneOf("http", "https")},
			{"path", fluentURI},
			{"api_key", aSecret},
			{"index", filebeatIndex},
			{"pipeline", aName},
		})),
		filebeatOutput("output.logstash.", tableOf([]entry[rule]{
			{"hosts[]", filebeatPeer},
			{"index", filebeatIndex},
			{"pipelining", number},
			{"slow_start", filebeatBool},
			{"ttl", filebeatSpan},
			{"escape_html", filebeatBool},
		})),
		filebeatOutput("output.kafka.", tableOf([]entry[rule]{
			{"hosts[]", filebeatPeer},
			{"topic", filebeatIndex},
			{"version", match("a version", `[0-9.]{1,10}`)},
			{"client_id", aName},
			{"required_acks", integer},
			{"compression", oneOf("none", "snappy", "lz4", "gzip")},
			{"sasl.mechanism", oneOf("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")},
		})),
	)
})

// filebeatOutput adds what every output takes: "Configure the output" and "SSL".
func filebeatOutput(prefix string, own map[string]rule) map[string]rule {
	table := tableOf([]entry[rule]{
		{"enabled", filebeatBool},
		{"username", aName},
		{"password", aSecret},
		{"worker", number},
		{"loadbalance", filebeatBool},
		{"bulk_max_size", number},
		{"compression_level", number},
		{"timeout", filebeatSpan},
		{"max_retries", integer},
		{"ssl.enabled", filebeatBool},
		{"ssl.verification_mode", oneOf("full", "strict", "certificate", "none")},
		{"ssl.certificate_authorities[]", filebeatCert},
		{"ssl.certificate", filebeatCert},
		{"ssl.key", filebeatCert},
		{"ssl.key_passphrase", aSecret},
		{"ssl.supported_protocols[]", oneOf("TLSv1.1", "TLSv1.2", "TLSv1.3")},
	})
	maps.Copy(table, own)
	return filebeatUnder(prefix, table)
}

func filebeatUnder(prefix string, own map[string]rule) map[string]rule {
	table := make(map[string]rule, len(own))
	for name, r := range own {
		table[prefix+name] = r
	}
	return table
}

func filebeatJoin(tables ...map[string]rule) map[string]rule {
	all := map[string]rule{}
	for _, table := range tables {
		maps.Copy(all, table)
	}
	return all
}
