// Package keyring seals what the engine stores of its settings (AES-256-GCM),
// fingerprints settings and signs links (HMAC-SHA256), under keys derived from the operator's `keys`.
package keyring

import (
	"bytes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// MinKey is the least number of bytes of a key's text.
const MinKey = 16

// ErrUnknownKey says that the text was sealed under a key that the ring does not hold.
var ErrUnknownKey = errors.New("sealed under a key that is not among `keys`: put the old key back, behind the new one")

// ErrDamaged says that the text is not as it was sealed, or was sealed for another use.
var ErrDamaged = errors.New("sealed settings are damaged, or were sealed for another use")

// A sealed text is header, nonce, ciphertext and tag:
//
//	format (1) | id of the key (8) | nonce (12) | ciphertext | tag (16)
const (
	format     = 1
	headerSize = HeaderSize
)

// HeaderSize is how many bytes at the beginning of a sealed text name the key: they are the same
// for everything that one key sealed.
const HeaderSize = 1 + idSize

// Ring holds the operator's keys. The first seals and signs, all open and verify, and the last
// fingerprints, so that a key put in front changes no fingerprint. It is safe for concurrent use.
// Printing it shows no key.
type Ring struct {
	keys []*key
}

// New derives the keys. Every text must hold at least [MinKey] bytes. Errors
// name a key by its place and never show it.
func New(keys []secret.Value) (*Ring, error) {
	if len(keys) == 0 {
		return nil, errors.New("derive keys: there are none")
	}
	r := &Ring{keys: make([]*key, len(keys))}
	for i, k := range keys {
		text := k.Reveal()
		if len(text) < MinKey {
			return nil, fmt.Errorf("derive keys: keys[%d] holds %d bytes, at least %d are needed", i, len(text), MinKey)
		}
		var err error
		if r.keys[i], err = derive(text); err != nil {
			return nil, fmt.Errorf("derive keys[%d]: %w", i, err)
		}
	}
	return r, nil
}

// Seal encrypts clear; label binds the result to its use and must be given to Open again.
func (r *Ring) Seal(label string, clear []byte) []byte {
	k := r.keys[0]
	out := make([]byte, headerSize, headerSize+len(clear)+k.aead.Overhead())
	out[0] = format
	copy(out[1:], k.id[:])
	return k.aead.Seal(out, nil, clear, bind(out, label))
}

// Open decrypts what Seal made under any of the keys. The error wraps
// [ErrUnknownKey] or [ErrDamaged].
func (r *Ring) Open(label string, sealed []byte) ([]byte, error) {
	if len(sealed) < headerSize || sealed[0] != format {
		return nil, fmt.Errorf("open: %w", ErrDamaged)
	}
	header, rest := sealed[:headerSize], sealed[headerSize:]
	failure := ErrUnknownKey
	// Ids are hashes and may collide: every key that carries the id is tried.
	for _, k := range r.keys {
		if !bytes.Equal(k.id[:], header[1:]) {
			continue
		}
		clear, err := k.aead.Open(nil, nil, rest, bind(header, label))
		if err == nil {
			return clear, nil
		}
		failure = ErrDamaged
	}
	return nil, fmt.Errorf("open: %w", failure)
}

// Fingerprint returns a keyed hash of b, never 0.
func (r *Ring) Fingerprint(b []byte) uint64 {
	mac := hmac.New(sha256.New, *r.keys[len(r.keys)-1].print)
	mac.Write(b)
	sum := binary.BigEndian.Uint64(mac.Sum(nil))
	if sum == 0 {
		return 1
	}
	return sum
}

// bind returns what is authenticated together with the ciphertext. The header has a fixed size, so
// that no two pairs of header and label give the same bytes.
func bind(header []byte, label string) []byte {
	return append(bytes.Clone(header), label...)
}

// key is what is derived from one of the operator's texts. Secrets sit behind a second pointer:
// fmt follows the first one when the verb does not fit (%s prints *key as &{...}).
type key struct {
	id    [idSize]byte
	aead  cipher.AEAD // takes no nonce and makes a random one: well below 2^32 settings are ever sealed under one key
	print *[]byte
	sign  *[]byte
}
