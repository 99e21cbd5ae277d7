package peer

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/keyring"
)

const (
	scheme = "Fantail-Daemon"
	// label binds signatures to this use of the keys.
	label = "daemon request v1"
	// fresh is how old a signature may be: the clocks of two daemons that take events are
	// at most 10 s apart.
	fresh = 20 * time.Second
	// mostSignatures is how many keys a request may be signed under.
	mostSignatures = 16
)

// ErrUnsigned: the request was not made by a daemon that has one of the keys, for this one.
var ErrUnsigned = errors.New("not signed by a daemon of this store")

// message is what is signed: nothing of a request that was seen on the way serves for another
// daemon, another question or another time.
func message(method, target, to, at string, body []byte) []byte {
	sum := sha256.Sum256(body)
	return []byte(strings.Join([]string{method, target, to, at, hex.EncodeToString(sum[:])}, "\n"))
}

// sign signs r, which goes to the daemon with the id to.
func sign(keys *keyring.Ring, r *http.Request, to string, body []byte, now time.Time) {
	at := strconv.FormatInt(now.Unix(), 10)
	var all []string
	for _, s := range keys.SignAll(label, message(r.Method, r.URL.RequestURI(), to, at, body)) {
		all = append(all, base64.RawURLEncoding.EncodeToString(s))
	}
	r.Header.Set("Authorization", scheme+" "+at+" "+strings.Join(all, ","))
}

// verify tells whether r was signed for the daemon with the id self: ErrUnsigned.
func verify(keys *keyring.Ring, r *http.Request, self string, body []byte, now time.Time) error {
	parts := strings.Split(r.Header.Get("Authorization"), " ")
	if len(parts) != 3 || parts[0] != scheme || self == "" {
		return ErrUnsigned
	}
	unix, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || now.Sub(time.Unix(unix, 0)).Abs() > fresh {
		return fmt.Errorf("%w: it is of another time; compare the clocks", ErrUnsigned)
	}
	signatures := strings.Split(parts[2], ",")
	if len(signatures) > mostSignatures {
		return ErrUnsigned
	}
	text := message(r.Method, r.URL.RequestURI(), self, parts[1], body)
	for _, s := range signatures {
		if b, err := base64.RawURLEncoding.DecodeString(s); err == nil && keys.Verify(label, text, b) {
			return nil
		}
	}
	return fmt.Errorf("%w: the keys of the two have none in common, or it was meant for another", ErrUnsigned)
}
