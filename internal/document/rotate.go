package document

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// ErrRotating says that the next secret of the last rotation is not in use yet.
var ErrRotating = errors.New("a rotation is under way")

// ErrNoRotation says that a destination has no secret that rotates.
var ErrNoRotation = errors.New("there is no secret that rotates")

// Secret is a new secret. Public is what the receiver verifies with, where that is not the
// secret itself.
type Secret struct{ Text, Public string }

// Rotate gives an entry, which it changes, a next secret that is used from at on. A next secret
// from before whose time has come is the secret until then; one whose time has not come is
// ErrRotating. given is the new secret; "" makes one of the form that the present one has.
func Rotate(entry *yaml.Node, kinds destination.Registry, given string, now, at time.Time) (Secret, error) {
	_, settings := strictyaml.Child(entry, "settings")
	if settings == nil || !rotates(settings, valueOf(entry, "kind"), kinds) {
		return Secret{}, ErrNoRotation
	}
	if next := valueOf(settings, "next_secret"); next != "" {
		due, err := time.Parse(time.RFC3339, valueOf(settings, "rotate_at"))
		if err != nil || due.After(now) {
			return Secret{}, fmt.Errorf("%w: its next_secret is used from %s on; leave next_secret and rotate_at out to end it",
				ErrRotating, due.UTC().Format(time.RFC3339))
		}
		set(settings, "secret", next)
	}
	fresh := Secret{Text: given}
	if given == "" {
		fresh = newSecret(valueOf(settings, "secret"))
	}
	set(settings, "next_secret", strictyaml.Literal(fresh.Text))
	set(settings, "rotate_at", at.UTC().Format(time.RFC3339))
	return fresh, nil
}

// rotates tells whether a kind reads a secret and one that comes next.
func rotates(settings *yaml.Node, kind string, kinds destination.Registry) bool {
	trial := clone(settings, func(*yaml.Node) {})
	for _, key := range []string{"secret", "next_secret", "rotate_at"} {
		set(trial, key, time.Time{}.Format(time.RFC3339))
	}
	s := sortSettings(trial, kind, kinds)
	_, next := strictyaml.Child(trial, "next_secret")
	_, now := strictyaml.Child(trial, "secret")
	_, at := strictyaml.Child(trial, "rotate_at")
	return valueOf(settings, "secret") != "" && s.secret(now) && s.secret(next) && s.plain(at)
}

// newSecret makes a secret of the form of another: of Standard Webhooks with its
// prefix, else a text of letters and digits.
func newSecret(like string) Secret {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	switch {
	case strings.HasPrefix(like, "whsec_"):
		return Secret{Text: "whsec_" + base64.StdEncoding.EncodeToString(raw)}
	case strings.HasPrefix(like, "whsk_"):
		public := ed25519.NewKeyFromSeed(raw).Public().(ed25519.PublicKey)
		return Secret{"whsk_" + base64.StdEncoding.EncodeToString(raw), "whpk_" + base64.StdEncoding.EncodeToString(public)}
	}
	return Secret{Text: hex.EncodeToString(raw)}
}
