// SPDX-License-Identifier: Apache-2.0

package grammar

import "maps"

var zabbixSetting = lazy(`\A([A-Za-z][A-Za-z0-9.]*)[ \t]*=[ \t]*(.*)\z`)

// checkZabbixAgentd allows a file that zabbix_agentd.conf includes, Zabbix 6.0 manual, "Appendixes",
// "Process configuration", "Zabbix agent (UNIX)".
func checkZabbixAgentd(f *file) {
	f.shortLines()
	f.assignments("#", zabbixSetting, zabbixAgentd())
}

// checkZabbixAgent2 allows the same for zabbix_agent2.conf, "Zabbix agent 2 (UNIX)".
func checkZabbixAgent2(f *file) {
	f.shortLines()
	f.assignments("#", zabbixSetting, zabbixAgent2())
}

var (
	zabbixText  = match("plain text", `[A-Za-z0-9_][A-Za-z0-9_ .:,;=/+@()-]{0,254}`)
	zabbixHosts = match("host names with commas between", `[A-Za-z0-9_][A-Za-z0-9_. -]{0,127}(?:,[A-Za-z0-9_][A-Za-z0-9_. -]*)*`)

	// A cluster is a list of servers with semicolons between.
	zabbixActive = listOf(",;", match("host, host:port or [address]:port", hostPortExpr+`|`+ip6Expr))

	// Keys that only say who this host is; any other key would be asked of the agent, system.run[] among them.
	zabbixWho = match("system.hostname, system.uname or agent.hostname",
		`system\.hostname(?:\[(?:host|netbios|shorthost|fqdn)?(?:,lower)?\])?|system\.uname|agent\.hostname`)

	zabbixTLS  = commas(words("psk", "cert"))
	zabbixCert = below("/etc/zabbix/", "/etc/ssl/", "/etc/pki/")
	zabbixName = match("a distinguished name such as CN=zabbix,O=site", `[A-Za-z]{1,8}=[A-Za-z0-9_ .=,@-]{1,250}`)
)

// zabbixBoth are the settings that the two agents share. Not here is what starts a program (UserParameter,
// UnsafeUserParameters, UserParameterDir, AllowKey, which also stands for EnableRemoteCommands=1, LoadModule,
// LoadModulePath), reads or writes another file (Include, PidFile), changes whose rights the agent has (User,
// AllowRoot) or gives a key another name than the one that DenyKey knows (Alias). DenyKey only takes away.
var zabbixBoth = onUse(func() map[string]rule {
	return tableOf([]entry[rule]{
		{"Server", commas(aPeer)},
		{"ServerActive", zabbixActive},
		{"Hostname", zabbixHosts},
		{"HostnameItem", zabbixWho},
		{"HostMetadata", zabbixText},
		{"HostMetadataItem", zabbixWho},
		{"HostInterface", anyHost},
		{"HostInterfaceItem", zabbixWho},
		{"ListenIP", commas(anAddress)},
		{"ListenPort", from(1024, 32767)},
		{"SourceIP", anAddress},
		{"Timeout", from(1, 30)},
		{"RefreshActiveChecks", from(1, 86400)},
		{"BufferSend", from(1, 3600)},
		{"BufferSize", from(2, 65535)},
		{"DebugLevel", from(0, 4)},
		{"LogType", words("system", "file")},
		{"LogFile", zabbixLog},
		{"LogFileSize", from(0, 1024)},
		{"DenyKey", match("a key pattern such as vfs.file.*[*]", `[A-Za-z0-9_.*-]{1,60}(?:\[[A-Za-z0-9_.*,/ -]{0,100}\])?`)},
		{"TLSConnect", words("psk", "cert")},
		{"TLSAccept", zabbixTLS},
		{"TLSCAFile", zabbixCert},
		{"TLSCRLFile", zabbixCert},
		{"TLSCertFile", zabbixCert},
		{"TLSKeyFile", zabbixCert},
		{"TLSPSKFile", below("/etc/zabbix/")},
		{"TLSPSKIdentity", zabbixText},
		{"TLSServerCertIssuer", zabbixName},
		{"TLSServerCertSubject", zabbixName},
	})
})

var zabbixLog = match("a name ending in .log in /var/log/zabbix/ or /var/log/zabbix-agent/",
	`/var/log/zabbix(?:-agent)?/[A-Za-z0-9_-]{1,64}\.log`)

var zabbixAgentd = onUse(func() map[string]rule {
	return with(zabbixBoth(), tableOf([]entry[rule]{
		{"StartAgents", from(0, 100)},
		{"ListenBacklog", from(0, 65535)},
		{"MaxLinesPerSecond", from(1, 1000)},
		{"LogRemoteCommands", from(1, 1)},
		{"EnableRemoteCommands", from(0, 0)},
	}))
})

// zabbixAgent2 has of the plugins' settings those that start and open nothing; Plugins.NAME.System.Path names a
// program. StatusPort opens a port that asks nobody who he is, ControlSocket and PersistentBufferFile are
// written.
var zabbixAgent2 = onUse(func() map[string]rule {
	return with(zabbixBoth(), tableOf([]entry[rule]{
		{"ForceActiveChecksOnStart", from(0, 1)},
		{"PluginTimeout", from(1, 30)},
		{"Plugins.Log.MaxLinesPerSecond", from(1, 1000)},
		{"Plugins.SystemRun.LogRemoteCommands", from(1, 1)},
	}))
})

// with is the table with more settings.
//
//go:noinline
func with(table, more map[string]rule) map[string]rule {
	all := maps.Clone(table)
	maps.Copy(all, more)
	return all
}
