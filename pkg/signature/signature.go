// Package signature signs the bodies of webhooks and verifies them: the form
// `t=<unix>,v1=<hex>` here, Standard Webhooks in [SigningKey]. It is pure: the
// time comes in as an argument. A body is signed as the bytes it is sent in.
package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Tolerance is how far the time of a signature may be from a receiver's clock:
// what official SDKs and Standard Webhooks allow.
const Tolerance = 5 * time.Minute

var (
	// ErrMalformed says that the headers do not have the form of a signature.
	ErrMalformed = errors.New("malformed")
	// ErrMismatch says that no key made this signature of this body.
	ErrMismatch = errors.New("does not match the body")
	// ErrTime says that the signature is too old, or too far in the future.
	ErrTime = errors.New("outside the tolerance of time")
)

// Sign returns `t=<unix seconds>,v1=<hex>`: the lower-case HMAC-SHA256 over the
// text of t, a full stop and body, with the text of secret as key. Exactly this
// form, for some official SDKs refuse a second v1 or a space. Secret must not
// be empty, and every attempt needs a signature of its own: receivers refuse an
// old t.
func Sign(secret string, at time.Time, body []byte) string {
	out := make([]byte, 0, len("t=,v1=")+20+2*sha256.Size)
	out = append(out, "t="...)
	out = strconv.AppendInt(out, at.Unix(), 10)
	t := out[len("t="):]
	var sum [sha256.Size]byte
	mac(&sum, secret, t, body)
	out = append(out, ",v1="...)
	return string(hex.AppendEncode(out, sum[:]))
}

// Verify tells whether header is what Sign makes with secret of body, at a time
// no further than tolerance from now. The error wraps [ErrMalformed],
// [ErrMismatch] or [ErrTime], in this order. A signature under an empty secret
// proves nothing and is refused.
func Verify(secret, header string, body []byte, now time.Time, tolerance time.Duration) error {
	if secret == "" {
		return errors.New("verify signature: the secret is empty")
	}
	t, sum, err := parse(header)
	if err != nil {
		return fmt.Errorf("verify signature: %w", err)
	}
	var want [sha256.Size]byte
	mac(&want, secret, []byte(t), body)
	if !hmac.Equal(sum, want[:]) {
		return fmt.Errorf("verify signature: %w", ErrMismatch)
	}
	if err := near(t, now, tolerance); err != nil {
		return fmt.Errorf("verify signature: %w", err)
	}
	return nil
}

// parse takes header apart: exactly one t, then exactly one v1, no spaces.
func parse(header string) (t string, sum []byte, err error) {
	rest, ok := strings.CutPrefix(header, "t=")
	t, hexed, cut := strings.Cut(rest, ",v1=")
	if !ok || !cut || !digits(t) || len(hexed) != 2*sha256.Size || strings.ToLower(hexed) != hexed {
		return "", nil, ErrMalformed
	}
	if sum, err = hex.DecodeString(hexed); err != nil {
		return "", nil, ErrMalformed
	}
	return t, sum, nil
}

// digits tells whether t is the text of a time: no sign, no leading zero, and
// few enough digits for every calculation with it.
func digits(t string) bool {
	if t == "" || len(t) > 12 || t[0] == '0' && t != "0" {
		return false
	}
	for _, c := range []byte(t) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func near(t string, now time.Time, tolerance time.Duration) error {
	unix, err := strconv.ParseInt(t, 10, 64)
	if err != nil {
		return ErrMalformed
	}
	if now.Sub(time.Unix(unix, 0)).Abs() > tolerance {
		return ErrTime
	}
	return nil
}

// mac sets sum to the HMAC-SHA256 of t, a full stop and body.
func mac(sum *[sha256.Size]byte, secret string, t, body []byte) {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write(t)
	m.Write([]byte{'.'})
	hash(m, body)
	m.Sum(sum[:0])
}

// slice is how much of a body is hashed before others may run: some 40 us.
const slice = 64 << 10

// hash writes body to h. Several bodies of 32 MiB would otherwise keep every
// core for whole time slices of 10 ms, and whatever is small waits.
func hash(h io.Writer, body []byte) {
	for len(body) > slice {
		_, _ = h.Write(body[:slice]) // a hash always takes it
		body = body[slice:]
		runtime.Gosched()
	}
	_, _ = h.Write(body)
}
