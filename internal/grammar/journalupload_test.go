// SPDX-License-Identifier: Apache-2.0

package grammar

import "testing"

func TestJournalUpload(t *testing.T) {
	testAllowed(t, "journal-upload", []allowed{
		{"host alone", "[Upload]\nURL=loghost\n"},
		{"address", "[Upload]\nURL = http://[2001:db8::17]:19532\n; twice\n[Upload]\nNetworkTimeoutSec=30s\n"},
	})
	testRefused(t, "journal-upload", []refused{
		{"file", "[Upload]\nURL=file:///etc/x\n", 2, "URL"},
		{"path", "[Upload]\nURL=/run/x\n", 2, "URL"},
		{"user", "[Upload]\nURL=https://a@b/\n", 2, "URL"},
		{"key outside", "[Upload]\nServerKeyFile=/etc/ssl/../shadow\n", 2, "ServerKeyFile"},
		{"key elsewhere", "[Upload]\nServerKeyFile=/etc/shadow\n", 2, "ServerKeyFile"},
		{"no check of the server", "[Upload]\nTrustedCertificateFile=all\n", 2, "TrustedCertificateFile"},
		{"another case", "[Upload]\nurl=https://h\n", 2, "url"},
		{"another section", "[Service]\nExecStart=/bin/x\n", 1, "[Service]"},
		{"setting of another section", "[Service]\nExecStart=/bin/x\n", 2, "ExecStart"},
		{"section in another case", "[upload]\nURL=h\n", 1, "[upload]"},
		{"no section", "URL=h\n", 1, ""},
		{"text behind a section", "[Upload] x\n", 1, ""},
		{"include", "[Upload]\n.include /tmp/x\n", 2, ""},
		{"continuation", "[Upload]\nURL=h\\\nx\n", 2, `\`},
		{"continued comment", "[Upload]\n# a \\\nURL=h\n", 2, ""},
		{"hex escape", "[Upload]\nURL=h\\x2f\n", 2, `\`},
		{"specifier", "[Upload]\nURL=https://h/%m\n", 2, "URL"},
		{"quotes", "[Upload]\nURL=\"https://h\"\n", 2, "URL"},
	})
}

func TestJournalRemote(t *testing.T) {
	testAllowed(t, "journal-remote", []allowed{
		{"empty section", "[Remote]\n"},
		{"sizes", "[Remote]\nMaxUse=10G\nKeepFree=1G\nMaxFileSize=128M\nMaxFiles=100\n"},
	})
	testRefused(t, "journal-remote", []refused{
		{"section of upload", "[Upload]\nURL=h\n", 1, "[Upload]"},
		{"split by a path", "[Remote]\nSplitMode=/etc\n", 2, "SplitMode"},
		{"key elsewhere", "[Remote]\nServerKeyFile=/etc/shadow\n", 2, "ServerKeyFile"},
		{"output", "[Remote]\nOutput=/etc/cron.d/x\n", 2, "Output"},
		{"listen", "[Remote]\nListenStream=19532\n", 2, "ListenStream"},
		{"continuation", "[Remote]\nSeal=\\\nyes\n", 2, `\`},
	})
}
