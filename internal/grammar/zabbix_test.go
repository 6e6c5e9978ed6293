// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"strings"
	"testing"
)

func TestZabbix(t *testing.T) {
	both := []refused{
		{"user parameter", "Server=192.0.2.1\nUserParameter=x,id\n", 2, "UserParameter"},
		{"user parameter with blanks", " \tUserParameter \t= x,id\n", 1, "UserParameter"},
		{"unsafe user parameters", "UnsafeUserParameters=1\n", 1, "UnsafeUserParameters"},
		{"directory of user parameters", "UserParameterDir=/tmp\n", 1, "UserParameterDir"},
		{"remote commands", "AllowKey=system.run[*]\n", 1, "AllowKey"},
		{"any key", "AllowKey=*\n", 1, "AllowKey"},
		{"remote commands as before 5.0", "EnableRemoteCommands=1\n", 1, "EnableRemoteCommands"},
		{"silent remote commands", "LogRemoteCommands=0\n", 1, "LogRemoteCommands"},
		{"module", "LoadModule=x.so\n", 1, "LoadModule"},
		{"module path", "LoadModulePath=/tmp\n", 1, "LoadModulePath"},
		{"include", "Include=/tmp/x\n", 1, "Include"},
		{"include with blanks", "\tInclude = /tmp/*.conf\n", 1, "Include"},
		{"alias", "Alias=ping:system.run[id]\n", 1, "Alias"},
		{"root", "AllowRoot=1\n", 1, "AllowRoot"},
		{"user", "User=root\n", 1, "User"},
		{"pid file", "PidFile=/etc/nologin\n", 1, "PidFile"},
		{"log elsewhere", "LogFile=/etc/cron.d/x\n", 1, "LogFile"},
		{"log above", "LogFile=/var/log/zabbix/../../../etc/cron.d/x.log\n", 1, "LogFile"},
		{"log to the console", "LogType=console\n", 1, "LogType"},
		{"program for the name", "HostnameItem=system.run[id]\n", 1, "HostnameItem"},
		{"file for the name", "HostnameItem=vfs.file.contents[/etc/shadow]\n", 1, "HostnameItem"},
		{"program for the metadata", "HostMetadataItem=system.run[id]\n", 1, "HostMetadataItem"},
		{"file for the metadata", "HostMetadataItem=vfs.file.contents[/etc/zabbix/agent.psk]\n", 1, "HostMetadataItem"},
		{"program for the interface", "HostInterfaceItem=system.run[id]\n", 1, "HostInterfaceItem"},
		{"everybody", "Server=0.0.0.0/0\n", 1, "Server"},
		{"everybody, behind somebody", "Server=192.0.2.1, ::/0\n", 1, "Server"},
		{"everybody of IPv4 as Zabbix sees it", "Server=::/96\n", 1, "Server"},
		{"everybody of IPv4 mapped", "Server=::ffff:0:0/96\n", 1, "Server"},
		{"listen on every address", "ListenIP=0.0.0.0\n", 1, "ListenIP"},
		{"listen on every address of IPv6", "ListenIP=127.0.0.1,::\n", 1, "ListenIP"},
		{"listen on every address, mapped", "ListenIP=::ffff:0.0.0.0\n", 1, "ListenIP"},
		{"no TLS", "TLSConnect=unencrypted\n", 1, "TLSConnect"},
		{"TLS or none", "TLSAccept=psk,unencrypted\n", 1, "TLSAccept"},
		{"key elsewhere", "TLSPSKFile=/etc/shadow\n", 1, "TLSPSKFile"},
		{"key above", "TLSKeyFile=/etc/zabbix/../shadow\n", 1, "TLSKeyFile"},
		{"case", "server=192.0.2.1\n", 1, "server"},
		{"case of a value", "TLSConnect=PSK\n", 1, "TLSConnect"},
		{"no value", "Server=\n", 1, "Server"},
		{"no sign", "Server 192.0.2.1\n", 1, ""},
		{"two signs", "Server==192.0.2.1\n", 1, "Server"},
		{"quotes, which are part of the value", "Hostname=\"a\"\n", 1, "Hostname"},
		{"comment, which is part of the value", "Hostname=a # b\n", 1, "Hostname"},
		{"variable", "Hostname=${HOME}\n", 1, "Hostname"},
		{"section", "[agent]\n", 1, ""},
		{"continuation", "Server=192.0.2.1,\\\n192.0.2.2\n", 1, `\`},
		{"continued comment", "# a \\\nUserParameter=x,id\n", 2, "UserParameter"},
		{"comment in another language", "; UserParameter\n", 1, ""},
		{"number of the C language", "Timeout=0x10\n", 1, "Timeout"},
		{"number with a unit", "LogFileSize=1K\n", 1, "LogFileSize"},
		{"debug level that logs secrets", "DebugLevel=5\n", 1, "DebugLevel"},
		{"deny with a newline's escape", "DenyKey=a[\\n]\n", 1, `\`},
	}
	testRefused(t, "zabbix-agentd", both)
	testRefused(t, "zabbix-agent2", both)
	testRefused(t, "zabbix-agent2", []refused{
		{"plugin", "Plugins.Postgres.System.Path=/tmp/x\n", 1, "Plugins.Postgres.System.Path"},
		{"session", "Plugins.Mysql.Sessions.a.Uri=unix:/run/docker.sock\n", 1, "Plugins.Mysql.Sessions.a.Uri"},
		{"docker socket", "Plugins.Docker.Endpoint=unix:///run/docker.sock\n", 1, "Plugins.Docker.Endpoint"},
		{"silent remote commands", "Plugins.SystemRun.LogRemoteCommands=0\n", 1, "Plugins.SystemRun.LogRemoteCommands"},
		{"status port", "StatusPort=9999\n", 1, "StatusPort"},
		{"control socket", "ControlSocket=/run/x\n", 1, "ControlSocket"},
		{"plugin socket", "PluginSocket=/run/x\n", 1, "PluginSocket"},
		{"database", "PersistentBufferFile=/etc/x\n", 1, "PersistentBufferFile"},
		{"setting of the other agent", "StartAgents=3\n", 1, "StartAgents"},
		{"include that is relative", "Include=./x\n", 1, "Include"},
	})
	testRefused(t, "zabbix-agentd", []refused{
		{"setting of the other agent", "Plugins.Log.MaxLinesPerSecond=3\n", 1, "Plugins.Log.MaxLinesPerSecond"},
		{"long line", "#" + strings.Repeat("x", 2047) + "UserParameter=x,id\n", 1, ""},
	})
}
