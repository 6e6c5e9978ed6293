// SPDX-License-Identifier: Apache-2.0

package grammar

// condorTemplate are the configuration templates a site may use: HTCondor manual, "Configuration
// Templates". They are fixed in HTCondor and take no argument here. SECURITY:Host_Based is not here, since it
// trusts addresses, nor is a FEATURE that starts a program, such as GPUs.
var condorTemplate = onUse(func() map[string]bool {
	return map[string]bool{
		"use role:execute":              true,
		"use security:strong":           true,
		"use security:user_based":       true,
		"use security:recommended_v9_0": true,
		"use feature:partitionableslot": true,
		"use feature:staticslots":       true,
		"use policy:always_run_jobs":    true,
	}
})

// condorMacros are the macros that a value may use, and what stands for them when the value is checked.
// HTCondor sets some of them itself; the others are on the allow-list with a rule of their own.
var condorMacros = onUse(func() map[string]string {
	return map[string]string{
		"condor_host":     "host",
		"collector_host":  "host",
		"full_hostname":   "host",
		"hostname":        "host",
		"ip_address":      "192.0.2.1",
		"uid_domain":      "host",
		"detected_cpus":   "1",
		"detected_cores":  "1",
		"detected_memory": "1",
	}
})

const condorWho = `[A-Za-z0-9_*][A-Za-z0-9_.*@/:-]*`

var (
	condorBool   = oneOf("true", "false", "yes", "no")
	condorCount  = match("a number", `-?[0-9]{1,15}(?:\.[0-9]{1,6})?`)
	condorHosts  = listOf(",", match("host, host:port or host:port?sock=name", hostPortExpr+`(?:\?sock=[A-Za-z0-9_-]+)?`))
	condorSlot   = match("shares such as cpus=2,memory=50%", `[A-Za-z0-9_]+ *= *[0-9A-Za-z.]+%?(?:[ ,]+[A-Za-z0-9_]+ *= *[0-9A-Za-z.]+%?)*|[0-9]{1,3}%|auto`)
	condorDebug  = listOf(",", match("a debug category such as D_SECURITY:2", `D_[A-Z_]{1,32}(?::[0-9])?`))
	condorCert   = below("/etc/condor/", "/etc/ssl/", "/etc/pki/", "/etc/grid-security/")
	condorSecret = below("/etc/condor/passwords.d/", "/etc/condor/tokens.d/", "/etc/condor/pool_password")
	// Everybody may be denied and may read; whoever may write or command is to be named.
	condorAnyone = listOf(",", match("a user@domain, a host or an address, with * in it", condorWho))
	condorNamed  = listOf(",", rule{"a named user@domain, host or network, not everybody", condorOne})
)

const hostPortExpr = `(?:` + hostExpr + `|\[` + ip6Expr + `\])(?::` + portExpr + `)?`

// condorSettings are from the HTCondor manual, "Configuration Macros". Not here is what names a program, a
// directory, a hook, a wrapper or another configuration, what belongs to the starter (the way a job is
// run is the image's), and what lets configuration be changed over the network.
var condorSettings = onUse(func() map[string]rule {
	return tableOf([]entry[rule]{
		{"condor_host", condorHosts},
		{"collector_host", condorHosts},
		{"collector_name", match("plain text", `[A-Za-z0-9_ .,-]+`)},
		{"ccb_address", condorHosts},
		{"daemon_list", listOf(",", oneOf("MASTER", "STARTD", "SHARED_PORT"))},
		{"uid_domain", anyHost},
		{"filesystem_domain", anyHost},
		{"trust_domain", anyHost},
		{"default_domain_name", anyHost},
		{"network_hostname", anyHost},
		{"tcp_forwarding_host", anyHost},
		{"private_network_name", anyHost},
		{"private_network_interface", match("an address, with * at its end if you like", `[0-9A-Fa-f.:]+\*?`)},
		{"network_interface", match("an address, with * at its end if you like", `[0-9A-Fa-f.:]+\*?`)},
		{"enable_ipv4", oneOf("true", "false", "auto")},
		{"enable_ipv6", oneOf("true", "false", "auto")},
		{"prefer_ipv4", condorBool},
		{"use_shared_port", condorBool},
		{"shared_port_port", aPort},
		{"lowport", aPort},
		{"highport", aPort},
		{"update_collector_with_tcp", condorBool},
		{"num_cpus", condorCount},
		{"num_slots", condorCount},
		{"memory", condorCount},
		{"reserved_memory", condorCount},
		{"reserved_disk", condorCount},
		{"count_hyperthread_cpus", condorBool},
		{"startd_noclaim_shutdown", condorCount},
		{"update_interval", condorCount},
		{"master_update_interval", condorCount},
		{"claim_worklife", condorCount},
		{"alive_interval", condorCount},
		{"killing_timeout", condorCount},
		{"shutdown_graceful_timeout", condorCount},
		{"start", condorExpression},
		{"suspend", condorExpression},
		{"continue", condorExpression},
		{"preempt", condorExpression},
		{"kill", condorExpression},
		{"rank", condorExpression},
		{"want_suspend", condorExpression},
		{"want_vacate", condorExpression},
		{"is_owner", condorExpression},
		{"maxjobretirementtime", condorExpression},
		{"machinemaxvacatetime", condorExpression},
		{"master.daemon_shutdown", condorExpression},
		{"master.daemon_shutdown_fast", condorExpression},
		{"startd.daemon_shutdown", condorExpression},
		{"startd.daemon_shutdown_fast", condorExpression},
		{"startd_attrs", listOf(",", match("an attribute that starts with SITE_", `[sS][iI][tT][eE]_[A-Za-z0-9_]{1,60}`))},
		{"allow_read", condorAnyone},
		{"sec_password_file", condorSecret},
		{"sec_password_directory", condorSecret},
		{"sec_token_directory", condorSecret},
		{"sec_token_system_directory", condorSecret},
		{"sec_token_pool_signing_key_file", condorSecret},
		{"auth_ssl_client_cafile", condorCert},
		{"auth_ssl_client_cadir", condorCert},
		{"auth_ssl_client_certfile", condorCert},
		{"auth_ssl_client_keyfile", condorCert},
		{"auth_ssl_server_cafile", condorCert},
		{"auth_ssl_server_cadir", condorCert},
		{"auth_ssl_server_certfile", condorCert},
		{"auth_ssl_server_keyfile", condorCert},
		{"all_debug", condorDebug},
		{"master_debug", condorDebug},
		{"startd_debug", condorDebug},
		{"shared_port_debug", condorDebug},
	})
})

// condorFamilies are the settings whose names are made of parts, as regular expressions on the name in
// lower case. CONFIG is no level of access here: it changes the configuration over the network. The site
// has the names that start with SITE_ for its own machine attributes, as literals: HTCondor knows no
// setting of such a name, so they mean nothing until STARTD_ATTRS publishes them.
var condorFamilies = []struct {
	name pattern
	rule rule
}{
	{lazy(`\Anum_slots_type_[0-9]{1,3}\z`), condorCount},
	{lazy(`\Aslot_type_[0-9]{1,3}\z`), condorSlot},
	{lazy(`\Aslot_type_[0-9]{1,3}_partitionable\z`), condorBool},
	{lazy(`\Amax_(default|master|shared_port|startd|starter)_log\z`), match("a size such as 100 Mb", `[0-9]{1,12}(?: ?[kKmMgG]?[bB])?`)},
	{lazy(`\Amax_num_(default|master|shared_port|startd|starter)_log\z`), match("a number", `[0-9]{1,3}`)},
	{lazy(`\Aallow_(write|daemon|negotiator|administrator|client|advertise_(master|startd|schedd))\z`), condorNamed},
	{lazy(`\Adeny_(read|write|daemon|negotiator|administrator|config|client|advertise_(master|startd|schedd))\z`), condorAnyone},
	{lazy(`\Asec_(client|read)_authentication\z`), oneOf("REQUIRED", "PREFERRED", "OPTIONAL")},
	// The image's own configuration may let everybody write who is authenticated, as recommended_v9_0 does.
	{lazy(`\Asec_` + condorLevel + `_authentication\z`), oneOf("REQUIRED")},
	{lazy(`\Asec_` + condorLevel + `_(integrity|negotiation)\z`), oneOf("REQUIRED", "PREFERRED", "OPTIONAL")},
	{lazy(`\Asec_` + condorLevel + `_encryption\z`), oneOf("REQUIRED", "PREFERRED", "OPTIONAL", "NEVER")},
	{lazy(`\Asec_` + condorLevel + `_authentication_methods\z`),
		listOf(",", oneOf("FS", "IDTOKENS", "KERBEROS", "MUNGE", "PASSWORD", "SCITOKENS", "SSL", "TOKEN"))},
	{lazy(`\Asec_` + condorLevel + `_crypto_methods\z`), listOf(",", oneOf("AES", "BLOWFISH", "3DES"))},
	{lazy(`\Asite_[a-z0-9_]{1,60}\z`), match(`a number, TRUE, FALSE or "plain text"`,
		`-?[0-9]{1,15}(?:\.[0-9]{1,9})?|[tT][rR][uU][eE]|[fF][aA][lL][sS][eE]|"[A-Za-z0-9_ .,:;/@+=()-]*"`)},
}

const condorLevel = `(default|client|read|write|daemon|negotiator|administrator|advertise_(master|startd|schedd))`
