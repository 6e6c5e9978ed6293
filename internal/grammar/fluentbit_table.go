// SPDX-License-Identifier: Apache-2.0

package grammar

import "maps"

var (
	fluentBool  = oneOf("on", "off", "true", "false", "yes", "no")
	fluentOff   = oneOf("off", "false", "no")
	fluentSize  = match("a size such as 5M", `[0-9]{1,12}[kKmMgG]?[bB]?`)
	fluentSpan  = match("a time span such as 5 or 500ms", `[0-9]{1,9}(?:\.[0-9]{1,9})?(?:ms|s|m|h|d)?`)
	fluentLevel = oneOf("off", "error", "warn", "warning", "info", "debug", "trace")
	fluentText  = match("letters, digits and the usual signs", `[A-Za-z0-9_.,:;/*?!+=<>()\[\]|^%#@" -]{1,200}`)
	fluentTag   = match("a tag or a pattern of tags", `[A-Za-z0-9_.*-]{1,100}`)
	fluentCert  = below("/etc/ssl/", "/etc/pki/", "/etc/fluent-bit/")
	fluentURI   = match("a plain path", `/[A-Za-z0-9_./?=&%-]*`)

	// The state of Fluent Bit itself, which it writes.
	fluentState = match("a path of one name below /var/lib/fluent-bit/", `/var/lib/fluent-bit/[A-Za-z0-9_][A-Za-z0-9_.-]*/?`)
	fluentLogs  = rule{"paths below /var/log/ with commas between", func(s string) bool {
		return fluentLogPaths.MatchString(s) && !fluentDotDot.MatchString(s)
	}}
	fluentLogPaths = lazy(`\A/var/log/[A-Za-z0-9_.*/-]+(?:,[ ]?/var/log/[A-Za-z0-9_.*/-]+)*\z`)
	fluentDotDot   = lazy(`\.\.`)
)

// fluentSections are the sections of "Administration", "Configuration file" of Fluent Bit 3.0, with the
// plugins that each allows. CUSTOM, PARSER, PLUGINS, STREAM_TASK and UPSTREAM are not here.
var fluentSections = onUse(func() map[string]map[string]map[string]rule {
	return map[string]map[string]map[string]rule{
		"service": nil,
		"input":   fluentInputs(),
		"filter":  fluentFilters(),
		"output":  fluentOutputs(),
	}
})

// fluentService is from "Configuration file", "Service". Log_File names a file, Plugins_File loads modules,
// Streams_File holds programs; the two files named here are the image's own. HTTP_Server listens.
var fluentService = onUse(func() map[string]rule {
	return tableOf([]entry[rule]{
		{"flush", fluentSpan},
		{"grace", number},
		{"daemon", fluentOff},
		{"log_level", fluentLevel},
		{"parsers_file", match("parsers.conf of the image", `(?:/etc/fluent-bit/)?parsers\.conf`)},
		{"plugins_file", match("plugins.conf of the image", `(?:/etc/fluent-bit/)?plugins\.conf`)},
		{"http_server", fluentOff},
		{"http_listen", anyHost},
		{"http_port", aPort},
		{"hot_reload", fluentOff},
		{"storage.path", fluentState},
		{"storage.sync", oneOf("normal", "full")},
		{"storage.checksum", fluentBool},
		{"storage.metrics", fluentBool},
		{"storage.max_chunks_up", number},
		{"storage.backlog.mem_limit", fluentSize},
		{"scheduler.base", number},
		{"scheduler.cap", number},
	})
})

// fluentInputs are from "Inputs" of Fluent Bit 3.0. Not here are exec, exec_wasi and all that listen.
func fluentInputs() map[string]map[string]rule {
	pace := map[string]rule{"interval_sec": number, "interval_nsec": number}
	inputs := map[string]map[string]rule{
		"cpu":                   pace,
		"disk":                  {"dev_name": aName, "interval_sec": number, "interval_nsec": number},
		"kmsg":                  {"prio_level": number},
		"mem":                   pace,
		"netif":                 tableOf([]entry[rule]{{"interface", aName}, {"interval_sec", number}, {"interval_nsec", number}, {"verbose", fluentBool}, {"test_at_init", fluentBool}}),
		"node_exporter_metrics": {"scrape_interval": fluentSpan},
		"proc":                  tableOf([]entry[rule]{{"proc_name", aName}, {"interval_sec", number}, {"interval_nsec", number}, {"alert", fluentBool}, {"fd", fluentBool}, {"mem", fluentBool}}),
		"systemd": tableOf([]entry[rule]{
			{"systemd_filter", match("_FIELD=value", `[A-Z_]+=[A-Za-z0-9_.@:-]+`)}, {"systemd_filter_type", oneOf("and", "or")},
			{"max_entries", number}, {"max_fields", number}, {"read_from_tail", fluentBool}, {"strip_underscores", fluentBool},
			{"lowercase", fluentBool}, {"db", fluentState}, {"db.sync", oneOf("extra", "full", "normal", "off")},
		}),
		"tail": tableOf([]entry[rule]{
			{"path", fluentLogs}, {"exclude_path", fluentLogs}, {"path_key", aName}, {"key", aName}, {"parser", aName},
			{"refresh_interval", number}, {"rotate_wait", number}, {"read_from_head", fluentBool}, {"skip_long_lines", fluentBool},
			{"skip_empty_lines", fluentBool}, {"buffer_chunk_size", fluentSize}, {"buffer_max_size", fluentSize},
			{"db", fluentState}, {"db.sync", oneOf("extra", "full", "normal", "off")}, {"db.locking", fluentBool},
		}),
		"thermal": pace,
	}
	for name, own := range inputs {
		inputs[name] = fluentJoin(own, tableOf([]entry[rule]{
			{"alias", aName}, {"tag", fluentTag}, {"log_level", fluentLevel}, {"mem_buf_limit", fluentSize},
			{"storage.type", oneOf("memory", "filesystem")}, {"threaded", fluentBool},
		}))
	}
	return inputs
}

// fluentFilters are from "Filters" of Fluent Bit 3.0. lua and wasm are programs.
var fluentFilters = onUse(func() map[string]map[string]rule {
	return map[string]map[string]rule{
		"grep":            tableOf([]entry[rule]{{"match", fluentTag}, {"alias", aName}, {"regex", fluentText}, {"exclude", fluentText}}),
		"record_modifier": tableOf([]entry[rule]{{"match", fluentTag}, {"alias", aName}, {"record", fluentText}, {"remove_key", aName}, {"allowlist_key", aName}, {"whitelist_key", aName}}),
	}
})

// fluentOutputs are from "Outputs" of Fluent Bit 3.0. file writes where it likes; prometheus_exporter listens.
func fluentOutputs() map[string]map[string]rule {
	search := tableOf([]entry[rule]{
		{"index", aName}, {"type", aName}, {"logstash_format", fluentBool}, {"logstash_prefix", aName}, {"suppress_type_name", fluentBool},
		{"replace_dots", fluentBool}, {"include_tag_key", fluentBool}, {"time_key", aName}, {"generate_id", fluentBool}, {"compress", oneOf("gzip")},
	})
	outputs := map[string]map[string]rule{
		"es":      search,
		"forward": tableOf([]entry[rule]{{"shared_key", aSecret}, {"username", aName}, {"password", aSecret}, {"self_hostname", anyHost}, {"require_ack_response", fluentBool}, {"send_options", fluentBool}, {"compress", oneOf("gzip")}, {"tag", fluentTag}}),
		"http": tableOf([]entry[rule]{
			{"uri", fluentURI}, {"format", oneOf("json", "json_lines", "json_stream", "msgpack")}, {"compress", oneOf("gzip")},
			{"header", fluentText}, {"json_date_key", aName}, {"json_date_format", oneOf("double", "epoch", "epoch_ms", "iso8601", "java_sql_timestamp")},
		}),
		"influxdb":                tableOf([]entry[rule]{{"database", aName}, {"bucket", aName}, {"org", aName}, {"http_token", aSecret}, {"sequence_tag", aName}, {"auto_tags", fluentBool}}),
		"loki":                    tableOf([]entry[rule]{{"uri", fluentURI}, {"tenant_id", aName}, {"labels", fluentText}, {"line_format", oneOf("json", "key_value")}, {"compress", oneOf("gzip")}}),
		"null":                    {},
		"opensearch":              search,
		"prometheus_remote_write": {"uri": fluentURI, "add_label": fluentText, "header": fluentText},
		"stdout":                  {"format": oneOf("json", "json_lines", "msgpack")},
		"syslog": tableOf([]entry[rule]{
			{"mode", oneOf("tcp", "udp", "tls")}, {"syslog_format", oneOf("rfc3164", "rfc5424")}, {"syslog_maxsize", number},
			{"syslog_severity_key", aName}, {"syslog_severity_preset", number}, {"syslog_facility_key", aName}, {"syslog_facility_preset", number},
			{"syslog_hostname_key", aName}, {"syslog_appname_key", aName}, {"syslog_procid_key", aName}, {"syslog_message_key", aName},
		}),
	}
	for name, own := range outputs {
		outputs[name] = fluentJoin(own, tableOf([]entry[rule]{
			{"alias", aName}, {"match", fluentTag}, {"host", anyHost}, {"port", aPort}, {"log_level", fluentLevel}, {"workers", number},
			{"retry_limit", either(number, oneOf("no_limits", "no_retries", "false"))}, {"storage.total_limit_size", fluentSize},
			{"http_user", aName}, {"http_passwd", aSecret}, {"net.connect_timeout", fluentSpan}, {"net.keepalive", fluentBool},
			{"tls", fluentBool}, {"tls.verify", fluentBool}, {"tls.vhost", anyHost}, {"tls.ca_file", fluentCert}, {"tls.ca_path", fluentCert},
			{"tls.crt_file", fluentCert}, {"tls.key_file", fluentCert}, {"tls.key_passwd", aSecret},
		}))
	}
	return outputs
}

func fluentJoin(own, common map[string]rule) map[string]rule {
	table := maps.Clone(common)
	maps.Copy(table, own)
	return table
}
