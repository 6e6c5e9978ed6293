// SPDX-License-Identifier: Apache-2.0

package grammar

// journalCert is a file that systemd-journal-upload or -remote reads.
var journalCert = below("/etc/ssl/", "/etc/pki/", "/etc/systemd/")

// journalUploadSettings are from journal-upload.conf(5), systemd 252, and for NetworkTimeoutSec= 253.
var journalUploadSettings = onUse(func() map[string]rule {
	return tableOf([]entry[rule]{
		{"URL", either(anyURL, match("a host name, with a port if you like", hostExpr+`(?::`+portExpr+`)?`))},
		{"NetworkTimeoutSec", journaldSpan},
		{"ServerKeyFile", journalCert},
		{"ServerCertificateFile", journalCert},
		{"TrustedCertificateFile", journalCert},
	})
})

// journalRemoteSettings are from journal-remote.conf(5), systemd 252, and for the sizes 253. Where it listens and where
// it writes is said by its units and their command line, not here.
var journalRemoteSettings = onUse(func() map[string]rule {
	return tableOf([]entry[rule]{
		{"Seal", yesNo},
		{"SplitMode", oneOf("host", "none")},
		{"ServerKeyFile", journalCert},
		{"ServerCertificateFile", journalCert},
		{"TrustedCertificateFile", journalCert},
		{"MaxUse", journaldSize},
		{"KeepFree", journaldSize},
		{"MaxFileSize", journaldSize},
		{"MaxFiles", number},
	})
})

// checkJournalUpload allows a drop-in of journal-upload.conf(5): where the journal is sent, and TLS.
func checkJournalUpload(f *file) { f.section("[Upload]", journalUploadSettings()) }

// checkJournalRemote allows a drop-in of journal-remote.conf(5): TLS and the size of what is kept.
func checkJournalRemote(f *file) { f.section("[Remote]", journalRemoteSettings()) }
