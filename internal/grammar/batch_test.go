// SPDX-License-Identifier: Apache-2.0

package grammar

import "testing"

func TestSlurm(t *testing.T) {
	testAllowed(t, "slurm", []allowed{
		{"small", "ClusterName=site\nSlurmctldHost=head.example.org\nNodeName=wn[01-10] CPUs=8 RealMemory=16000 State=UNKNOWN\nPartitionName=grid Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n"},
		{"usual", `# slurm.conf of the site
ClusterName=site
SlurmctldHost=head(192.0.2.10)
SlurmctldHost=head2
AuthType=auth/munge
SlurmUser=slurm
SlurmctldPort=6817-6818
SlurmdPort=6820
StateSaveLocation=/var/lib/slurm/slurmctld
SlurmdSpoolDir=/var/spool/slurmd.%n
SlurmdPidFile=/run/slurmd.pid
SlurmctldPidFile=/run/slurmctld.pid
SlurmdLogFile=/var/log/slurm/slurmd.%h.log
SlurmctldLogFile=/var/log/slurmctld.log
ReturnToService=2
MpiDefault=pmix
ProctrackType=proctrack/cgroup
TaskPlugin=task/affinity,task/cgroup
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/cgroup
JobAcctGatherFrequency=task=30,energy=60
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=db.example.org
SlurmctldTimeout=120
SlurmdTimeout=300   # seconds
InactiveLimit=0
SlurmdDebug=info
`},
		{"records", "nodename=DEFAULT  cpus = 4 Sockets=1 CoresPerSocket=2 ThreadsPerCore=2 Feature=\"avx2,site_x\"\n" +
			"NodeName=wn01 NodeAddr=192.0.2.21 Weight=10\nNodeSet=fast Feature=avx2\nDownNodes=wn02 State=DOWN Reason=\"broken disk\"\n" +
			"PartitionName=short Nodes=fast MaxTime=1-00:00:00 DefMemPerCPU=2000 OverSubscribe=FORCE:2 PriorityTier=10 AllowGroups=atlas,cms\n"},
		{"configless", "ClusterName=x\nSlurmctldHost=h\nSlurmctldParameters=enable_configless\n"},
	})
	var tests []refused
	for _, name := range []string{"Prolog", "Epilog", "PrologSlurmctld", "TaskProlog", "TaskEpilog", "SrunProlog", "SrunEpilog",
		"EpilogSlurmctld", "HealthCheckProgram", "RebootProgram", "MailProg", "UnkillableStepProgram", "PlugStackConfig",
		"PluginDir", "SuspendProgram", "ResumeProgram", "ResumeFailProgram", "JobSubmitPlugins", "AuthInfo", "AuthAltParameters",
		"NodeFeaturesPlugins", "PrioritySiteFactorPlugin", "JobCompType", "AcctGatherEnergyType", "InteractiveStepOptions",
		"SlurmctldPrimaryOnProg", "SlurmctldPrimaryOffProg", "JobCompLoc", "PrEpPlugins", "CliFilterPlugins",
		"JobContainerType", "Licenses", "X11Parameters", "AuthAltTypes", "CoreSpecPlugin", "BurstBufferType"} {
		tests = append(tests, refused{name, "ClusterName=x\n" + name + "=/tmp/x\n", 2, name})
	}
	testRefused(t, "slurm", append(tests, []refused{
		{"case", "pROLOG=/tmp/x\n", 1, "pROLOG"},
		{"blanks", " Prolog \t = \t /tmp/x\n", 1, "Prolog"},
		{"quotes", "Prolog=\"/tmp/x\"\n", 1, "Prolog"},
		{"second on a line", "ClusterName=x Prolog=/tmp/x\n", 1, "Prolog"},
		{"second that is allowed, which slurmd refuses to read", "ClusterName=x SlurmdPort=6820\n", 1, "ClusterName"},
		{"node's port as a path", "NodeName=a Port=../x\n", 1, "Port"},
		{"gres plugin", "GresTypes=gpu,../../tmp/x\n", 1, "GresTypes"},
		{"gres of a node", "NodeName=a Gres=../x:1\n", 1, "Gres"},
		{"forwarded display", "PrologFlags=Contain,X11\n", 1, "PrologFlags"},
		{"launch parameter", "LaunchParameters=mpir_use_nodeaddr,test_exec\n", 1, "LaunchParameters"},
		{"other daemon's account", "SlurmdUser=slurm\n", 1, "SlurmdUser"},
		{"task parameter", "TaskPluginParam=x\n", 1, "TaskPluginParam"},
		{"include glued", "Include/tmp/x\n", 1, "Include/tmp/x"},
		{"carriage return", "ClusterName=x\r\nProlog=/tmp/x\n", 1, ""},
		{"behind a record", "NodeName=a CPUs=4 Prolog=/tmp/x\n", 1, "Prolog"},
		{"setting behind a record", "NodeName=a ClusterName=x\n", 1, "ClusterName"},
		{"record's key outside", "CPUs=4\n", 1, "CPUs"},
		{"other record's key", "PartitionName=a CPUs=4\n", 1, "CPUs"},
		{"include", "Include /tmp/x\n", 1, "Include"},
		{"include in another case", "\tiNCLUDE /tmp/x\n", 1, "iNCLUDE"},
		{"include as a key", "Include=/tmp/x\n", 1, "Include"},
		{"split over lines", "ClusterName=x\\\nProlog=/tmp/x\n", 1, `\`},
		{"split in a word", "Pro\\\nlog=/tmp/x\n", 1, `\`},
		{"continued comment", "# a \\\nProlog=/tmp/x\n", 1, ""},
		{"comment continued behind a setting", "ClusterName=x # a \\\n", 1, `\`},
		{"escaped hash", "Reason=a\\#b\n", 1, `\`},
		{"hash in quotes", "NodeName=a Reason=\"x # y\"\n", 1, "Reason"},
		{"open quote", "NodeName=a Reason=\"x\nProlog=/tmp/x\"\n", 2, "Prolog"},
		{"operator", "SchedulerParameters+=x\n", 1, ""},
		{"trailing word", "ClusterName=x /bin/x\n", 1, ""},
		{"no value", "ClusterName=\n", 1, "ClusterName"},
		{"auth without munge", "AuthType=auth/none\n", 1, "AuthType"},
		{"plugin by path", "AuthType=../../tmp/x\n", 1, "AuthType"},
		{"script after a job", "JobCompType=jobcomp/script\n", 1, "JobCompType"},
		{"ordinary account", "SlurmUser=alice\n", 1, "SlurmUser"},
		{"log elsewhere", "SlurmdLogFile=/etc/cron.d/x\n", 1, "SlurmdLogFile"},
		{"log above", "SlurmdLogFile=/var/log/slurm/../../../etc/cron.d/x\n", 1, "SlurmdLogFile"},
		{"spool elsewhere", "SlurmdSpoolDir=/\n", 1, "SlurmdSpoolDir"},
		{"pid file elsewhere", "SlurmdPidFile=/etc/nologin\n", 1, "SlurmdPidFile"},
		{"proctrack plugin", "ProctrackType=proctrack/x\n", 1, "ProctrackType"},
		{"one bad task plugin", "TaskPlugin=task/none,task/x\n", 1, "TaskPlugin"},
	}...))
}

func TestSlurmCgroup(t *testing.T) {
	testAllowed(t, "slurm-cgroup", []allowed{
		{"usual", "CgroupMountpoint=/sys/fs/cgroup\nCgroupPlugin=autodetect\nConstrainCores=yes\nConstrainRAMSpace=yes\nConstrainDevices=no\nAllowedRAMSpace=98.5\n"},
	})
	testRefused(t, "slurm-cgroup", []refused{
		{"mount point", "CgroupMountpoint=/etc\n", 1, "CgroupMountpoint"},
		{"release agent", "CgroupReleaseAgentDir=/tmp\n", 1, "CgroupReleaseAgentDir"},
		{"plugin", "CgroupPlugin=../x\n", 1, "CgroupPlugin"},
		{"setting of slurm.conf", "ConstrainCores=yes Prolog=/tmp/x\n", 1, "Prolog"},
		{"include", "include /tmp/x\n", 1, "include"},
	})
}

func TestSlurmGres(t *testing.T) {
	testRefused(t, "slurm-gres", []refused{
		{"raw disk", "Name=gpu File=/dev/sda\n", 1, "File"},
		{"memory", "Name=gpu File=/dev/mem\n", 1, "File"},
		{"device above", "Name=gpu File=/dev/nvidia0/../sda\n", 1, "File"},
		{"device with more behind", "Name=gpu File=/dev/nvidia0,/dev/sda\n", 1, "File"},
		{"quoted", "Name=gpu File=\"/dev/sda\"\n", 1, "File"},
		{"case", "nAME=gpu fILE=/dev/sda\n", 1, "fILE"},
		{"plugin", "Name=../x\n", 1, "Name"},
		{"library", "AutoDetect=../x\n", 1, "AutoDetect"},
		{"outside a record", "File=/dev/nvidia0\n", 1, "File"},
		{"behind a setting", "AutoDetect=off Name=gpu\n", 1, "AutoDetect"},
		{"include", "Include /tmp/x\n", 1, "Include"},
		{"continuation", "Name=gpu \\\nFile=/dev/sda\n", 1, `\`},
	})
}

func TestSlurmDefaults(t *testing.T) {
	testAllowed(t, "slurm-defaults", []allowed{
		{"Debian's own", "# Additional options that are passed to the slurmd daemon\n#SLURMD_OPTIONS=\"\"\n"},
		{"flags", "SLURMD_OPTIONS='-M -vv -N wn01'\n"},
	})
	testRefused(t, "slurm-defaults", []refused{
		{"configuration", `SLURMD_OPTIONS="-f /tmp/x"`, 1, "-f"},
		{"configuration joined", `SLURMD_OPTIONS="-f/tmp/x"`, 1, "-f/tmp/x"},
		{"stepd", `SLURMD_OPTIONS="-d /tmp/x"`, 1, "-d"},
		{"log", `SLURMD_OPTIONS="-vL /etc/cron.d/x"`, 1, "-vL"},
		{"flag as a value", `SLURMD_OPTIONS="-N -f"`, 1, "-N"},
		{"value missing", `SLURMD_OPTIONS="--conf-server"`, 1, "--conf-server"},
		{"abbreviated", `SLURMD_OPTIONS="--conf=x"`, 1, "--conf"},
		{"value of a bare flag", `SLURMD_OPTIONS="-M=x"`, 1, "-M=x"},
		{"another variable", `SLURM_CONF="/tmp/x"`, 1, "SLURM_CONF"},
		{"expansion", `SLURMD_OPTIONS="-N $(id)"`, 1, "SLURMD_OPTIONS"},
		{"open quote", "SLURMD_OPTIONS=\"-M\n-f /tmp/x\"", 1, "SLURMD_OPTIONS"},
	})
}

func TestHTCondor(t *testing.T) {
	testAllowed(t, "htcondor", []allowed{
		{"execute node", "# worker of the site\nCONDOR_HOST = condor.example.org\nuse ROLE: Execute\nuse SECURITY : recommended_v9_0\n"},
		{"cloud worker", `
COLLECTOR_HOST = condor.example.org:9618?sock=collector
DAEMON_LIST = MASTER, STARTD
CCB_ADDRESS = $(COLLECTOR_HOST)
PRIVATE_NETWORK_NAME = cloud.example.org
TCP_FORWARDING_HOST = 192.0.2.7
UID_DOMAIN=example.org
FILESYSTEM_DOMAIN = $(FULL_HOSTNAME)
USE_SHARED_PORT = True
SHARED_PORT_PORT = 9618
STARTD_NOCLAIM_SHUTDOWN = 1200
MASTER.DAEMON_SHUTDOWN = (STARTD_StartTime =?= 0) && (MonitorSelfAge > 300)
`},
		{"slots", "NUM_CPUS = $(DETECTED_CPUS)\nNUM_SLOTS=1\nNUM_SLOTS_TYPE_1 = 1\nSLOT_TYPE_1 = cpus=100%, memory=100%, disk=50%\nslot_type_1_partitionable = TRUE\nuse FEATURE : PartitionableSlot\n"},
		{"security", `
SEC_DEFAULT_AUTHENTICATION = REQUIRED
SEC_DEFAULT_AUTHENTICATION_METHODS = IDTOKENS, FS, SSL
SEC_CLIENT_ENCRYPTION = OPTIONAL
SEC_PASSWORD_FILE = /etc/condor/passwords.d/POOL
ALLOW_WRITE = condor_pool@*/*.example.org, $(IP_ADDRESS)
ALLOW_DAEMON = $(ALLOW_DAEMON), condor@$(UID_DOMAIN)
ALLOW_ADMINISTRATOR = $(CONDOR_HOST)
ALLOW_READ = *
DENY_WRITE = anonymous@*, unmapped@*
`},
		{"policy", `
START = $(START) && (TARGET.Owner =!= "nobody") && stringListMember(TARGET.AccountingGroup, "atlas,cms")
PREEMPT = FALSE
Suspend = False
RANK = ifThenElse(isUndefined(TARGET.JobPrio), 0, TARGET.JobPrio * 1.5)
MaxJobRetirementTime = 3600 * 24 * 2
SITE_Name = "CERN-PROD"
SITE_HS06 = 10.5
STARTD_ATTRS = $(STARTD_ATTRS), SITE_Name SITE_HS06
`},
	})
	var tests []refused
	for _, name := range []string{"STARTD_CRON_JOBLIST", "STARTD_CRON_x_EXECUTABLE", "STARTER", "STARTER_DEBUG", "STARTD", "MASTER",
		"SBIN", "LIB", "LIBEXEC", "LOCAL_DIR", "LOCAL_CONFIG_FILE", "LOCAL_CONFIG_DIR", "LOG", "EXECUTE", "SPOOL", "JAVA",
		"SINGULARITY", "DOCKER", "USER_JOB_WRAPPER", "STARTD_ARGS", "MASTER_ENVIRONMENT", "ALLOW_CONFIG", "ENABLE_RUNTIME_CONFIG",
		"ENABLE_PERSISTENT_CONFIG", "SETTABLE_ATTRS_CONFIG", "BIND_ALL_INTERFACES", "CLASSAD_USER_LIBS", "HOOK_PREPARE_JOB",
		"STARTER_JOB_HOOK_KEYWORD", "STARTER_DEFAULT_JOB_HOOK_KEYWORD", "PREEN", "MAIL", "MACHINE_RESOURCE_INVENTORY_GPUS",
		"MACHINE_RESOURCE_GPUS", "SLOT1_USER", "STARTER_ALLOW_RUNAS_OWNER", "VM_TYPE", "USERID", "CONDOR_IDS", "MOUNT_UNDER_SCRATCH",
		"REQUIRE_LOCAL_CONFIG_FILE", "CONDOR_ADMIN", "MASTER.STARTD", "STARTD.START", "JOB_ROUTER_DEFAULTS", "use", "include"} {
		tests = append(tests, refused{name, "NUM_CPUS = 1\n" + name + " = /tmp/x\n", 2, name})
	}
	testRefused(t, "htcondor", append(tests, []refused{
		{"case", "startd_Cron_JobList = x\n", 1, "startd_Cron_JobList"},
		{"daemon", "DAEMON_LIST = MASTER, STARTD, EVIL\n", 1, "DAEMON_LIST"},
		{"schedd", "DAEMON_LIST = $(DAEMON_LIST) SCHEDD\n", 1, "DAEMON_LIST"},
		{"include", "include : /tmp/x\n", 1, "include"},
		{"include a command", "include command : /bin/x\n", 1, "include"},
		{"include a command into", "INCLUDE COMMAND into /tmp/c : /bin/x = y\n", 1, "INCLUDE"},
		{"include at", "@include /tmp/x\n", 1, "@include"},
		{"older include of a program", "include : /bin/x|\n", 1, "include"},
		{"program as configuration", "LOCAL_CONFIG_FILE = /bin/x|\n", 1, "LOCAL_CONFIG_FILE"},
		{"if", "if version >= 8.1\nNUM_CPUS = 1\nendif\n", 1, "if"},
		{"value over lines", "NUM_CPUS @=end\n1\n@end\n", 1, "NUM_CPUS"},
		{"continuation", "NUM_CPUS = 1 \\\nSTARTER = /bin/x\n", 1, `\`},
		{"continuation before blanks", "NUM_CPUS = 1 \\ \t\n", 1, `\`},
		{"continuation in a name", "START\\\nER = /bin/x\n", 1, `\`},
		{"continued comment", "# a \\\nNUM_CPUS = 1\n", 1, ""},
		{"comment pragma", "#opt:newcomment\n", 1, ""},
		{"template", "use feature:GPUs\n", 1, "use feature:GPUs"},
		{"template with a program", "use FEATURE : StartdCronOneShot(X, /bin/x)\n", 1, ""},
		{"template second in line", "use ROLE : Execute, Submit\n", 1, "use ROLE:Submit"},
		{"template in another case", "UsE FeAtUrE:StartdCronPeriodic(X,1,/bin/x)\n", 1, ""},
		{"template by a macro", "use ROLE : $(X)\n", 1, ""},
		{"weak template", "use SECURITY : Host_Based\n", 1, "use SECURITY:Host_Based"},
		{"macro of the environment", "CONDOR_HOST = $ENV(HOST)\n", 1, "CONDOR_HOST"},
		{"macro function", "NUM_CPUS = $RANDOM_INTEGER(1,2)\n", 1, "NUM_CPUS"},
		{"unknown macro", "CONDOR_HOST = $(LOCAL_DIR)\n", 1, "CONDOR_HOST"},
		{"macro with a default", "CONDOR_HOST = $(X:/bin/x)\n", 1, "CONDOR_HOST"},
		{"late macro", "START = $$(X)\n", 1, "START"},
		{"late expression", "START = $$([1])\n", 1, "START"},
		{"macro in a macro", "START = $(C$(X)ONDOR_HOST)\n", 1, "START"},
		{"macro in a string", "SITE_X = \"$(LOCAL_DIR)\"\n", 1, "SITE_X"},
		{"function", "START = userHome(\"root\") == \"x\"\n", 1, "START"},
		{"function behind blanks", "START = eval (\"x\")\n", 1, "START"},
		{"backquotes", "START = `id`\n", 1, "START"},
		{"semicolon", "START = TRUE; X\n", 1, "START"},
		{"site attribute as an expression", "SITE_X = STARTER\n", 1, "SITE_X"},
		{"publishing a secret", "STARTD_ATTRS = SEC_PASSWORD_FILE\n", 1, "STARTD_ATTRS"},
		{"everybody may write", "ALLOW_WRITE = *\n", 1, "ALLOW_WRITE"},
		{"everybody, spelled out", "ALLOW_ADMINISTRATOR = *@*/*\n", 1, "ALLOW_ADMINISTRATOR"},
		{"every address", "ALLOW_DAEMON = 0.0.0.0/0\n", 1, "ALLOW_DAEMON"},
		{"every address again", "ALLOW_DAEMON = a.example.org, 10.0.0.0/0\n", 1, "ALLOW_DAEMON"},
		{"everybody in two halves", "ALLOW_DAEMON = 0.0.0.0/1, 128.0.0.0/1\n", 1, "ALLOW_DAEMON"},
		{"half of IPv6", "ALLOW_DAEMON = 8000::/1\n", 1, "ALLOW_DAEMON"},
		{"any address", "ALLOW_DAEMON = 0.0.0.0\n", 1, "ALLOW_DAEMON"},
		{"any digit", "ALLOW_WRITE = 1*\n", 1, "ALLOW_WRITE"},
		{"any letter", "ALLOW_WRITE = *a*\n", 1, "ALLOW_WRITE"},
		{"anonymous", "ALLOW_ADMINISTRATOR = anonymous@*\n", 1, "ALLOW_ADMINISTRATOR"},
		{"who did not say", "ALLOW_ADMINISTRATOR = unauthenticated@unmapped/10.1.0.0/16\n", 1, "ALLOW_ADMINISTRATOR"},
		{"anybody from anywhere", "ALLOW_WRITE = */*\n", 1, "ALLOW_WRITE"},
		{"optional authentication", "SEC_DEFAULT_AUTHENTICATION = OPTIONAL\n", 1, "SEC_DEFAULT_AUTHENTICATION"},
		{"optional authentication of a level", "SEC_WRITE_AUTHENTICATION = PREFERRED\n", 1, "SEC_WRITE_AUTHENTICATION"},
		{"key written as a configuration", "SEC_TOKEN_POOL_SIGNING_KEY_FILE = /etc/condor/condor_config.local\n", 1, "SEC_TOKEN_POOL_SIGNING_KEY_FILE"},
		{"template that HTCondor has not", "use SECURITY:recommended\n", 1, "use SECURITY:recommended"},
		{"function split over files", "START = $(START)Home(\"root\")\n", 1, "START"},
		{"function of a macro", "START = $(UID_DOMAIN) (\"root\")\n", 1, "START"},
		{"second sign", "START == x\n", 1, "START"},
		{"local name", "GLIDEIN.STARTER = /bin/x\n", 1, "GLIDEIN.STARTER"},
		{"subsystem and local name", "MASTER.GLIDEIN.START = TRUE\n", 1, "MASTER.GLIDEIN.START"},
		{"listen wider", "NETWORK_INTERFACE = *\n", 1, "NETWORK_INTERFACE"},
		{"no authentication", "SEC_DEFAULT_AUTHENTICATION = NEVER\n", 1, "SEC_DEFAULT_AUTHENTICATION"},
		{"no negotiation", "SEC_DEFAULT_NEGOTIATION = NEVER\n", 1, "SEC_DEFAULT_NEGOTIATION"},
		{"weak method", "SEC_DEFAULT_AUTHENTICATION_METHODS = FS, CLAIMTOBE\n", 1, "SEC_DEFAULT_AUTHENTICATION_METHODS"},
		{"secret elsewhere", "SEC_PASSWORD_FILE = /etc/condor/../shadow\n", 1, "SEC_PASSWORD_FILE"},
		{"colon for the sign", "NUM_CPUS : 4\n", 1, "NUM_CPUS"},
		{"no value", "NUM_CPUS =\n", 1, "NUM_CPUS"},
		{"name alone", "NUM_CPUS\n", 1, "NUM_CPUS"},
		{"comment behind a value", "NUM_CPUS = 4 # x\n", 1, "NUM_CPUS"},
	}...))
}
