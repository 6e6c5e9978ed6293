// SPDX-License-Identifier: Apache-2.0

package grammar

// sngOption is what may stand in the brackets of an option or a filter function.
type sngOption struct {
	value   rule
	list    bool                 // several values, with commas or blanks between
	options map[string]sngOption // options within, in place of a value or behind it
}

// sngDrivers send to a host: syslog-ng 3.38 administration guide, "destination: Forward, send, and store log
// messages". Not here is every driver that starts a program, writes a file, pipe or socket, or speaks to
// something else than a syslog server.
var sngDrivers = []string{"network", "syslog", "tcp", "tcp6", "udp", "udp6"}

var (
	sngYesNo = oneOf("yes", "no", "on", "off")
	// Files that syslog-ng reads, never writes.
	sngCert  = sngOption{value: below("/etc/ssl/", "/etc/pki/", "/etc/syslog-ng/")}
	sngWord  = sngOption{value: aName}
	sngCount = sngOption{value: number}
	sngFlag  = sngOption{value: sngYesNo}
	sngZone  = sngOption{value: match("a time zone such as Europe/Zurich or +01:00", `[A-Za-z0-9+:_-]+(?:/[A-Za-z_+-]+){0,2}`)}
)

// sngNetwork is from syslog-ng 3.38 administration guide, "network() destination options" and "syslog()
// destination options". template() can hold functions, spoof-source() forges the sender, and localip() and
// localport() take the place of another service.
var sngNetwork = onUse(func() map[string]sngOption {
	return tableOf([]entry[sngOption]{
		{"port", sngOption{value: aPort}},
		{"transport", sngOption{value: oneOf("tcp", "udp", "tls")}},
		{"ip_protocol", sngOption{value: oneOf("4", "6")}},
		{"tls", sngOption{options: sngTLS()}},
		{"disk_buffer", sngOption{options: sngDiskBuffer()}},
		{"failover", sngOption{options: sngFailover()}},
		{"persist_name", sngWord},
		{"flags", sngOption{value: oneOf("no-multi-line", "syslog-protocol", "threaded"), list: true}},
		{"frac_digits", sngCount},
		{"flush_lines", sngCount},
		{"keep_alive", sngFlag},
		{"log_fifo_size", sngCount},
		{"mark_freq", sngCount},
		{"mark_mode", sngOption{value: oneOf("internal", "dst-idle", "host-idle", "periodical", "none", "global")}},
		{"so_keepalive", sngFlag},
		{"so_rcvbuf", sngCount},
		{"so_sndbuf", sngCount},
		{"tcp_keepalive_intvl", sngCount},
		{"tcp_keepalive_probes", sngCount},
		{"tcp_keepalive_time", sngCount},
		{"suppress", sngCount},
		{"throttle", sngCount},
		{"time_reopen", sngCount},
		{"time_zone", sngZone},
		{"ts_format", sngOption{value: oneOf("rfc3164", "bsd", "rfc3339", "iso", "full", "unix")}},
		{"ip_tos", sngCount},
		{"ip_ttl", sngCount},
		{"send_time_zone", sngZone},
		{"local_time_zone", sngZone},
	})
})

// sngTLS is from syslog-ng 3.38 administration guide, "TLS options", without keylog-file(), which is written.
var sngTLS = onUse(func() map[string]sngOption {
	return tableOf([]entry[sngOption]{
		{"ca_dir", sngCert},
		{"ca_file", sngCert},
		{"cert_file", sngCert},
		{"crl_dir", sngCert},
		{"key_file", sngCert},
		{"pkcs12_file", sngCert},
		{"cipher_suite", sngOption{value: match("a list of OpenSSL ciphers", `[A-Za-z0-9:+!@_-]+`)}},
		{"peer_verify", sngOption{value: oneOf("yes", "no", "required-trusted", "required-untrusted", "optional-trusted", "optional-untrusted")}},
		{"sni", sngFlag},
		{"ssl_options", sngOption{value: oneOf("no-sslv2", "no-sslv3", "no-tlsv1", "no-tlsv11", "no-tlsv12", "no-tlsv13", "none"), list: true}},
		{"trusted_dn", sngOption{value: match("a distinguished name", `[A-Za-z0-9 ,=*._@/-]+`), list: true}},
		{"trusted_keys", sngOption{value: match("a fingerprint", `[A-Za-z0-9]+:[0-9A-Fa-f:]+`), list: true}},
	})
})

// sngDiskBuffer is from syslog-ng 3.38 administration guide, "disk-buffer()", without dir().
var sngDiskBuffer = onUse(func() map[string]sngOption {
	return tableOf([]entry[sngOption]{
		{"compaction", sngFlag},
		{"disk_buf_size", sngCount},
		{"mem_buf_length", sngCount},
		{"mem_buf_size", sngCount},
		{"qout_size", sngCount},
		{"reliable", sngFlag},
		{"truncate_size_ratio", sngOption{value: match("a ratio", `[01]`)}},
	})
})

// sngFailover is from syslog-ng 3.38 administration guide, "failover()".
var sngFailover = onUse(func() map[string]sngOption {
	return map[string]sngOption{
		"servers": {value: anyHost, list: true},
		"failback": {options: map[string]sngOption{
			"tcp_probe_interval":         sngCount,
			"successful_probes_required": sngCount,
		}},
	}
})

// sngOptions is from syslog-ng 3.38 administration guide, "Global options": how the sender is named and how
// fast it sends. Owners, modes, directories and templates of files are not here.
var sngOptions = onUse(func() map[string]sngOption {
	return tableOf([]entry[sngOption]{
		{"chain_hostnames", sngFlag},
		{"dns_cache", sngFlag},
		{"flush_lines", sngCount},
		{"frac_digits", sngCount},
		{"keep_hostname", sngFlag},
		{"log_fifo_size", sngCount},
		{"log_msg_size", sngCount},
		{"mark_freq", sngCount},
		{"normalize_hostnames", sngFlag},
		{"stats_freq", sngCount},
		{"time_reopen", sngCount},
		{"ts_format", sngOption{value: oneOf("rfc3164", "bsd", "rfc3339", "iso", "full")}},
		{"use_dns", sngOption{value: oneOf("yes", "no", "persist_only")}},
		{"use_fqdn", sngFlag},
	})
})

var (
	sngLevel    = oneOf("emerg", "panic", "alert", "crit", "err", "error", "warning", "warn", "notice", "info", "debug")
	sngFacility = oneOf("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
		"ntp", "security", "console", "solaris-cron", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7")

	// A pattern holds no backslash (the scanner sees to that) and nothing that a template would expand.
	sngPattern = match("a pattern of letters, digits and the usual signs", `[A-Za-z0-9 ^$|()\[\]*+?.,:;=_/@#<>!&%-]{1,200}`)
	sngMatch   = onUse(func() map[string]sngOption {
		return map[string]sngOption{
			"flags": {value: oneOf("ignore-case", "utf8", "substring", "prefix", "store-matches", "global", "nobackref"), list: true},
			"type":  {value: oneOf("pcre", "string", "glob")},
		}
	})
)

// sngFunctions are from syslog-ng 3.38 administration guide, "Filter functions", without in-list(), which
// reads a file, and without comparisons, whose operands are templates.
var sngFunctions = onUse(func() map[string]sngOption {
	return tableOf([]entry[sngOption]{
		{"facility", sngOption{value: sngFacility, list: true}},
		{"level", sngOption{value: sngLevel, list: true}},
		{"priority", sngOption{value: sngLevel, list: true}},
		{"severity", sngOption{value: sngLevel, list: true}},
		{"filter", sngOption{value: aName}},
		{"host", sngOption{value: sngPattern, options: sngMatch()}},
		{"message", sngOption{value: sngPattern, options: sngMatch()}},
		{"program", sngOption{value: sngPattern, options: sngMatch()}},
		{"netmask", sngOption{value: match("an address and a prefix length", `[0-9.]{7,15}/[0-9.]{1,15}`)}},
		{"tags", sngOption{value: aName, list: true}},
		{"match", sngOption{value: sngPattern, options: map[string]sngOption{
			"flags": sngMatch()["flags"],
			"type":  sngMatch()["type"],
			"value": {value: oneOf("MESSAGE", "MSG", "PROGRAM", "HOST", "PID", "MSGHDR")},
		}}},
	})
})
