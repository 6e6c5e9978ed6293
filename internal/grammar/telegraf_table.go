// SPDX-License-Identifier: Apache-2.0

package grammar

import "maps"

// anyKey stands for the keys of a table whose keys are the site's own, such as tags.
const anyKey = "*"

var (
	telegrafBool = oneOf("true", "false")
	telegrafSpan = match("a time span such as 10s", `[0-9]{1,9}(?:ns|us|ms|s|m|h)?(?:[0-9]{1,3}[ms])?`)
	telegrafText = match("letters, digits and the usual signs", `[A-Za-z0-9_.,:;/*?!+=<>()\[\]{}|^%# -]{0,200}`)
	telegrafCert = below("/etc/ssl/", "/etc/pki/", "/etc/telegraf/")
	telegrafPeer = match("host:port", `(?:(?:`+hostExpr+`|\[`+ip6Expr+`\]):`+portExpr+`)`)
)

// telegrafTables are from Telegraf 1.30 documentation, "Configuration" and the pages of the plugins. Not here
// are inputs that start programs (exec, execd, ipmi_sensor, ping, procstat, sensors, smart and others) or
// listen, outputs that start programs or write files (exec, execd, file), processors and aggregators
// (starlark and execd among them) and secret stores.
var telegrafTables = onUse(func() map[string]map[string]rule {
	return map[string]map[string]rule{
		"agent":       telegrafAgent(),
		"global_tags": {anyKey: telegrafText},

		"inputs.conntrack":       telegrafInput(nil),
		"inputs.cpu":             telegrafInput(tableOf([]entry[rule]{{"percpu", telegrafBool}, {"totalcpu", telegrafBool}, {"collect_cpu_time", telegrafBool}, {"report_active", telegrafBool}, {"core_tags", telegrafBool}})),
		"inputs.disk":            telegrafInput(map[string]rule{"mount_points": telegrafText, "ignore_fs": telegrafText, "ignore_mount_opts": telegrafText}),
		"inputs.diskio":          telegrafInput(map[string]rule{"devices": telegrafText, "skip_serial_number": telegrafBool}),
		"inputs.ethtool":         telegrafInput(map[string]rule{"interface_include": telegrafText, "interface_exclude": telegrafText}),
		"inputs.hugepages":       telegrafInput(map[string]rule{"types": oneOf("root", "per_node", "meminfo")}),
		"inputs.infiniband":      telegrafInput(nil),
		"inputs.internal":        telegrafInput(map[string]rule{"collect_memstats": telegrafBool}),
		"inputs.interrupts":      telegrafInput(map[string]rule{"cpu_as_tag": telegrafBool}),
		"inputs.kernel":          telegrafInput(nil),
		"inputs.kernel_vmstat":   telegrafInput(nil),
		"inputs.linux_sysctl_fs": telegrafInput(nil),
		"inputs.mem":             telegrafInput(nil),
		"inputs.net":             telegrafInput(map[string]rule{"interfaces": telegrafText, "ignore_protocol_stats": telegrafBool}),
		"inputs.netstat":         telegrafInput(nil),
		"inputs.nfsclient":       telegrafInput(map[string]rule{"fullstat": telegrafBool, "include_mounts": telegrafText, "exclude_mounts": telegrafText}),
		"inputs.nstat":           telegrafInput(map[string]rule{"dump_zeros": telegrafBool}),
		"inputs.processes":       telegrafInput(nil),
		"inputs.swap":            telegrafInput(nil),
		"inputs.system":          telegrafInput(nil),
		"inputs.temp":            telegrafInput(nil),

		"outputs.graphite": telegrafOutput(tableOf([]entry[rule]{
			{"servers", telegrafPeer}, {"prefix", aName}, {"template", telegrafText}, {"graphite_tag_support", telegrafBool},
			{"graphite_separator", telegrafText}, {"timeout", number},
		})),
		"outputs.http": telegrafOutput(tableOf([]entry[rule]{
			{"url", anyURL}, {"method", oneOf("POST", "PUT")}, {"content_encoding", oneOf("identity", "gzip")}, {"use_batch_format", telegrafBool},
		})),
		"outputs.influxdb": telegrafOutput(tableOf([]entry[rule]{
			{"urls", either(anyURL, match("udp://host:port", `udp://(?:`+hostExpr+`|\[`+ip6Expr+`\]):`+portExpr))},
			{"database", aName}, {"database_tag", aName}, {"exclude_database_tag", telegrafBool}, {"skip_database_creation", telegrafBool},
			{"retention_policy", telegrafText}, {"write_consistency", oneOf("any", "one", "quorum", "all")}, {"user_agent", telegrafText},
			{"content_encoding", oneOf("identity", "gzip")}, {"influx_uint_support", telegrafBool}, {"udp_payload", number},
		})),
		"outputs.influxdb_v2": telegrafOutput(tableOf([]entry[rule]{
			{"urls", anyURL}, {"token", aSecret}, {"organization", telegrafText}, {"bucket", telegrafText}, {"bucket_tag", aName},
			{"exclude_bucket_tag", telegrafBool}, {"user_agent", telegrafText}, {"content_encoding", oneOf("identity", "gzip")},
			{"influx_uint_support", telegrafBool},
		})),
		"outputs.kafka": telegrafOutput(tableOf([]entry[rule]{
			{"brokers", telegrafPeer}, {"topic", aName}, {"client_id", aName}, {"routing_tag", aName}, {"compression_codec", number},
			{"required_acks", integer}, {"max_retry", number}, {"sasl_username", aName}, {"sasl_password", aSecret},
			{"sasl_mechanism", oneOf("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")}, {"enable_tls", telegrafBool},
		})),
		// It listens, for the site to ask; so does node_exporter.
		"outputs.prometheus_client": telegrafOutput(tableOf([]entry[rule]{
			{"listen", match("host:port or :port", `(?:`+hostExpr+`|\[`+ip6Expr+`\])?:`+portExpr)}, {"metric_version", oneOf("1", "2")},
			{"path", match("a plain path", `/[A-Za-z0-9_/.-]+`)}, {"expiration_interval", telegrafSpan}, {"export_timestamp", telegrafBool},
			{"collectors_exclude", oneOf("gocollector", "process")}, {"string_as_label", telegrafBool},
			{"basic_username", aName}, {"basic_password", aSecret},
		})),
	}
})

// telegrafAgent is from "Configuration", "Agent configuration"; logfile names a file.
var telegrafAgent = onUse(func() map[string]rule {
	return tableOf([]entry[rule]{
		{"interval", telegrafSpan},
		{"round_interval", telegrafBool},
		{"metric_batch_size", number},
		{"metric_buffer_limit", number},
		{"collection_jitter", telegrafSpan},
		{"collection_offset", telegrafSpan},
		{"flush_interval", telegrafSpan},
		{"flush_jitter", telegrafSpan},
		{"precision", either(telegrafSpan, match("an empty string", ``))},
		{"hostname", either(anyHost, match("an empty string", ``))},
		{"omit_hostname", telegrafBool},
		{"debug", telegrafBool},
		{"quiet", telegrafBool},
		{"logtarget", oneOf("stderr")},
		{"logfile", match("an empty string", ``)},
		{"skip_processors_after_aggregators", telegrafBool},
	})
})

// telegrafFilters are the tables within one of a plugin: "Configuration", "Metric filtering".
var telegrafFilters = onUse(func() map[string]map[string]rule {
	return map[string]map[string]rule{
		"headers": {anyKey: telegrafText}, // of outputs.http alone
		"tags":    {anyKey: telegrafText},
		"tagpass": {anyKey: telegrafText},
		"tagdrop": {anyKey: telegrafText},
	}
})

// telegrafPlugin adds what every plugin takes: "Configuration", "Plugin configuration".
func telegrafPlugin(own map[string]rule) map[string]rule {
	keys := map[string]rule{"alias": aName}
	for _, name := range []string{"name_prefix", "name_suffix", "name_override", "namepass", "namedrop", "fieldpass", "fielddrop",
		"fieldinclude", "fieldexclude", "taginclude", "tagexclude"} {
		keys[name] = telegrafText
	}
	maps.Copy(keys, own)
	return keys
}

func telegrafInput(own map[string]rule) map[string]rule {
	keys := telegrafPlugin(own)
	for _, name := range []string{"interval", "collection_jitter", "collection_offset", "precision"} {
		keys[name] = telegrafSpan
	}
	return keys
}

func telegrafOutput(own map[string]rule) map[string]rule {
	keys := tableOf([]entry[rule]{
		{"data_format", oneOf("influx", "json", "graphite", "prometheus", "prometheusremotewrite", "carbon2", "splunkmetric")},
		{"flush_interval", telegrafSpan},
		{"flush_jitter", telegrafSpan},
		{"insecure_skip_verify", telegrafBool},
		{"metric_batch_size", number},
		{"metric_buffer_limit", number},
		{"password", aSecret},
		{"timeout", telegrafSpan},
		{"tls_ca", telegrafCert},
		{"tls_cert", telegrafCert},
		{"tls_key", telegrafCert},
		{"tls_server_name", anyHost},
		{"username", aName},
	})
	maps.Copy(keys, own)
	return telegrafPlugin(keys)
}
