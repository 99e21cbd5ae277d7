package webhook

import (
	"strconv"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/signature"
)

// signer appends the signature of one attempt to its fields.
type signer interface {
	sign(fields []field, id string, at time.Time, body []byte) []field
}

// newSigner is for settings that are valid.
func newSigner(c Config, brand string) (signer, error) {
	if c.Signing == signingStandard {
		return newStandard(c)
	}
	name := brand + "-signature"
	return &terra{
		secret: c.Secret.Reveal, next: c.NextSecret.Reveal, rotateAt: c.RotateAt,
		name: name, twin: "x-" + name,
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
func (t *terra) sign(fields []field, _ string, at time.Time, body []byte) []field {
	secret := t.secret
	if !t.rotateAt.IsZero() && !at.Before(t.rotateAt) {
		secret = t.next
	}
	value := signature.Sign(secret(), at, body)
	return append(fields, field{t.name, value, true}, field{t.twin, value, true})
}

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

func (s *standard) sign(fields []field, id string, at time.Time, body []byte) []field {
	keys := s.before
	if !at.Before(s.rotateAt) {
		keys = s.after
	}
	return append(fields,
		field{name: signature.HeaderID, value: id},
		field{name: signature.HeaderTimestamp, value: strconv.FormatInt(at.Unix(), 10)},
		field{signature.HeaderSignature, signature.SignStandard(keys, id, at, body), true},
	)
}

// appendSignatures appends the signatures in fields, which let whoever reads them
// pose as the engine for some minutes.
func appendSignatures(all []string, fields []field) []string {
	for _, f := range fields {
		if !f.secret {
			continue
		}
		for part := range strings.FieldsFuncSeq(f.value, func(r rune) bool { return r == ' ' || r == ',' }) {
			if part = strings.TrimPrefix(part, "v1="); len(part) >= tokenLength {
				all = append(all, part)
			}
		}
	}
	return all
}
