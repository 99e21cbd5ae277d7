package gcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/parsing"
	"github.com/seed-51f8da91/fantail/pkg/retryafter"
)

// Error is a call that failed. Its text is safe to show: it repeats nothing
// secret. Errors of this package are an Error, alone when they are transient,
// else inside of a [destination.Fault] that classifies them.
type Error struct {
	Status   int    // of the HTTP answer; 0: there was none
	Reason   string // Google's word for it, such as "forbidden"; "" if it gave none
	Message  string // Google's explanation
	text     string
	cause    error
	occupied bool
}

func (e *Error) Error() string { return e.text }

// Is asks the cause, which is never handed out: its text is not safe.
func (e *Error) Is(target error) bool { return errors.Is(e.cause, target) }

// StatusOf returns the HTTP status that err is about, 0 if it is about none.
func StatusOf(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status
	}
	return 0
}

// Occupied tells whether a Put failed because another generation is live than
// it may replace.
func Occupied(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.occupied
}

// irreplaceable: credentials that may only create are told so by the right
// that replacing needs.
func (e *Error) irreplaceable() bool {
	return e.Status == http.StatusForbidden && strings.Contains(e.Message, "storage.objects.delete")
}

// retained: the bucket's retention policy, or a hold, keeps the object as it is.
func (e *Error) retained() bool {
	return e.Status == http.StatusForbidden && (e.Reason == "retentionPolicyNotMet" || strings.Contains(e.Message, "retention policy") || strings.Contains(e.Message, "is under active"))
}

// Denied tells whether err is about a right that the credentials lack, rather
// than about who they are, billing, or a key of Cloud KMS.
func Denied(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusForbidden && !e.throttles() && !e.unpaid() && !e.aboutKMS() && !e.retained()
}

func (e *Error) throttles() bool {
	switch e.Reason {
	case "rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded":
		return e.Status == http.StatusForbidden || e.Status == http.StatusTooManyRequests
	}
	return e.Status == http.StatusTooManyRequests
}

func (e *Error) unpaid() bool {
	return e.Reason == "accountDisabled" || e.Status == http.StatusForbidden && strings.Contains(strings.ToLower(e.Message), "billing account")
}

// aboutKMS is told by the text alone: refusals of Cloud KMS have no reason of
// their own.
func (e *Error) aboutKMS() bool {
	return e.Status/100 == 4 && strings.Contains(e.Message, "KMS")
}

// maxMessage bounds what is repeated of Google's explanations.
const maxMessage = 300

// describe fills in what a JSON answer says of the failure.
func (x *exchange) describe() *Error {
	e := &Error{Status: x.code}
	var f struct {
		Error struct {
			Message string
			Errors  []struct{ Reason string }
			Status  string // of the newer APIs
		}
	}
	if parsing.JSON(x.body, &f) == nil {
		e.Message = x.clean(oneLine(f.Error.Message), maxMessage)
		if len(f.Error.Errors) > 0 {
			e.Reason = word(f.Error.Errors[0].Reason)
		} else {
			e.Reason = word(f.Error.Status)
		}
	}
	return e
}

// word keeps what looks like one of Google's reasons.
func word(s string) string {
	if len(s) > 60 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" {
		return ""
	}
	return s
}

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// refusal classifies an answer that is no success, and says what to do about it.
// What is the object's or bucket's name for texts, who are the credentials.
func (x *exchange) refusal(doing, bucket, who string) error {
	e := x.describe()
	e.text = fmt.Sprintf("%s: answered %d %s", doing, e.Status, http.StatusText(e.Status))
	if e.Message != "" {
		e.text += ": " + e.Message
	}
	advise := func(format string, args ...any) error {
		e.text += ". " + fmt.Sprintf(format, args...)
		return destination.Misconfigure(e)
	}
	wait, asked := retryafter.Parse(x.header.Get("Retry-After"), time.Now())
	switch {
	case e.throttles(), e.Status == http.StatusServiceUnavailable && asked:
		return destination.Throttle(e, wait)
	case e.unpaid():
		return advise("Enable billing for the project that owns the bucket")
	case e.aboutKMS():
		return advise("Grant roles/cloudkms.cryptoKeyEncrypterDecrypter on the key to the Cloud Storage service agent of the bucket's project, service-PROJECT_NUMBER@gs-project-accounts.iam.gserviceaccount.com, and see that the key is enabled and in the bucket's location")
	case e.Status == http.StatusUnauthorized:
		return advise("Google does not take the token of %s: see that the service account exists and is enabled", who)
	case e.irreplaceable(): // new objects still get through, so the destination is not held
		e.text += fmt.Sprintf(". Grant roles/storage.objectUser on gs://%s to %s: replacing an object needs it", bucket, who)
	case e.retained():
		return destination.Reject(e)
	case e.Status == http.StatusForbidden:
		return advise("Grant roles/storage.objectCreator on gs://%s to %s, or roles/storage.objectUser, with which objects can also be replaced by newer ones", bucket, who)
	case e.Status == http.StatusNotFound:
		return advise("Create the bucket %s, or correct the setting bucket", bucket)
	case e.Status == http.StatusBadRequest && strings.Contains(e.Message, "uniform bucket-level access"):
		return advise("Remove the setting predefined_acl: this bucket has no object ACLs")
	case e.Status == http.StatusBadRequest && strings.Contains(e.Message, "requester pays"):
		return advise("Turn that off for %s: who delivers does not pay", bucket)
	case e.Status == http.StatusRequestEntityTooLarge:
		return destination.Reject(e)
	case e.Status >= 300 && e.Status <= 399:
		e.text += ": redirects are not followed"
	}
	return e
}

// refused classifies the token endpoint's no (RFC 6749, 5.2).
func (a *account) refused(x *exchange) error {
	var f struct {
		Code  string `json:"error"`
		About string `json:"error_description"`
	}
	e := &Error{Status: x.code}
	if parsing.JSON(x.body, &f) == nil {
		e.Reason, e.Message = word(f.Code), x.clean(oneLine(f.About), maxMessage)
	}
	e.text = fmt.Sprintf("fetch a token for %s: %s answered %d", a.email, a.tokenURI.Host, x.code)
	for _, s := range []string{e.Reason, e.Message} {
		if s != "" {
			e.text += ": " + s
		}
	}
	wait, asked := retryafter.Parse(x.header.Get("Retry-After"), time.Now())
	switch {
	case x.code == http.StatusTooManyRequests, x.code == http.StatusServiceUnavailable && asked:
		return destination.Throttle(e, wait)
	case e.Reason == "invalid_grant":
		e.text += ". The key or its service account was deleted or disabled, or this machine's clock is wrong: create a new key and set credentials"
		return destination.Misconfigure(e)
	case x.code == 400, x.code == 401, x.code == 403, x.code == 404:
		e.text += ". See that credentials is a valid key of a service account"
		return destination.Misconfigure(e)
	}
	return e
}

// unreached words a request without an answer. What the guard or this package
// has classified passes as it is. Everything else is transient, and its text
// holds neither the URL, which names users, nor this machine's addresses.
func (x *exchange) unreached(ctx context.Context, doing string, err error) error {
	if f, ok := errors.AsType[*destination.Fault](err); ok {
		return f
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	text := "no connection"
	if e, ok := errors.AsType[*net.OpError](err); ok {
		text = e.Op + ": " + e.Err.Error()
		if s, ok := errors.AsType[*os.SyscallError](e.Err); ok {
			text = e.Op + ": " + s.Err.Error()
		}
	} else if inner := innermost(err); inner != nil {
		text = inner.Error()
	}
	switch ctx.Err() {
	case nil:
	case context.DeadlineExceeded:
		text, err = "no answer in time", errors.Join(ctx.Err(), err)
	default:
		text, err = "the attempt was cancelled", errors.Join(ctx.Err(), err)
	}
	return &Error{text: doing + ": " + x.clean(oneLine(text), maxMessage), cause: err}
}

// innermost is the error that the others around it, which name URLs, wrap.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// transient is an answer that makes no sense.
func (x *exchange) transient(doing, text string) error {
	return &Error{Status: x.code, text: fmt.Sprintf("%s: %s", doing, text)}
}
