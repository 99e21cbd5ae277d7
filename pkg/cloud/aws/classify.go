package aws

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/retryafter"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

const (
	// maxExcerpt is what the log keeps of an answer.
	maxExcerpt = 1 << 10
	// maxErrorText bounds what error texts quote of the far side.
	maxErrorText = 400
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
	if code := Code(err); code != "" {
		if m, ok := meanings[code]; ok {
			return s.Fail(m.class, what+advice(m.advice), err)
		}
		if strings.HasPrefix(code, "KMS.") {
			return s.Fail(destination.Misconfigured, what+advice("the encryption key cannot be used: see that it exists, is enabled and lies in the bucket's region"), err)
		}
	}
	return s.Fail(classOfStatus(Status(err), Header(err, "Retry-After") != ""), what, err)
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
	said := s.scrub(describe(err))
	f := &failure{text: what + ": " + said[:min(len(said), maxErrorText)], status: Status(err), cause: err}
	if f.status != 0 {
		f.answer = said
	}
	fault := &destination.Fault{Class: class, Err: f}
	if class == destination.Throttled {
		fault.RetryAfter, _ = retryafter.Parse(Header(err, "Retry-After"), time.Now())
	}
	return fault
}

// failure has a safe text and hands out no error that it was made of: their
// texts are not safe.
type failure struct {
	text   string
	status int    // 0: there was no answer
	answer string // for the receipt
	cause  error
}

func (e *failure) Error() string        { return e.text }
func (e *failure) Is(target error) bool { return errors.Is(e.cause, target) }

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
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "the attempt was cancelled"
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op != "dial" {
		if inner, ok := errors.AsType[*os.SyscallError](e.Err); ok {
			return e.Op + ": " + inner.Err.Error()
		}
		return e.Op + ": " + e.Err.Error()
	}
	if e, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// scrub returns an excerpt of text without our secrets: endpoints for debugging,
// and hostile ones, repeat the request, which carries the session token.
func (s *Session) scrub(text string) string {
	known := append(s.creds.secrets(), s.settings.SecretAccessKey.Reveal(), s.settings.SessionToken.Reveal(), s.settings.ExternalID.Reveal())
	return secret.NewScrubber(known...).Excerpt(strings.ToValidUTF8(text, "?"), maxExcerpt)
}
