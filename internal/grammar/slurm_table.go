// SPDX-License-Identifier: Apache-2.0

package grammar

import "maps"

// slurmGresExpr is one generic resource of a node.
const slurmGresExpr = `(?:gpu|mps|nic|shard)(?::[A-Za-z0-9_.-]{1,64})?(?::no_consume)?(?::[0-9]{1,9}[KMGTP]?)?(?:\((?:S:)?[0-9,-]{1,64}\))?`

var (
	slurmNodes    = match("node names such as wn[001-128]", `[A-Za-z0-9_][A-Za-z0-9_.,:\[\]-]*`)
	slurmTime     = match("a time such as 30, 1-12:00:00 or INFINITE", `[0-9:-]{1,20}|INFINITE|UNLIMITED|infinite|unlimited`)
	slurmCount    = match("a number or UNLIMITED", `[0-9]{1,15}|UNLIMITED|unlimited|INFINITE|infinite`)
	slurmSize     = match("a number, with K, M, G or T behind it if you like", `[0-9]{1,15}[KMGTkmgt]?`)
	slurmWords    = match("plain words with commas between", `[A-Za-z0-9_][A-Za-z0-9_.,:+*/=-]*`)
	slurmState    = oneOf("UNKNOWN", "CLOUD", "FUTURE", "DOWN", "DRAIN", "FAIL", "FAILING", "UP", "INACTIVE")
	slurmText     = match("plain text", `[A-Za-z0-9_ .,:/()-]*`)
	slurmLevel    = oneOf("quiet", "fatal", "error", "info", "verbose", "debug", "debug2", "debug3", "debug4", "debug5", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
	slurmLogPath  = below("/var/log/slurm")
	slurmRunPath  = below("/run/slurm", "/var/run/slurm")
	slurmSpool    = below("/var/spool/slurm", "/var/lib/slurm")
	slurmUser     = oneOf("slurm", "root")
	slurmPorts    = match("a port or a range of ports", `[0-9]{1,5}(?:-[0-9]{1,5})?`)
	slurmPortList = match("a port, or ports such as [17001-17064]", `[0-9]{1,5}|\[[0-9]{1,5}(?:[,-][0-9]{1,5}){0,64}\]`)
	slurmGresList = match("resources such as gpu:a100:4", slurmGresExpr+`(?:,`+slurmGresExpr+`)*`)
	slurmFrozen   = oneOf("NO", "OFF", "NONE", "CANCEL", "GANG", "REQUEUE", "SUSPEND", "SUSPEND,GANG", "GANG,SUSPEND", "WITHIN")
)

// slurmSettings are the settings of slurm.conf(5) outside records. A value that names a plugin is one of
// a fixed list, since Slurm loads the shared object of that name. Paths stay within Slurm's own places; %h and
// %n in them stand for names without a slash. SlurmUser is whose messages slurmd obeys, SlurmdUser is what it
// runs as. A value of slurmWords is an option of the controller, which slurmd does not act on (Scheduler*,
// Priority*, Select*, Accounting*, PrivateData), or names what is logged, measured or passed on (DebugFlags,
// JobAcctGatherFrequency, PropagateResourceLimits*): slurm.conf(5) has no option in them that starts a program
// or names a file.
var slurmSettings = onUse(func() map[string]rule {
	return extend(tableOf([]entry[rule]{
		{"clustername", aName},
		{"slurmctldhost", match("host or host(address)", hostExpr+`(?:\((?:`+hostExpr+`|`+ip6Expr+`)\))?`)},
		{"controlmachine", slurmHost},
		{"controladdr", anyHost},
		{"backupcontroller", slurmHost},
		{"backupaddr", anyHost},
		{"slurmctldaddr", anyHost},
		{"slurmctldport", slurmPorts},
		{"slurmdport", aPort},
		{"srunportrange", slurmPorts},
		{"authtype", oneOf("auth/munge")},
		{"cryptotype", oneOf("crypto/munge")},
		{"credtype", oneOf("cred/munge")},
		{"slurmuser", slurmUser}, // slurmd obeys it, so no ordinary account
		{"slurmduser", oneOf("root")},
		{"statesavelocation", slurmSpool},
		{"slurmdspooldir", slurmSpool},
		{"slurmdpidfile", slurmRunPath},
		{"slurmctldpidfile", slurmRunPath},
		{"slurmdlogfile", slurmLogPath},
		{"slurmctldlogfile", slurmLogPath},
		{"slurmschedlogfile", slurmLogPath},
		{"slurmddebug", slurmLevel},
		{"slurmctlddebug", slurmLevel},
		{"slurmdsyslogdebug", slurmLevel},
		{"slurmctldsyslogdebug", slurmLevel},
		{"logtimeformat", oneOf("iso8601", "iso8601_ms", "rfc5424", "rfc5424_ms", "clock", "short", "thread_id")},
		{"debugflags", slurmWords},
		{"slurmdparameters", listOf(",", oneOf("config_overrides", "l3cache_as_socket"))},
		{"slurmctldparameters", listOf(",", oneOf("enable_configless", "cloud_dns", "idle_on_node_suspend"))},
		{"returntoservice", oneOf("0", "1", "2")},
		// Contain is what pam_slurm_adopt(8) needs. Not here is X11, which starts xauth on the node.
		{"prologflags", listOf(",", oneOf("Alloc", "Contain", "DeferBatch", "NoHold", "Serial"))},
		{"launchparameters", listOf(",", oneOf("batch_step_set_cpu_freq", "disable_send_gids", "enable_nss_slurm", "lustre_no_flush", "mem_sort",
			"mpir_use_nodeaddr", "send_gids", "slurmstepd_memlock", "slurmstepd_memlock_all", "use_interactive_step"))},
		{"communicationparameters", listOf(",", oneOf("DisableIPv4", "EnableIPv6", "NoAddrCache", "NoCtldInAddrAny", "NoInAddrAny"))},
		{"grestypes", listOf(",", slurmGresKinds)}, // plugins; gres.conf has a format of its own
		{"switchtype", oneOf("switch/none")},
		{"mpidefault", oneOf("none", "pmi2", "pmix")},
		{"mpiparams", match("ports=first-last", `ports=[0-9]{1,5}-[0-9]{1,5}`)},
		{"proctracktype", oneOf("proctrack/linuxproc", "proctrack/cgroup", "proctrack/pgid")},
		{"taskplugin", listOf(",", oneOf("task/none", "task/affinity", "task/cgroup"))},
		{"taskpluginparam", listOf(",", oneOf("none", "cores", "sockets", "threads", "verbose", "SlurmdOffSpec", "OOMKillStep",
			"autobind=none", "autobind=cores", "autobind=sockets", "autobind=threads"))},
		{"schedulertype", oneOf("sched/backfill", "sched/builtin")},
		{"schedulerparameters", slurmWords},
		{"selecttype", oneOf("select/cons_tres", "select/cons_res", "select/linear")},
		{"selecttypeparameters", slurmWords},
		{"topologyplugin", oneOf("topology/none", "topology/default", "topology/tree")},
		{"prioritytype", oneOf("priority/basic", "priority/multifactor")},
		{"priorityflags", slurmWords},
		{"preempttype", oneOf("preempt/none", "preempt/partition_prio", "preempt/qos")},
		{"preemptmode", slurmFrozen},
		{"jobacctgathertype", oneOf("jobacct_gather/none", "jobacct_gather/linux", "jobacct_gather/cgroup")},
		{"jobacctgatherfrequency", slurmWords},
		{"jobcomptype", oneOf("jobcomp/none")},
		{"accountingstoragetype", oneOf("accounting_storage/none", "accounting_storage/slurmdbd")},
		{"accountingstoragehost", anyHost},
		{"accountingstoragebackuphost", anyHost},
		{"accountingstorageport", aPort},
		{"accountingstorageenforce", slurmWords},
		{"accountingstoragetres", slurmWords},
		{"accountingstoreflags", slurmWords},
		{"privatedata", slurmWords},
		{"propagateresourcelimits", slurmWords},
		{"propagateresourcelimitsexcept", slurmWords},
		{"maxjobcount", number},
		{"epilogmsgtime", number},
		{"tmpfs", oneOf("/tmp")},
	}), map[string][]string{
		"number": {"MaxArraySize", "MaxStepCount", "MaxTasksPerNode", "FirstJobId", "MaxJobId", "TreeWidth", "SchedulerTimeSlice",
			"PriorityMaxAge", "PriorityWeightAge", "PriorityWeightAssoc", "PriorityWeightFairshare", "PriorityWeightJobSize",
			"PriorityWeightPartition", "PriorityWeightQOS", "DefMemPerCPU", "DefMemPerNode", "MaxMemPerCPU", "MaxMemPerNode"},
		"time": {"BatchStartTimeout", "CompleteWait", "EioTimeout", "GetEnvTimeout", "InactiveLimit", "KillWait",
			"MessageTimeout", "MinJobAge", "OverTimeLimit", "ResvOverRun", "SlurmctldTimeout", "SlurmdTimeout", "TCPTimeout",
			"UnkillableStepTimeout", "WaitTime", "PrologEpilogTimeout", "PriorityDecayHalfLife", "PriorityCalcPeriod",
			"GroupUpdateTime"},
		"yes": {"DisableRootJobs", "EnforcePartLimits", "JobRequeue", "KillOnBadExit", "PriorityFavorSmall",
			"TrackWCKey", "AllowSpecResourcesUsage", "GroupUpdateForce"},
	}, slurmRecords())
})

// slurmRecords are the keys that start a record.
var slurmRecords = onUse(func() map[string]rule {
	return tableOf([]entry[rule]{
		{"nodename", slurmNodes},
		{"nodeset", aName},
		{"partitionname", match("names with commas between", `[A-Za-z0-9_][A-Za-z0-9_.,-]*`)},
		{"downnodes", slurmNodes},
	})
})

// slurmNode is slurm.conf(5), "NODE CONFIGURATION".
var slurmNode = onUse(func() map[string]rule {
	return extend(tableOf([]entry[rule]{
		{"nodehostname", slurmNodes},
		{"nodeaddr", slurmNodes},
		{"bcastaddr", slurmNodes},
		{"feature", slurmWords},
		{"features", slurmWords},
		{"port", slurmPortList},
		{"gres", slurmGresList},
		{"reason", slurmText},
		{"state", slurmState},
		{"cpuspeclist", slurmWords},
	}), map[string][]string{
		"number": {"Boards", "CoreSpecCount", "CPUs", "CoresPerSocket", "MemSpecLimit", "Procs", "RealMemory", "Sockets",
			"SocketsPerBoard", "ThreadsPerCore", "TmpDisk", "Weight"},
	}, nil)
})

// slurmNodeSet and slurmDownNodes are slurm.conf(5), "NODESET CONFIGURATION" and "DOWN NODE CONFIGURATION".
var (
	slurmNodeSet   = onUse(func() map[string]rule { return map[string]rule{"feature": slurmWords, "nodes": slurmNodes} })
	slurmDownNodes = onUse(func() map[string]rule { return map[string]rule{"reason": slurmText, "state": slurmState} })
)

// slurmPartition is slurm.conf(5), "PARTITION CONFIGURATION".
var slurmPartition = onUse(func() map[string]rule {
	return extend(tableOf([]entry[rule]{
		{"allocnodes", slurmNodes},
		{"nodes", slurmNodes},
		{"alternate", aName},
		{"allowaccounts", slurmWords},
		{"allowgroups", slurmWords},
		{"allowqos", slurmWords},
		{"denyaccounts", slurmWords},
		{"denyqos", slurmWords},
		{"qos", aName},
		{"oversubscribe", match("EXCLUSIVE, FORCE, YES or NO", `(?:EXCLUSIVE|FORCE|YES|NO)(?::[0-9]{1,4})?`)},
		{"preemptmode", slurmFrozen},
		{"selecttypeparameters", slurmWords},
		{"state", oneOf("UP", "DOWN", "DRAIN", "INACTIVE")},
		{"tresbillingweights", match("weights such as CPU=1.0,Mem=0.25G", `[A-Za-z0-9_.,=/]+`)},
	}), map[string][]string{
		"count": {"MaxCPUsPerNode", "MaxNodes", "MinNodes", "DefMemPerCPU", "DefMemPerNode", "MaxMemPerCPU",
			"MaxMemPerNode", "PriorityJobFactor", "PriorityTier"},
		"time": {"DefaultTime", "GraceTime", "MaxTime", "OverTimeLimit"},
		"yes":  {"Default", "DisableRootJobs", "ExclusiveUser", "Hidden", "LLN", "ReqResv", "RootOnly"},
	}, nil)
})

// slurmCgroupSettings are from cgroup.conf(5).
var slurmCgroupSettings = onUse(func() map[string]rule {
	return extend(tableOf([]entry[rule]{
		{"cgroupmountpoint", oneOf("/sys/fs/cgroup")},
		{"cgroupplugin", oneOf("autodetect", "cgroup/v1", "cgroup/v2")},
		{"memoryswappiness", number},
		{"minkmemspace", slurmSize},
		{"minramspace", slurmSize},
	}), map[string][]string{
		"percent": {"AllowedKmemSpace", "AllowedRAMSpace", "AllowedSwapSpace", "MaxKmemPercent", "MaxRAMPercent", "MaxSwapPercent"},
		"yes": {"CgroupAutomount", "ConstrainCores", "ConstrainDevices", "ConstrainKmemSpace", "ConstrainRAMSpace",
			"ConstrainSwapSpace", "IgnoreSystemd", "IgnoreSystemdOnFailure"},
	}, nil)
})

// extend adds to a table the keys that need only one of a few simple rules, and another table.
//
//go:noinline
func extend(table map[string]rule, simple map[string][]string, more map[string]rule) map[string]rule {
	rules := tableOf([]entry[rule]{
		{"number", number},
		{"count", slurmCount},
		{"time", slurmTime},
		{"yes", either(yesNo, oneOf("ANY", "ALL"))},
		{"percent", match("a number", `[0-9]{1,15}(?:\.[0-9]{1,3})?%?`)},
	})
	for name, keys := range simple {
		for _, key := range keys {
			table[lower(key)] = rules[name]
		}
	}
	maps.Copy(table, more)
	return table
}
