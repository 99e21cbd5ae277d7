package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
	"github.com/seed-51f8da91/fantail/pkg/exchange"
	"github.com/seed-51f8da91/fantail/pkg/retryafter"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// Code returns the service's own code of err, such as NoSuchBucket; "" if it
// answered without one, or not at all.
func Code(err error) string {
	e, ok := errors.AsType[smithy.APIError](err)
	if !ok || !codeForm.MatchString(e.ErrorCode()) {
		return ""
	}
	return e.ErrorCode()
}

var codeForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]{0,79}$`)

// Status returns the HTTP status that err was answered with, 0 if there was no answer.
func Status(err error) int {
	if e, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && e.Response != nil && e.Response.Response != nil {
		return e.HTTPStatusCode()
	}
	return 0
}

// Message returns the service's own words of err, raw: they may hold anything.
func Message(err error) string {
	e, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return ""
	}
	return e.ErrorMessage()
}

// Header returns a header of the answer that err is, "" if there is none.
func Header(err error, name string) string {
	e, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok || e.Response == nil || e.Response.Response == nil {
		return ""
	}
	return e.Response.Header.Get(name)
}

// Classify makes of an error of the SDK what the engine knows: a
// destination.Fault whose class follows the service's code or, where it has
// none, the HTTP status; what is unknown is Transient. It returns nil of nil.
// The text begins with what, says what to do where that is known, and quotes
// the answer without our secrets. A kind looks at Code and Status for its own
// cases first and ends those with Fail.
func (s *Session) Classify(what string, err error) error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*destination.Fault](err); ok {
		return f // of the guard
	}
	if interrupted(err) {
		return s.Fail(destination.Transient, what, err)
	}
	if c, ok := errors.AsType[*credentialsError](err); ok {
		return s.credentialsFault(what, c)
	}
	if errors.Is(err, exchange.ErrNotHTTP) {
		return s.Fail(destination.Misconfigured, what+advice("mend endpoint or its port"), err)
	}
	if errors.Is(err, errNotS3) {
		return s.Fail(destination.Misconfigured, what+advice("without the ETag that S3 promises, without 200 or with a page, so nothing counts as stored: "+otherFarSide), err)
	}
	if code := Code(err); code != "" {
		if m, ok := meanings[code]; ok {
			return s.Fail(m.class, what+advice(m.advice), err)
		}
		if strings.HasPrefix(code, "KMS.") {
			return s.Fail(destination.Misconfigured, what+advice("the encryption key cannot be used: see that it exists, is enabled and lies in the bucket's region"), err)
		}
	}
	m := meaningOf(err)
	return s.Fail(m.class, what+advice(m.advice), err)
}

// interrupted tells whether err is the attempt's end, not an answer.
func interrupted(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// credentialsFault judges a request that was not made for want of credentials.
// It holds the destination: no event is at fault, and none burns its attempts.
func (s *Session) credentialsFault(what string, c *credentialsError) error {
	code, status := Code(c.err), Status(c.err)
	class := destination.Misconfigured
	if status >= 500 || meanings[code].class == destination.Throttled || (status == 0 && s.settings.RoleARN != "") {
		class = destination.Transient // the token service is down
	}
	why := c.what
	if code == "AccessDenied" && s.settings.RoleARN != "" {
		why += advice("its trust policy must name our principal, with sts:ExternalId as in external_id, and our principal needs sts:AssumeRole")
	}
	return s.Fail(class, what+": "+why, c.err)
}

func advice(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

// Fail makes a fault of class: its text is what, then the answer that err is,
// or why there is none, without our secrets. Nothing that err was made of can
// be had from it, but it can be asked what it is.
func (s *Session) Fail(class destination.Class, what string, err error) error {
	known := s.scrubber(err)
	said := describe(err)
	f := &failure{Safe: *fault.Of(err, what+": "+fault.Quote(known, said)), status: Status(err)}
	if f.status != 0 {
		f.answer = known.Excerpt(strings.ToValidUTF8(said, "?"), destination.MaxAnswer)
	}
	classified := &destination.Fault{Class: class, Err: f}
	if class == destination.Throttled {
		classified.RetryAfter, _ = retryafter.Parse(Header(err, "Retry-After"), time.Now())
	}
	return classified
}

// failure is the error inside of all faults of a session.
type failure struct {
	fault.Safe
	status int    // 0: there was no answer
	answer string // for the receipt
}

// describe words an answer by its status, code and message, and anything else
// by its innermost cause, without this machine's addresses. It may hold secrets.
func describe(err error) string {
	status, code := Status(err), Code(err)
	if status != 0 || code != "" {
		text := "answered"
		if status != 0 {
			text += fmt.Sprintf(" %d", status)
		}
		if code == "" {
			return strings.TrimSpace(text + " " + http.StatusText(status))
		}
		text += " " + code
		if m := Message(err); m != "" {
			text += ": " + m
		}
		return text
	}
	if e, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
		err = e.Err
	}
	return fault.Describe(err)
}

// hiding is an error with what its text, or the answer that it is about, must not
// show beside the session's own secrets.
type hiding struct {
	error
	texts []string
}

func (e *hiding) Unwrap() error { return e.error }

// Hide returns err so that a session's faults do not show texts, such as a link
// that was sent; nil of nil.
func Hide(err error, texts ...string) error {
	if err == nil {
		return nil
	}
	return &hiding{err, texts}
}

// Answered returns err, which a part of an answer with that metadata tells of, so
// that faults do not show the signature of the request.
func Answered(metadata middleware.Metadata, err error) error {
	if r, ok := awsmiddleware.GetRawResponse(metadata).(*smithyhttp.Response); ok && r != nil && r.Response != nil && r.Request != nil {
		return Hide(err, signatureOf(r.Request))
	}
	return err
}

// signatureOf returns the signature of a request: for some minutes it would let
// whoever reads it make the request again.
func signatureOf(req *http.Request) string {
	_, signature, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
	return signature
}

// scrubber knows our secrets: endpoints for debugging, and hostile ones, repeat
// the request, which carries a signature and the session token.
func (s *Session) scrubber(err error) *secret.Scrubber {
	known := append(s.creds.secrets(), s.settings.SecretAccessKey.Reveal(), s.settings.SessionToken.Reveal(), s.settings.ExternalID.Reveal())
	if e, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && e.Response != nil && e.Response.Response != nil && e.Response.Request != nil {
		known = append(known, signatureOf(e.Response.Request))
	}
	for e, ok := errors.AsType[*hiding](err); ok; e, ok = errors.AsType[*hiding](e.error) {
		known = append(known, e.texts...)
	}
	return secret.NewScrubber(known...)
}
