package signature

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// Prefixes of the keys of Standard Webhooks; base64 follows.
const (
	prefixSecret  = "whsec_" // HMAC-SHA256, 24 to 64 bytes
	prefixPrivate = "whsk_"  // ed25519: seed and public key, or the seed alone
	prefixPublic  = "whpk_"  // ed25519
)

// SigningKey signs as Standard Webhooks prescribe. No print of it shows the key.
type SigningKey struct {
	raw        secret.Value // of HMAC: the bytes; of ed25519: seed and public key
	asymmetric bool
}

// VerifyingKey verifies what the SigningKey of its pair signed.
type VerifyingKey struct {
	raw        secret.Value // of HMAC: the bytes; of ed25519: the public key
	asymmetric bool
}

// ParseSigningKey reads `whsec_<base64>` or `whsk_<base64>`. A text without a
// prefix is refused: some libraries take it for base64, others for the key
// itself, and the receiver would see nothing but signatures that do not match.
// Errors never show the key.
func ParseSigningKey(text string) (SigningKey, error) {
	kind, raw, err := decode(text)
	if err != nil {
		return SigningKey{}, fmt.Errorf("parse signing key: %w", err)
	}
	switch kind {
	case prefixSecret:
		return SigningKey{raw: secret.New(string(raw))}, nil
	case prefixPrivate:
		return SigningKey{raw: secret.New(string(raw)), asymmetric: true}, nil
	}
	return SigningKey{}, errors.New("parse signing key: a public key cannot sign: want whsec_ or whsk_")
}

// ParseVerifyingKey reads `whsec_<base64>` or `whpk_<base64>`.
func ParseVerifyingKey(text string) (VerifyingKey, error) {
	kind, raw, err := decode(text)
	if err != nil {
		return VerifyingKey{}, fmt.Errorf("parse verifying key: %w", err)
	}
	switch kind {
	case prefixSecret:
		return VerifyingKey{raw: secret.New(string(raw))}, nil
	case prefixPublic:
		return VerifyingKey{raw: secret.New(string(raw)), asymmetric: true}, nil
	}
	return VerifyingKey{}, errors.New("parse verifying key: a private key does not belong to the receiver: want whsec_ or whpk_")
}

// Verifying returns the key that verifies what k signs.
func (k SigningKey) Verifying() VerifyingKey {
	if k.asymmetric {
		return VerifyingKey{raw: secret.New(string(k.public())), asymmetric: true}
	}
	return VerifyingKey{raw: k.raw}
}

// Public returns `whpk_<base64>` for the receiver, "" for an HMAC key, of which
// there is no public part.
func (k SigningKey) Public() string {
	if !k.asymmetric {
		return ""
	}
	return prefixPublic + base64.StdEncoding.EncodeToString(k.public())
}

func (k SigningKey) private() ed25519.PrivateKey { return ed25519.PrivateKey(k.raw.Reveal()) }
func (k SigningKey) public() []byte              { return k.private()[ed25519.SeedSize:] }

// decode reads a key and checks its length; kind is its prefix.
func decode(text string) (kind string, raw []byte, err error) {
	for _, kind := range []string{prefixSecret, prefixPrivate, prefixPublic} {
		encoded, ok := strings.CutPrefix(text, kind)
		if !ok {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || base64.StdEncoding.EncodeToString(raw) != encoded { // line breaks, stray bits
			return "", nil, fmt.Errorf("what follows %s is not base64", kind)
		}
		raw, err = check(kind, raw)
		return kind, raw, err
	}
	return "", nil, errors.New("want a text that begins with whsec_, whsk_ or whpk_")
}

// check returns the key in its full form.
func check(kind string, raw []byte) ([]byte, error) {
	switch n := len(raw); {
	case kind == prefixSecret && (n < 24 || n > 64):
		return nil, fmt.Errorf("the secret holds %d bytes, want 24 to 64", n)
	case kind == prefixPublic && n != ed25519.PublicKeySize:
		return nil, fmt.Errorf("the public key holds %d bytes, want %d", n, ed25519.PublicKeySize)
	case kind == prefixPrivate && n != ed25519.SeedSize && n != ed25519.PrivateKeySize:
		return nil, fmt.Errorf("the private key holds %d bytes, want %d or %d", n, ed25519.SeedSize, ed25519.PrivateKeySize)
	case kind == prefixPrivate:
		full := ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize])
		if !bytes.HasPrefix(full, raw) {
			return nil, errors.New("the private key's second half is not its public key")
		}
		return full, nil
	}
	return raw, nil
}
