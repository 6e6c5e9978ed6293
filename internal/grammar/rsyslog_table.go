// SPDX-License-Identifier: Apache-2.0

package grammar

import "maps"

var (
	onOff = oneOf("on", "off")

	// rsyslog 8 documentation, "Templates", "Reserved Template Names". A site cannot define one itself: a
	// template can name a file.
	rsyslogTemplate = match("a built-in template such as RSYSLOG_SyslogProtocol23Format",
		`RSYSLOG_(?:ForwardFormat|TraditionalForwardFormat|SyslogProtocol23Format|FileFormat|`+
			`TraditionalFileFormat|SysklogdFileFormat|DebugFormat|StdJSONFmt)`)

	rsyslogSize = match("a number, with k, m, g or t behind it if you like", `[0-9]{1,12}[kKmMgGtT]?`)

	// rsyslog makes a module name of it, lmnsd_NAME, so no other word will do.
	rsyslogDriver = oneOf("gtls", "ossl", "ptcp")
	rsyslogAuth   = oneOf("anon", "x509/certvalid", "x509/fingerprint", "x509/name")

	// What a legacy directive or global() says of TLS holds for the image's own forwarding, too, if that
	// comes later: rsyslog does not reset these after an action. They may only ask for TLS, with a peer that
	// shows a certificate; for anything else there are the parameters of action().
	rsyslogTLSDriver = oneOf("gtls", "ossl")
	rsyslogTLSMode   = match("1, or StreamDriverMode in action()", `1`)
	rsyslogTLSAuth   = match("one of x509/certvalid, x509/fingerprint, x509/name, or StreamDriverAuthMode in action()",
		`(?i:x509/(?:certvalid|fingerprint|name))`)

	rsyslogPeers = match("host names or fingerprints with commas between", `[A-Za-z0-9_.*:-]+(?:, ?[A-Za-z0-9_.*:-]+)*`)

	// Files that rsyslogd reads, never writes.
	rsyslogCert = below("/etc/ssl/", "/etc/pki/", "/etc/rsyslog.d/")

	// The start of the names of queue files in rsyslog's own work directory.
	rsyslogSpool = match("a bare file name without a slash", `[A-Za-z0-9_](?:[A-Za-z0-9_-]|\.[A-Za-z0-9_-]){0,63}`)
	rsyslogQueue = oneOf("FixedArray", "LinkedList", "Direct", "Disk")
)

// rsyslogDirectives are the legacy directives: rsyslog 8 documentation, "Configuration", "Legacy
// Configuration Directives". $WorkDirectory is not here: it moves where files are written. Nor is
// $ActionExecOnlyWhenPreviousIsSuspended, which stays on for the image's own rules.
var rsyslogDirectives = onUse(func() map[string]rule {
	return tableOf([]entry[rule]{
		{"$preservefqdn", onOff},
		{"$localhostname", anyHost},
		{"$repeatedmsgreduction", onOff},
		{"$repeatedmsgcontainsoriginalmsg", onOff},
		{"$defaultnetstreamdriver", rsyslogTLSDriver},
		{"$defaultnetstreamdrivercafile", rsyslogCert},
		{"$defaultnetstreamdrivercertfile", rsyslogCert},
		{"$defaultnetstreamdriverkeyfile", rsyslogCert},
		{"$actionname", aName},
		{"$actionqueuecheckpointinterval", number},
		{"$actionqueuedequeuebatchsize", number},
		{"$actionqueuedequeueslowdown", number},
		{"$actionqueuedequeuetimebegin", number},
		{"$actionqueuedequeuetimeend", number},
		{"$actionqueuediscardmark", number},
		{"$actionqueuediscardseverity", number},
		{"$actionqueuefilename", rsyslogSpool},
		{"$actionqueuehighwatermark", number},
		{"$actionqueuelowwatermark", number},
		{"$actionqueuemaxdiskspace", rsyslogSize},
		{"$actionqueuemaxfilesize", rsyslogSize},
		{"$actionqueuesaveonshutdown", onOff},
		{"$actionqueuesize", rsyslogSize},
		{"$actionqueuesyncqueuefiles", onOff},
		{"$actionqueuetimeoutactioncompletion", number},
		{"$actionqueuetimeoutenqueue", number},
		{"$actionqueuetimeoutshutdown", number},
		{"$actionqueuetimeoutworkerthreadshutdown", integer},
		{"$actionqueuetype", rsyslogQueue},
		{"$actionqueueworkerthreadminimummessages", number},
		{"$actionqueueworkerthreads", number},
		{"$actionresumeinterval", number},
		{"$actionresumeretrycount", integer},
		{"$actionsendresendlastmsgonreconnect", onOff},
		{"$actionsendstreamdriver", rsyslogTLSDriver},
		{"$actionsendstreamdriverauthmode", rsyslogTLSAuth},
		{"$actionsendstreamdrivermode", rsyslogTLSMode},
		{"$actionsendstreamdriverpermittedpeer", rsyslogPeers},
		{"$actionsendtcprebindinterval", number},
		{"$actionsendudprebindinterval", number},
	})
})

// rsyslogObjects are the RainerScript objects and their parameters.
var rsyslogObjects = onUse(func() map[string]map[string]rule {
	return map[string]map[string]rule{
		"global": rsyslogGlobal(),
		"action": rsyslogAction(),
	}
})

// rsyslogGlobal is from rsyslog 8 documentation, "global() configuration object": who the sender says
// it is, and TLS for forwarding. None of them opens a port or writes a file.
var rsyslogGlobal = onUse(func() map[string]rule {
	return tableOf([]entry[rule]{
		{"preservefqdn", onOff},
		{"localhostname", anyHost},
		{"defaultnetstreamdriver", rsyslogTLSDriver},
		{"defaultnetstreamdrivercafile", rsyslogCert},
		{"defaultnetstreamdrivercertfile", rsyslogCert},
		{"defaultnetstreamdriverkeyfile", rsyslogCert},
	})
})

// rsyslogAction is from rsyslog 8 documentation, "omfwd: syslog Forwarding Output Module", without
// NetworkNamespace and Device, and "General Queue Parameters", without queue.spoolDirectory.
func rsyslogAction() map[string]rule {
	table := tableOf([]entry[rule]{
		{"type", oneOf("omfwd")},
		{"target", anyHost},
		{"port", aPort},
		{"protocol", oneOf("udp", "tcp")},
		{"template", rsyslogTemplate},
		{"name", aName},
		{"action.resumeretrycount", integer},
		{"action.resumeinterval", number},
		{"action.resumeintervalmax", number},
		{"action.reportsuspension", onOff},
		{"compression.mode", oneOf("none", "single", "stream:always")},
		{"compression.stream.flushontxend", onOff},
		{"ziplevel", oneOf("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")},
		{"tcp_framing", oneOf("traditional", "octet-counted")},
		{"keepalive", onOff},
		{"keepalive.interval", number},
		{"keepalive.probes", number},
		{"keepalive.time", number},
		{"rebindinterval", number},
		{"resendlastmsgonreconnect", onOff},
		{"udp.senddelay", number},
		{"udp.sendtoall", onOff},
		{"streamdriver", rsyslogDriver},
		{"streamdrivermode", oneOf("0", "1")},
		{"streamdriverauthmode", rsyslogAuth},
		{"streamdriverpermittedpeers", rsyslogPeers},
		{"streamdriver.permitexpiredcerts", oneOf("off", "warn")},
		{"streamdriver.cafile", rsyslogCert},
		{"streamdriver.certfile", rsyslogCert},
		{"streamdriver.keyfile", rsyslogCert},
		{"queue.type", rsyslogQueue},
		{"queue.filename", rsyslogSpool},
		{"queue.size", rsyslogSize},
		{"queue.maxdiskspace", rsyslogSize},
		{"queue.maxfilesize", rsyslogSize},
		{"queue.saveonshutdown", onOff},
		{"queue.syncqueuefiles", onOff},
		{"queue.timeoutworkerthreadshutdown", integer},
	})
	numbers := map[string]rule{}
	for _, name := range []string{"checkpointinterval", "dequeuebatchsize", "mindequeuebatchsize",
		"mindequeuebatchsize.timeout", "dequeueslowdown", "dequeuetimebegin", "dequeuetimeend", "discardmark",
		"discardseverity", "fulldelaymark", "highwatermark", "lightdelaymark", "lowwatermark", "samplinginterval",
		"timeoutactioncompletion", "timeoutenqueue", "timeoutshutdown", "workerthreadminimummessages",
		"workerthreads"} {
		numbers["queue."+name] = number
	}
	maps.Copy(table, numbers)
	return table
}
