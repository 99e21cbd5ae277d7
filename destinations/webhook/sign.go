package webhook

import (
	"net/http"
	"strconv"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/signature"
)

// signer puts the signature of one attempt into its headers.
type signer interface {
	sign(h http.Header, id string, at time.Time, body []byte)
	// names lists the headers that hold signatures, in canonical form.
	names() []string
}

// newSigner is for settings that are valid.
func newSigner(c Config, brand string) (signer, error) {
	if c.Signing == signingStandard {
		return newStandard(c)
	}
	name := http.CanonicalHeaderKey(brand + "-signature")
	return &terra{
		secret: c.Secret.Reveal, next: c.NextSecret.Reveal, rotateAt: c.RotateAt,
		name: name, twin: "X-" + name,
	}, nil
}

// terra signs with one secret at a time: official SDKs refuse a second v1.
type terra struct {
	secret, next func() string // functions, so that no dump of a webhook shows them
	rotateAt     time.Time     // zero: never
	name, twin   string
}

// sign chooses by the attempt's time, so that frozen settings, which hold both
// secrets, rotate as current ones do.
func (t *terra) sign(h http.Header, _ string, at time.Time, body []byte) {
	secret := t.secret
	if !t.rotateAt.IsZero() && !at.Before(t.rotateAt) {
		secret = t.next
	}
	value := []string{signature.Sign(secret(), at, body)}
	h[t.name] = value
	h[t.twin] = value
}

func (t *terra) names() []string { return []string{t.name, t.twin} }

// standard signs as Standard Webhooks prescribe, with both keys while there
// are two: receivers may change at any time, and rotate_at only says which
// signature comes first.
type standard struct {
	before, after []signature.SigningKey
	rotateAt      time.Time
}

func newStandard(c Config) (*standard, error) {
	current, err := signature.ParseSigningKey(c.Secret.Reveal())
	if err != nil {
		return nil, err
	}
	keys := []signature.SigningKey{current}
	if c.NextSecret.IsZero() {
		return &standard{before: keys, after: keys}, nil
	}
	next, err := signature.ParseSigningKey(c.NextSecret.Reveal())
	if err != nil {
		return nil, err
	}
	return &standard{
		before:   append(keys, next),
		after:    []signature.SigningKey{next, current},
		rotateAt: c.RotateAt,
	}, nil
}

func (s *standard) sign(h http.Header, id string, at time.Time, body []byte) {
	keys := s.before
	if !at.Before(s.rotateAt) {
		keys = s.after
	}
	set(h, signature.HeaderID, id)
	set(h, signature.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	set(h, signature.HeaderSignature, signature.SignStandard(keys, id, at, body))
}

func (s *standard) names() []string {
	return []string{http.CanonicalHeaderKey(signature.HeaderSignature)}
}

func set(h http.Header, name, value string) { h[http.CanonicalHeaderKey(name)] = []string{value} }
