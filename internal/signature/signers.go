// SPDX-License-Identifier: Apache-2.0

package signature

import (
	"fmt"
	"path"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// A Signer is one line of a file of allowed signers.
type Signer struct {
	Principals    string // as they are written: names with commas between
	key           ssh.PublicKey
	namespaces    []string // patterns; none: any
	after, before time.Time
}

// signs reports whether the key is trusted for a namespace.
func (s Signer) signs(namespace string) bool {
	for _, pattern := range s.namespaces {
		if ok, _ := path.Match(pattern, namespace); ok { // checked by parseSigner
			return true
		}
	}
	return len(s.namespaces) == 0
}

// Signers reads trusted keys in the format of allowed_signers (ssh-keygen(1),
// "ALLOWED SIGNERS"): principals, options, key. What is not understood is an
// error with its line: a restriction must not be lost. Certificate authorities
// are not supported. Times without a final Z are UTC too.
func Signers(file []byte) ([]Signer, error) {
	var out []Signer
	for i, line := range strings.Split(string(file), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		s, err := parseSigner(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		out = append(out, s)
	}
	return out, nil
}

func parseSigner(line string) (Signer, error) {
	principals, rest, ok := strings.Cut(line, " ")
	if !ok || strings.ContainsAny(principals, `"!`) {
		return Signer{}, fmt.Errorf("want principals, options and a key; quotes and negated principals are not read")
	}
	// The rest is a line of authorized_keys.
	key, _, options, extra, err := ssh.ParseAuthorizedKey([]byte(rest))
	if err != nil || len(extra) > 0 {
		return Signer{}, fmt.Errorf("the key of %s cannot be read: %w", principals, err)
	}
	s := Signer{Principals: principals, key: key}
	for _, option := range options {
		name, value, _ := strings.Cut(option, "=")
		value = strings.Trim(value, `"`)
		switch strings.ToLower(name) {
		case "namespaces":
			s.namespaces = strings.Split(value, ",")
			for _, pattern := range s.namespaces {
				if _, err := path.Match(pattern, ""); err != nil || strings.HasPrefix(pattern, "!") {
					return Signer{}, fmt.Errorf("namespace %q of %s is not read", pattern, principals)
				}
			}
		case "valid-after":
			s.after, err = timestamp(value)
		case "valid-before":
			s.before, err = timestamp(value)
		default:
			return Signer{}, fmt.Errorf("option %q of %s is not read", name, principals)
		}
		if err != nil {
			return Signer{}, fmt.Errorf("%s of %s: %w", name, principals, err)
		}
	}
	return s, nil
}

// timestamp reads YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, in UTC.
func timestamp(value string) (time.Time, error) {
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if t, err := time.Parse(layout, strings.TrimSuffix(value, "Z")); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time such as 20270101 or 202701011200Z", value)
}
