// SPDX-License-Identifier: Apache-2.0

package grammar

import "maps"

var (
	collectdBool = oneOf("true", "false", "yes", "no", "on", "off")
	collectdSpan = match("a number of seconds", `[0-9]{1,9}(?:\.[0-9]{1,9})?`)
	collectdCert = below("/etc/ssl/", "/etc/pki/", "/etc/collectd/")

	// A name of something on this machine, or a regular expression for such names.
	collectdName = match("a name or a pattern of letters, digits and the usual signs", `[A-Za-z0-9_./:^$|()\[\]*+?=@ -]{1,200}`)
)

// collectdRoot is from collectd.conf(5) 5.12, "GLOBAL OPTIONS". BaseDir, PIDFile, PluginDir and TypesDB name
// paths, Include reads another file, AutoLoadPlugin makes every <Plugin> load one, and PreCacheChain,
// PostCacheChain and <Chain> are programs of their own.
var collectdRoot = onUse(func() collectdBlock {
	return collectdBlock{
		options: tableOf([]entry[rule]{
			{"hostname", anyHost},
			{"fqdnlookup", collectdBool},
			{"interval", collectdSpan},
			{"maxreadinterval", collectdSpan},
			{"timeout", number},
			{"readthreads", number},
			{"writethreads", number},
			{"writequeuelimithigh", number},
			{"writequeuelimitlow", number},
			{"collectinternalstats", collectdBool},
		}),
		blocks: map[string]collectdBlock{
			"plugin": {},
			"loadplugin": {options: map[string]rule{ // without Globals
				"interval":      collectdSpan,
				"flushinterval": collectdSpan,
				"flushtimeout":  collectdSpan,
			}},
		},
	}
})

// collectdPlugins are from collectd.conf(5) 5.12, "PLUGIN OPTIONS": plugins that read the metrics of this
// machine out of /proc and /sys, syslog, and those that send to a host. Not here are plugins that start
// programs or hold an interpreter (exec, java, lua, perl, python), listen (email, grpc, snmp_agent, statsd,
// unixsock), write files (csv, log_logstash, logfile, notify_nagios, rrdcached, rrdtool), read any file or
// directory (filecount, logparser, table, tail, tail_csv), ask other services, or need more than a worker
// node has.
var collectdPlugins = onUse(func() map[string]collectdBlock {
	return map[string]collectdBlock{
		"battery":          collectdFlags("valuespercentage", "reportdegraded", "querystatefs"),
		"buddyinfo":        {options: map[string]rule{"zone": collectdName}},
		"cgroups":          collectdList("cgroup"),
		"conntrack":        collectdFlags("oldfiles"),
		"contextswitch":    collectdFlags(),
		"cpu":              collectdFlags("reportbystate", "reportbycpu", "valuespercentage", "reportnumcpu", "reportgueststate", "subtractgueststate"),
		"cpufreq":          collectdFlags(),
		"cpusleep":         collectdFlags(),
		"df":               collectdList("device", "mountpoint", "fstype", "-reportbydevice", "-reportinodes", "-valuesabsolute", "-valuespercentage", "-logonce"),
		"disk":             collectdList("disk", "udevnameattr"),
		"entropy":          collectdFlags(),
		"ethstat":          {options: map[string]rule{"interface": collectdName, "mappedonly": collectdBool}},
		"fhcount":          collectdFlags("valuesabsolute", "valuespercentage"),
		"fscache":          collectdFlags(),
		"hugepages":        collectdFlags("reportpernodehp", "reportroothp", "valuespages", "valuesbytes", "valuespercentage"),
		"interface":        collectdList("interface", "-reportinactive"),
		"ipc":              collectdFlags(),
		"irq":              collectdList("irq"),
		"load":             collectdFlags("reportrelative"),
		"memory":           collectdFlags("valuesabsolute", "valuespercentage"),
		"network":          collectdNetwork(),
		"nfs":              collectdFlags("reportv2", "reportv3", "reportv4"),
		"numa":             collectdFlags(),
		"processes":        collectdProcesses(),
		"protocols":        collectdList("value"),
		"sensors":          collectdList("sensor", "-uselabels"), // without SensorConfigFile
		"swap":             collectdFlags("reportbydevice", "reportbytes", "reportio", "valuesabsolute", "valuespercentage"),
		"syslog":           {options: map[string]rule{"loglevel": collectdLevel, "notifylevel": oneOf("okay", "warning", "failure")}},
		"tcpconns":         {options: tableOf([]entry[rule]{{"listeningports", collectdBool}, {"allportssummary", collectdBool}, {"localport", aPort}, {"remoteport", aPort}})},
		"thermal":          collectdList("device", "-forceuseprocfs"),
		"uptime":           collectdFlags(),
		"users":            collectdFlags(),
		"vmem":             collectdFlags("verbose"),
		"wireless":         collectdFlags(),
		"write_graphite":   collectdGraphite(),
		"write_http":       collectdHTTP(),
		"write_prometheus": {options: map[string]rule{"port": aPort, "host": anyHost, "stalenessdelta": collectdSpan}},
		"zfs_arc":          collectdFlags(),
	}
})

var collectdLevel = oneOf("info", "notice", "warning", "err")

// collectdFlags is a plugin whose options are all true or false.
func collectdFlags(names ...string) collectdBlock {
	block := collectdBlock{options: map[string]rule{}}
	for _, name := range names {
		block.options[name] = collectdBool
	}
	return block
}

// collectdList is a plugin that selects by names: collectd.conf(5), "IGNORELISTS". A dash makes a flag.
func collectdList(names ...string) collectdBlock {
	block := collectdFlags("ignoreselected")
	for _, name := range names {
		if name[0] == '-' {
			block.options[name[1:]] = collectdBool
		} else {
			block.options[name] = collectdName
		}
	}
	return block
}

var collectdProcesses = onUse(func() collectdBlock {
	return func() collectdBlock {
		flags := collectdFlags("collectcontextswitch", "collectfiledescriptor", "collectmemorymaps", "collectdelayaccounting")
		block := collectdBlock{options: maps.Clone(flags.options), blocks: map[string]collectdBlock{
			"process":      {value: collectdName, options: flags.options},
			"processmatch": {value: collectdName, options: flags.options},
		}}
		block.options["process"], block.options["processmatch"] = collectdName, collectdName
		return block
	}()
})

// collectdNetwork is from "Plugin network", without Listen, which receives from other hosts, and Forward,
// which passes on what was received.
var collectdNetwork = onUse(func() collectdBlock {
	return collectdBlock{
		options: tableOf([]entry[rule]{
			{"server", match("a host and, if you like, a port", `(?:`+hostExpr+`|`+ip6Expr+`)(?: `+portExpr+`)?`)},
			{"timetolive", number},
			{"maxpacketsize", number},
			{"reportstats", collectdBool},
		}),
		blocks: map[string]collectdBlock{"server": {
			value: match("a host and, if you like, a port", `(?:`+hostExpr+`|`+ip6Expr+`)(?: `+portExpr+`)?`),
			options: tableOf([]entry[rule]{
				{"securitylevel", oneOf("None", "Sign", "Encrypt")},
				{"username", aName},
				{"password", aSecret},
				{"interface", aName},
				{"resolveinterval", collectdSpan},
			}),
		}},
	}
})

// collectdGraphite is from "Plugin write_graphite".
var collectdGraphite = onUse(func() collectdBlock {
	return collectdBlock{
		options: map[string]rule{},
		blocks: map[string]collectdBlock{"node": {value: aName, options: tableOf([]entry[rule]{
			{"host", anyHost},
			{"port", aPort},
			{"protocol", oneOf("tcp", "udp")},
			{"reconnectinterval", collectdSpan},
			{"logsenderrors", collectdBool},
			{"prefix", collectdName},
			{"postfix", collectdName},
			{"escapecharacter", match("one of _ and -", `[_-]`)},
			{"storerates", collectdBool},
			{"separateinstances", collectdBool},
			{"alwaysappendds", collectdBool},
			{"preserveseparator", collectdBool},
			{"dropduplicatefields", collectdBool},
			{"usetags", collectdBool},
			{"reversehost", collectdBool},
		})}},
	}
})

// collectdHTTP is from "Plugin write_http". The URL is one of HTTP: libcurl knows file://, too.
var collectdHTTP = onUse(func() collectdBlock {
	return collectdBlock{
		options: map[string]rule{},
		blocks: map[string]collectdBlock{"node": {value: aName, options: tableOf([]entry[rule]{
			{"url", anyURL},
			{"user", aName},
			{"password", aSecret},
			{"verifypeer", collectdBool},
			{"verifyhost", collectdBool},
			{"cacert", collectdCert},
			{"clientkey", collectdCert},
			{"clientcert", collectdCert},
			{"clientkeypass", aSecret},
			{"sslversion", oneOf("TLSv1_2", "TLSv1_3", "TLSv1_1", "TLSv1")},
			{"format", oneOf("Command", "JSON", "KAIROSDB")},
			{"prefix", collectdName},
			{"ttl", number},
			{"metrics", collectdBool},
			{"notifications", collectdBool},
			{"storerates", collectdBool},
			{"buffersize", number},
			{"lowspeedlimit", number},
			{"timeout", number},
			{"loghttperror", collectdBool},
		})}},
	}
})
