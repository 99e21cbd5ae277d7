package signature

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Headers of Standard Webhooks.
const (
	HeaderID        = "webhook-id"        // the same on every attempt; must not hold a full stop, which separates what is signed
	HeaderTimestamp = "webhook-timestamp" // unix seconds of the attempt
	HeaderSignature = "webhook-signature" // one signature per key, separated by spaces
)

// maxSignatures bounds the work that a header from outside can cause.
const maxSignatures = 32

// SignStandard returns the value of webhook-signature for an attempt at the
// time at: a signature of each key, for receivers that change from one to the
// other. id is the value of webhook-id, strconv.FormatInt(at.Unix(), 10) that
// of webhook-timestamp.
func SignStandard(keys []SigningKey, id string, at time.Time, body []byte) string {
	all := make([]string, len(keys))
	for i, k := range keys {
		all[i] = k.Sign(id, at, body)
	}
	return strings.Join(all, " ")
}

// Sign returns one signature: `v1,<base64>` of an HMAC-SHA256 or, of an ed25519
// key, `v1a,<base64>`, over id, the unix seconds of at, and body, with a full
// stop between.
func (k SigningKey) Sign(id string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	if k.asymmetric {
		return "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(k.private(), content(id, t, body)))
	}
	return "v1," + base64.StdEncoding.EncodeToString(standardMAC(k.raw.Reveal(), id, t, body))
}

// VerifyStandard tells whether one of keys made one of the signatures, at a
// time no further than tolerance from now. id, timestamp and signatures are the
// values of the three headers. Signatures of unknown versions are passed over.
// The error wraps [ErrMalformed], [ErrMismatch] or [ErrTime], in this order.
func VerifyStandard(keys []VerifyingKey, id, timestamp, signatures string, body []byte, now time.Time, tolerance time.Duration) error {
	all := strings.Split(signatures, " ")
	if id == "" || strings.Contains(id, ".") || !digits(timestamp) || len(all) > maxSignatures {
		return fmt.Errorf("verify standard webhook: %w", ErrMalformed)
	}
	if !slices.ContainsFunc(keys, func(k VerifyingKey) bool { return k.madeOne(all, id, timestamp, body) }) {
		return fmt.Errorf("verify standard webhook: %w", ErrMismatch)
	}
	if err := near(timestamp, now, tolerance); err != nil {
		return fmt.Errorf("verify standard webhook: %w", err)
	}
	return nil
}

func (k VerifyingKey) madeOne(signatures []string, id, t string, body []byte) bool {
	version := "v1,"
	made := func(sum []byte) bool { return false }
	switch {
	case k.raw.IsZero(): // the zero VerifyingKey verifies nothing
	case k.asymmetric:
		version = "v1a,"
		message := content(id, t, body)
		made = func(sum []byte) bool { return ed25519.Verify(ed25519.PublicKey(k.raw.Reveal()), message, sum) }
	default:
		want := standardMAC(k.raw.Reveal(), id, t, body)
		made = func(sum []byte) bool { return hmac.Equal(sum, want) }
	}
	for _, s := range signatures {
		encoded, ok := strings.CutPrefix(s, version)
		if !ok {
			continue
		}
		if sum, err := base64.StdEncoding.Strict().DecodeString(encoded); err == nil && made(sum) {
			return true
		}
	}
	return false
}

// content returns what is signed. The HMAC reads the parts one by one instead:
// ed25519 needs them in one piece, and bodies can be large.
func content(id, t string, body []byte) []byte {
	out := make([]byte, 0, len(id)+len(t)+len(body)+2)
	out = append(out, id...)
	out = append(out, '.')
	out = append(out, t...)
	out = append(out, '.')
	return append(out, body...)
}

func standardMAC(key, id, t string, body []byte) []byte {
	m := hmac.New(sha256.New, []byte(key))
	m.Write([]byte(id + "." + t + "."))
	hash(m, body)
	return m.Sum(nil)
}
