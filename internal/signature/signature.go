// SPDX-License-Identifier: Apache-2.0

// Package signature verifies who signed a message by `ssh-keygen -Y sign`, and
// signs as that does. Its input is the message, the detached signature and a list
// of trusted keys in the format of allowed_signers (ssh-keygen(1)); its output is
// the signer's name, or an *Error with one of four reasons. It reads no file and no
// clock.
package signature

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"
)

// Namespace is what a signature has to be made for: ssh-keygen -Y sign -n.
const Namespace = "ctxagent"

// Reason tells why a signature is not accepted, in a word for programs.
type Reason string

// The reasons.
const (
	Malformed Reason = "signature-malformed" // no SSH signature, or for another purpose
	Key       Reason = "signature-key"       // of a key that is not trusted
	Expired   Reason = "signature-expired"   // the key is not valid now
	Invalid   Reason = "signature-invalid"   // not of this message
)

// An Error says that a signature is not accepted.
type Error struct {
	Reason Reason
	Text   string
}

func (e *Error) Error() string { return e.Text }

func refuse(r Reason, format string, args ...any) error {
	return &Error{r, fmt.Sprintf(format, args...)}
}

// blob is a signature (OpenSSH, PROTOCOL.sshsig).
type blob struct {
	Magic     [6]byte
	Version   uint32
	Key       string
	Namespace string
	Reserved  string
	Hash      string
	Signature string
}

// signed is what the key has signed.
type signed struct {
	Magic     [6]byte
	Namespace string
	Reserved  string
	Hash      string
	Digest    string
}

var magic = [6]byte([]byte("SSHSIG"))

// Verify returns the principals of the trusted key that signed the message. A
// key is tried only after its namespace and validity; now is when that is.
func Verify(message, armored []byte, trusted []Signer, now time.Time) (string, error) {
	b, err := parse(armored)
	if err != nil {
		return "", err
	}
	key, err := ssh.ParsePublicKey([]byte(b.Key))
	if err != nil {
		return "", refuse(Malformed, "the signature's key cannot be read: %v", err)
	}
	signer, err := trust(key, trusted, now)
	if err != nil {
		return "", err
	}
	if err := b.verify(message, key, signer); err != nil {
		return "", err
	}
	return signer, nil
}

// verify tells whether the signature is one of the message by a key, which is
// called signer in errors.
func (b *blob) verify(message []byte, key ssh.PublicKey, signer string) error {
	var sig ssh.Signature
	if err := ssh.Unmarshal([]byte(b.Signature), &sig); err != nil {
		return refuse(Malformed, "the signature proper cannot be read: %v", err)
	}
	if sig.Format == ssh.KeyAlgoRSA { // by SHA-1
		return refuse(Malformed, "the signature is of the algorithm ssh-rsa: sign with ed25519")
	}
	digest, err := hash(b.Hash, message)
	if err != nil {
		return err
	}
	data := ssh.Marshal(signed{magic, b.Namespace, b.Reserved, b.Hash, string(digest)})
	if err := key.Verify(data, &sig); err != nil {
		return refuse(Invalid, "the signature of %s is not of this manifest", signer)
	}
	return nil
}

// parse takes a signature out of its armour and looks what it is for.
func parse(armored []byte) (*blob, error) {
	block, rest := pem.Decode(armored)
	if block == nil || block.Type != "SSH SIGNATURE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, refuse(Malformed, "it is no signature of ssh-keygen -Y sign")
	}
	b := new(blob)
	if err := ssh.Unmarshal(block.Bytes, b); err != nil || b.Magic != magic || b.Version != 1 {
		return nil, refuse(Malformed, "it is no ssh signature of version 1")
	}
	if b.Namespace != Namespace {
		return nil, refuse(Malformed, "it was made for the namespace %q: sign with ssh-keygen -Y sign -n %s", b.Namespace, Namespace)
	}
	return b, nil
}

// trust finds the trusted signer with this key that is valid now.
func trust(key ssh.PublicKey, trusted []Signer, now time.Time) (string, error) {
	err := refuse(Key, "the key %s is not among the image's signers", ssh.FingerprintSHA256(key))
	for _, s := range trusted {
		switch {
		case !bytes.Equal(s.key.Marshal(), key.Marshal()) || !s.signs(Namespace):
			continue
		case !s.after.IsZero() && now.Before(s.after):
			err = refuse(Expired, "the key of %s is valid from %s on", s.Principals, s.after.UTC().Format(time.RFC3339))
		case !s.before.IsZero() && !now.Before(s.before):
			err = refuse(Expired, "the key of %s was valid until %s", s.Principals, s.before.UTC().Format(time.RFC3339))
		default:
			return s.Principals, nil
		}
	}
	return "", err
}

func hash(name string, message []byte) ([]byte, error) {
	switch name {
	case "sha256":
		sum := sha256.Sum256(message)
		return sum[:], nil
	case "sha512":
		sum := sha512.Sum512(message)
		return sum[:], nil
	}
	return nil, refuse(Malformed, "the signature uses the hash %q", name)
}

// IsReason returns the reason of an error of Verify.
func IsReason(err error) (Reason, bool) {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return "", false
	}
	return e.Reason, true
}
