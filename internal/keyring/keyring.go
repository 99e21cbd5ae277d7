// Package keyring seals what the engine stores of its settings (AES-256-GCM)
// and fingerprints settings, under keys derived from the operator's `keys`.
package keyring

import "github.com/seed-51f8da91/fantail/pkg/secret"

// Ring holds the operator's keys: the first seals, all open, the last
// fingerprints, so that a key put in front changes no fingerprint.
type Ring struct{}

// New derives the keys. Every text must hold at least 16 bytes.
func New(keys []secret.Value) (*Ring, error) { panic("being written") }

// Seal encrypts clear; label binds the result to its use and must be given to Open again.
func (r *Ring) Seal(label string, clear []byte) []byte { panic("being written") }

// Open decrypts what Seal made under any of the keys.
func (r *Ring) Open(label string, sealed []byte) ([]byte, error) { panic("being written") }

// Fingerprint returns a keyed hash of b, never 0.
func (r *Ring) Fingerprint(b []byte) uint64 { panic("being written") }
