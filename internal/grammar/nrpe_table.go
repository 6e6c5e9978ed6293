// SPDX-License-Identifier: Apache-2.0

package grammar

import "maps"

const nrpeCipher = `(?:![A-Za-z0-9-]{2,20}|ALL|HIGH|DEFAULT|(?:ECDHE|DHE|AES|CHACHA20)[A-Z0-9-]{0,40}|@STRENGTH|@SECLEVEL=[1-5])`

var (
	nrpeCert = below("/etc/nagios/ssl/", "/etc/ssl/", "/etc/pki/")

	// nrpe cuts the list at 255 bytes, so that a "!" at its end could be lost.
	nrpeCiphers = match("OpenSSL cipher names with colons between, without NULL, EXP, LOW or @SECLEVEL=0",
		nrpeCipher+`(?::`+nrpeCipher+`){0,9}`)
)

// nrpeSettings are from the sample nrpe.cfg of NRPE 4.1. Not here is what changes whose rights a check
// has (nrpe_user, nrpe_group, command_prefix), what reads or writes another file (include, include_dir,
// include_file, pid_file, log_file), what lets the asking host shape a command (nasty_metachars) and what
// reaches a check's environment (keep_env_vars). Settings that protect may be turned on only.
var nrpeSettings = onUse(func() map[string]rule {
	return tableOf([]entry[rule]{
		{"allowed_hosts", commas(aPeer)},
		{"server_address", anAddress},
		{"server_port", from(1024, 65535)},
		{"listen_queue_size", from(1, 4096)},
		{"command_timeout", from(1, 3600)},
		{"connection_timeout", from(1, 3600)},
		{"ssl_shutdown_timeout", from(1, 3600)},
		{"max_commands", from(0, 10000)},
		{"debug", from(0, 1)},
		{"dont_blame_nrpe", from(0, 0)},
		{"allow_bash_command_substitution", from(0, 0)},
		{"allow_weak_random_seed", from(0, 0)},
		{"disable_syslog", from(0, 0)},
		{"log_facility", words("auth", "authpriv", "cron", "daemon", "local0", "local1", "local2", "local3", "local4", "local5",
			"local6", "local7", "syslog", "user")},
		{"ssl_version", words("TLSv1.2", "TLSv1.2+", "TLSv1.3", "TLSv1.3+")},
		{"ssl_use_adh", from(0, 0)},
		{"ssl_client_certs", from(1, 2)},
		{"ssl_logging", match("a number such as 0x2f", `0x[0-9A-Fa-f]{1,2}|[1-9]?[0-9]`)},
		{"ssl_cipher_list", rule{nrpeCiphers.want, func(s string) bool { return len(s) < 250 && nrpeCiphers.ok(s) }}},
		{"ssl_cacert_file", nrpeCert},
		{"ssl_cert_file", nrpeCert},
		{"ssl_privatekey_file", nrpeCert},
	})
})

var (
	// A flag without a value.
	nrpeBare = rule{}

	nrpeNumber    = match("a number", `[0-9]{1,12}(?:\.[0-9]{1,6})?`)
	nrpeThreshold = match("a threshold such as 10, 20%, 5:10 or @5:10", `@?[0-9.]{1,15}%?(?::[0-9.]{0,15}%?)?|:[0-9.]{1,15}`)
	nrpeLoads     = match("load averages such as 15,10,5", `[0-9]{0,5}\.?[0-9]{1,5}(?:,[0-9]{0,5}\.?[0-9]{1,5}){0,2}`)
	nrpeWord      = match("a word of letters, digits and ._+:,@/-, with no - at its start", `[A-Za-z0-9_./][A-Za-z0-9_.+:,@/-]{0,127}`)
	nrpePath      = either(words("/"), below("/"))
	nrpeTimeout   = from(1, 3600)
)

// nrpePlugins are plugins of Monitoring Plugins 2.3 that measure and print, each with the flags of its
// --help that take a threshold or choose what is looked at. Not here: check_by_ssh, negate, urlize and
// check_nagios, which start what they are told to; check_log, check_file_age, check_mrtg and their like,
// which copy, read or probe files by name; check_http and its like, which send any request to any host.
// No plugin has --extra-opts, which reads further options from a file. check_procs and check_apt start
// the image's own ps and "apt-get -s upgrade"; no argument reaches either.
var nrpePlugins = onUse(func() map[string]map[string]rule {
	return map[string]map[string]rule{
		"check_apt": tableOf([]entry[rule]{{"-t", nrpeTimeout}, {"--timeout", nrpeTimeout}, {"-o", nrpeBare}, {"--only-critical", nrpeBare},
			{"-n", nrpeBare}, {"--no-upgrade", nrpeBare}}),
		"check_disk": nrpeFlags(nrpeThreshold, tableOf([]entry[rule]{
			{"-W", nrpeThreshold}, {"--iwarning", nrpeThreshold}, {"-K", nrpeThreshold}, {"--icritical", nrpeThreshold},
			{"-p", nrpePath}, {"--path", nrpePath}, {"--partition", nrpePath}, {"-x", nrpePath}, {"--exclude_device", nrpePath},
			{"-X", aName}, {"--exclude-type", aName}, {"-N", aName}, {"--include-type", aName},
			{"-u", words("kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB")}, {"--units", words("kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB")},
			{"-l", nrpeBare}, {"--local", nrpeBare}, {"-e", nrpeBare}, {"--errors-only", nrpeBare}, {"-A", nrpeBare}, {"--all", nrpeBare},
			{"-E", nrpeBare}, {"--exact-match", nrpeBare}, {"-m", nrpeBare}, {"--megabytes", nrpeBare}, {"-k", nrpeBare}, {"--kilobytes", nrpeBare},
			{"-M", nrpeBare}, {"--mountpoint", nrpeBare}, {"-C", nrpeBare}, {"--clear", nrpeBare},
			{"-f", nrpeBare}, {"--freespace-ignore-reserved", nrpeBare}, {"-P", nrpeBare}, {"--iperfdata", nrpeBare},
		})),
		"check_load": nrpeFlags(nrpeLoads, map[string]rule{"-r": nrpeBare, "--percpu": nrpeBare}),
		"check_ntp_time": nrpeFlags(nrpeThreshold, tableOf([]entry[rule]{
			{"-H", anyHost}, {"--hostname", anyHost}, {"-p", aPort}, {"--port", aPort}, {"-q", nrpeBare}, {"--quiet", nrpeBare},
			{"-4", nrpeBare}, {"--use-ipv4", nrpeBare}, {"-6", nrpeBare}, {"--use-ipv6", nrpeBare},
		})),
		"check_procs": nrpeFlags(nrpeThreshold, tableOf([]entry[rule]{
			{"-m", words("PROCS", "VSZ", "RSS", "CPU", "ELAPSED")}, {"--metric", words("PROCS", "VSZ", "RSS", "CPU", "ELAPSED")},
			{"-s", match("state letters", `[A-Za-z]{1,8}`)}, {"--state", match("state letters", `[A-Za-z]{1,8}`)},
			{"-p", nrpeNumber}, {"--ppid", nrpeNumber}, {"-z", nrpeNumber}, {"--vsz", nrpeNumber}, {"-r", nrpeNumber}, {"--rss", nrpeNumber},
			{"-P", nrpeNumber}, {"--pcpu", nrpeNumber}, {"-u", aName}, {"--user", aName}, {"-a", nrpeWord}, {"--argument-array", nrpeWord},
			{"-C", nrpeWord}, {"--command", nrpeWord}, {"-k", nrpeBare}, {"--no-kthreads", nrpeBare},
		})),
		"check_ssh": tableOf([]entry[rule]{{"-H", anyHost}, {"--hostname", anyHost}, {"-p", aPort}, {"--port", aPort}, {"-t", nrpeTimeout}, {"--timeout", nrpeTimeout},
			{"-4", nrpeBare}, {"--use-ipv4", nrpeBare}, {"-6", nrpeBare}, {"--use-ipv6", nrpeBare}}),
		"check_swap": nrpeFlags(nrpeThreshold, tableOf([]entry[rule]{{"-a", nrpeBare}, {"--allswaps", nrpeBare},
			{"-n", words("ok", "warning", "critical", "unknown")}, {"--no-swap", words("ok", "warning", "critical", "unknown")}})),
		"check_tcp": nrpeFlags(nrpeThreshold, tableOf([]entry[rule]{
			{"-H", anyHost}, {"--hostname", anyHost}, {"-p", aPort}, {"--port", aPort}, {"-S", nrpeBare}, {"--ssl", nrpeBare},
			{"-4", nrpeBare}, {"--use-ipv4", nrpeBare}, {"-6", nrpeBare}, {"--use-ipv6", nrpeBare},
		})),
		"check_users": nrpeFlags(nrpeThreshold, nil),
	}
})

// nrpeFlags adds the flags that nearly every plugin has to those of one.
func nrpeFlags(threshold rule, own map[string]rule) map[string]rule {
	flags := tableOf([]entry[rule]{{"-w", threshold}, {"--warning", threshold}, {"-c", threshold}, {"--critical", threshold},
		{"-t", nrpeTimeout}, {"--timeout", nrpeTimeout}})
	maps.Copy(flags, own)
	return flags
}
