package cli

import (
	"errors"
	"io"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/signature"
)

// verifyWith sets the secret. Its form says what it can verify.
func (r *receiver) verifyWith(secret string) error {
	r.secret = secret
	for _, form := range []string{"whsec_", "whpk_", "whsk_"} {
		if !strings.HasPrefix(secret, form) {
			continue
		}
		key, err := signature.ParseVerifyingKey(secret)
		if err != nil {
			return err
		}
		r.key = &key
	}
	return nil
}

// verify judges the signature; a status other than 0 is what a request is refused with.
func (r *receiver) verify(h http.Header, body []byte, now time.Time) (verdict string, status int, why string) {
	if r.secret == "" {
		return "not checked", 0, ""
	}
	own := r.brand + "-signature"
	var err error
	switch {
	case r.key != nil && h.Get(signature.HeaderSignature) != "":
		err = signature.VerifyStandard([]signature.VerifyingKey{*r.key}, h.Get(signature.HeaderID), h.Get(signature.HeaderTimestamp),
			h.Get(signature.HeaderSignature), body, now, signature.Tolerance)
	case h.Get(own) != "":
		err = signature.Verify(r.secret, h.Get(own), body, now, signature.Tolerance)
	case h.Get(signature.HeaderSignature) != "":
		return "missing", http.StatusBadRequest, "no " + own + "; for Standard Webhooks the secret begins with whsec_"
	default:
		return "missing", http.StatusBadRequest, "no " + own
	}
	switch {
	case err == nil:
		return "verified", 0, ""
	case errors.Is(err, signature.ErrMalformed):
		return "wrong", http.StatusBadRequest, "malformed signature"
	case errors.Is(err, signature.ErrTime):
		return "wrong", http.StatusUnauthorized, "signature too old or new"
	}
	return "wrong", http.StatusUnauthorized, "wrong signature"
}

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }
