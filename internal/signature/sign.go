// SPDX-License-Identifier: Apache-2.0

package signature

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// A Secret is a private key that signs.
type Secret struct {
	private ed25519.PrivateKey
	public  ssh.PublicKey
}

// keyFile is a file of OpenSSH's own format (OpenSSH, PROTOCOL.key) behind its
// magic; keyPair is the one key in it when it is not encrypted.
type (
	keyFile struct {
		Cipher, KDF, KDFOptions string
		Count                   uint32
		Public                  []byte
		Pairs                   []byte
	}
	keyPair struct {
		Check, CheckAgain uint32
		Kind              string
		Public, Private   []byte
		Comment           string
		Padding           []byte `ssh:"rest"`
	}
)

const keyMagic = "openssh-key-v1\x00"

// ParseSecret reads a private key as ssh-keygen -t ed25519 -N "" writes it. ECDSA
// and RSA keys are not read: an Ed25519 signature alone is the same each time.
func ParseSecret(file []byte) (*Secret, error) {
	block, _ := pem.Decode(file)
	if block == nil || block.Type != "OPENSSH PRIVATE KEY" || !strings.HasPrefix(string(block.Bytes), keyMagic) {
		return nil, errors.New("it is no private key of OpenSSH: make one with ssh-keygen -t ed25519")
	}
	var f keyFile
	if err := ssh.Unmarshal(block.Bytes[len(keyMagic):], &f); err != nil {
		return nil, fmt.Errorf("it is no private key of OpenSSH: %w", err)
	}
	if f.Cipher != "none" {
		return nil, errors.New("it is encrypted, and nobody is asked for a passphrase: sign with a key of its own (ssh-keygen -t ed25519 -N \"\"), or with ssh-keygen and an agent, as docs/context-disc.md says")
	}
	var p keyPair
	if err := ssh.Unmarshal(f.Pairs, &p); err != nil || p.Check != p.CheckAgain || f.Count != 1 {
		return nil, errors.New("it holds no single private key that can be read")
	}
	if p.Kind != ssh.KeyAlgoED25519 || len(p.Private) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("it is of the type %q: sign with an Ed25519 key (ssh-keygen -t ed25519)", p.Kind)
	}
	private := ed25519.NewKeyFromSeed(p.Private[:ed25519.SeedSize])
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil || !bytes.Equal(public.Marshal(), f.Public) {
		return nil, errors.New("its private half is not that of its public key: nobody would accept what it signs")
	}
	return &Secret{private, public}, nil
}

// Fingerprint is that of the public key, as ssh-keygen -l shows it.
func (s *Secret) Fingerprint() string { return ssh.FingerprintSHA256(s.public) }

// Sign signs a message as ssh-keygen -Y sign -n ctxagent does: the same bytes each
// time.
func (s *Secret) Sign(message []byte) []byte {
	const algorithm = "sha512"
	digest := sha512.Sum512(message)
	sig := ssh.Signature{Format: ssh.KeyAlgoED25519, Blob: ed25519.Sign(s.private, ssh.Marshal(signed{magic, Namespace, "", algorithm, string(digest[:])}))}
	b := ssh.Marshal(blob{magic, 1, string(s.public.Marshal()), Namespace, "", algorithm, string(ssh.Marshal(sig))})
	return pem.EncodeToMemory(&pem.Block{Type: "SSH SIGNATURE", Bytes: b})
}

// SignedBy tells whose key made a signature of a message, by its fingerprint,
// whoever trusts that key.
func SignedBy(message, armored []byte) (fingerprint string, err error) {
	b, err := parse(armored)
	if err != nil {
		return "", err
	}
	key, err := ssh.ParsePublicKey([]byte(b.Key))
	if err != nil {
		return "", refuse(Malformed, "the signature's key cannot be read: %v", err)
	}
	return ssh.FingerprintSHA256(key), b.verify(message, key, ssh.FingerprintSHA256(key))
}
