// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"sync"

	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/sandbox"
)

// searchPath is the script's PATH. The first directory has the stand-ins for
// systemctl and its like.
const searchPath = "/run/ctxagent/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// secrets are shown empty: no configuration script needs them, and the policy
// refuses a write to any of them.
var secrets = []sandbox.Entry{
	{Path: "/etc/shadow", Kind: sandbox.ShowEmpty},
	{Path: "/etc/shadow-", Kind: sandbox.ShowEmpty},
	{Path: "/etc/gshadow", Kind: sandbox.ShowEmpty},
	{Path: "/etc/gshadow-", Kind: sandbox.ShowEmpty},
	{Path: "/etc/ssh/ssh_host_rsa_key", Kind: sandbox.ShowEmpty},
	{Path: "/etc/ssh/ssh_host_ecdsa_key", Kind: sandbox.ShowEmpty},
	{Path: "/etc/ssh/ssh_host_ed25519_key", Kind: sandbox.ShowEmpty},
	{Path: "/etc/ssl/private", Kind: sandbox.ShowEmpty},
	{Path: "/etc/krb5.keytab", Kind: sandbox.ShowEmpty},
	{Path: "/root/.ssh", Kind: sandbox.ShowEmpty},
	{Path: "/home", Kind: sandbox.ShowEmpty},
	{Path: "/boot", Kind: sandbox.ShowEmpty},
	{Path: "/var/backups", Kind: sandbox.ShowEmpty},
	{Path: "/var/lib/cloud", Kind: sandbox.ShowEmpty},
	{Path: "/var/log/journal", Kind: sandbox.ShowEmpty},
	{Path: "/var/lib/ctxagent", Kind: sandbox.ShowEmpty},
}

// Variables reads a context.sh, and says what of it is left out.
func Variables(name string, text []byte) (assigned, warnings []string) {
	return assignments(name, string(text), nil)
}

// environment is the script's: a fixed clean one, the variables of the disc's
// context.sh, and what the stage knows, which wins.
func environment(c Context, r *report.Receipt) (env, warnings []string) {
	if name := c.Script("context.sh"); name != "" {
		b, err := readBounded(path.Join(c.Dir, name), maxScript)
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("%s is left out: %v", name, err))
		}
		env, warnings = assignments(name, string(b), warnings)
	}
	env = append(env, "PATH="+searchPath, "HOME=/", "LANG=C", "CONTEXT_DIR="+sandbox.ContextDir,
		"CTX_STAGE="+r.Stage, "CTX_DEVICE="+c.Disc.Device, "CTX_LABEL="+strings.ReplaceAll(c.Disc.Label, "\x00", ""), "CTX_DIGEST="+c.Disc.Digest)
	return append(env, networkEnvironment(r.Network)...), warnings
}

// The patterns are compiled when a disc has a context.sh: the agent starts at
// every boot, and most discs have none.
var assignment = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$`) })

// reserved names would change how the script's own programs run.
var reserved = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(PATH|IFS|ENV|BASH_.*|BASHOPTS|SHELLOPTS|SHELL|HOME|LD_.*|GCONV_PATH|LOCPATH|NLSPATH|PYTHON.*|PERL.*|RUBY.*|PS4|PROMPT_COMMAND|CDPATH|GLOBIGNORE|GLIBC_TUNABLES|TMPDIR|NODE_.*|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|GODEBUG|CTX_.*|CONTEXT_DIR|.*_proxy|.*_PROXY)$`)
})

// assignments reads context.sh as data: lines of NAME=value with one plain,
// 'single' or "double" quoted value. It is never run; what is anything else is
// left out and said so.
func assignments(name, text string, warnings []string) (env, warned []string) {
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		skip := func(why string) {
			warnings = append(warnings, fmt.Sprintf("%s line %d is left out: %s", name, i+1, why))
		}
		m := assignment().FindStringSubmatch(line)
		if m == nil {
			skip("only NAME=value is read, and never run")
			continue
		}
		value, ok := unquote(m[2])
		switch {
		case strings.Contains(line, "\x00"):
			skip("it has a NUL byte")
		case !ok:
			skip("the value needs a shell: use one plain or quoted word without $, ` or \\")
		case reserved().MatchString(m[1]):
			skip(m[1] + " is reserved")
		default:
			env = append(env, m[1]+"="+value)
		}
	}
	return env, warnings
}

func unquote(v string) (string, bool) {
	if len(v) >= 2 && v[0] == '\'' && v[len(v)-1] == '\'' && !strings.Contains(v[1:len(v)-1], "'") {
		return v[1 : len(v)-1], true
	}
	if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
		v = v[1 : len(v)-1]
		return v, !strings.ContainsAny(v, "\"$`\\")
	}
	return v, !strings.ContainsAny(v, " \t'\"$`\\;&|<>()*?[]#~{}!")
}
