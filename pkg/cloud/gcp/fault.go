package gcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
	"github.com/seed-51f8da91/fantail/pkg/destination/parsing"
	"github.com/seed-51f8da91/fantail/pkg/retryafter"
)

// Error is a call that failed. Its text is safe to show: it repeats nothing
// secret. Errors of this package are an Error, alone when they are transient,
// else inside of a [destination.Fault] that classifies them.
type Error struct {
	fault.Safe
	Status   int    // of the HTTP answer; 0: there was none
	Reason   string // Google's word for it, such as "forbidden"; "" if it gave none
	Message  string // Google's explanation
	words    string // the same, whole, without the object's name: a part of that comes from the event
	occupied bool
}

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
	return e.Status == http.StatusForbidden && strings.Contains(e.words, "storage.objects.delete")
}

// retained: the bucket's retention policy, or a hold, keeps the object as it is.
func (e *Error) retained() bool {
	return e.Status == http.StatusForbidden && (e.Reason == "retentionPolicyNotMet" || strings.Contains(e.words, "retention policy") || strings.Contains(e.words, "is under active"))
}

// Denied tells whether err is about a right that the credentials lack, rather
// than about who they are, billing, or a key of Cloud KMS.
func Denied(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusForbidden && !e.throttles() && !e.unpaid() && !e.aboutKMS() && !e.retained() && !e.fenced()
}

func (e *Error) throttles() bool {
	switch e.Reason {
	case "rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded":
		return e.Status == http.StatusForbidden || e.Status == http.StatusTooManyRequests
	}
	return e.Status == http.StatusTooManyRequests
}

func (e *Error) unpaid() bool {
	return e.Reason == "accountDisabled" || e.Status == http.StatusForbidden && strings.Contains(strings.ToLower(e.words), "billing account")
}

// fenced: the credentials may be right, but not from here.
func (e *Error) fenced() bool {
	return e.Status == http.StatusForbidden && (e.Reason == "vpcServiceControls" || strings.Contains(e.words, "organization's policy"))
}

// aboutKMS is told by the text alone: refusals of Cloud KMS have no reason of
// their own.
func (e *Error) aboutKMS() bool {
	return e.Status/100 == 4 && strings.Contains(e.words, "KMS")
}

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
		e.Message, e.words = x.quote(f.Error.Message), x.scrubber().Excerpt(f.Error.Message, 8<<10)
		if x.name != "" {
			e.words = strings.ReplaceAll(e.words, x.name, "")
		}
		if len(f.Error.Errors) > 0 {
			e.Reason = word(x.quote(f.Error.Errors[0].Reason))
		} else {
			e.Reason = word(x.quote(f.Error.Status))
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

// refusal classifies an answer that is no success, and says what to do about it.
// What is the object's or bucket's name for texts, who are the credentials.
func (x *exchange) refusal(doing, bucket, who string) error {
	e := x.describe()
	e.Text = fmt.Sprintf("%s: answered %d %s", doing, e.Status, http.StatusText(e.Status))
	if e.Message != "" {
		e.Text += ": " + e.Message
	}
	advise := func(format string, args ...any) error {
		e.Text += ". " + fmt.Sprintf(format, args...)
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
	case e.fenced():
		return advise("Have the perimeter of VPC Service Controls, or the organization's policy, let in where %s comes from", who)
	case e.irreplaceable(): // new objects still get through, so the destination is not held
		e.Text += fmt.Sprintf(". Grant roles/storage.objectUser on gs://%s to %s: replacing an object needs it", bucket, who)
	case e.retained():
		return destination.Reject(e)
	case e.Status == http.StatusForbidden:
		return advise("Grant roles/storage.objectCreator on gs://%s to %s, or roles/storage.objectUser, with which objects can also be replaced by newer ones", bucket, who)
	case e.Status == http.StatusNotFound:
		return advise("Create the bucket %s, or correct the setting bucket, or endpoint where there is one", bucket)
	case e.Status == http.StatusBadRequest && strings.Contains(e.words, "uniform bucket-level access"):
		return advise("Remove the setting predefined_acl: this bucket has no object ACLs")
	case e.Status == http.StatusBadRequest && strings.Contains(e.words, "requester pays"):
		return advise("Turn that off for %s: who delivers does not pay", bucket)
	case tooLong[e.Status]:
		return destination.Reject(e)
	case portals(e.Status), e.Status == http.StatusBadRequest && strings.HasPrefix(x.header.Get("Content-Type"), "text/"): // as of a port that wants https
		return x.elsewhere(doing, fmt.Sprintf("answered %d %s", e.Status, http.StatusText(e.Status)), "endpoint")
	case e.Status >= 300 && e.Status <= 399:
		e.Text += ": redirects are not followed"
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
		e.Reason, e.Message = word(x.quote(f.Code)), x.quote(f.About)
	}
	e.Text = fmt.Sprintf("fetch a token for %s: %s answered %d", a.email, a.tokenURI.Host, x.code)
	for _, s := range []string{e.Reason, e.Message} {
		if s != "" {
			e.Text += ": " + s
		}
	}
	wait, asked := retryafter.Parse(x.header.Get("Retry-After"), time.Now())
	switch {
	case x.code == http.StatusTooManyRequests, x.code == http.StatusServiceUnavailable && asked:
		return destination.Throttle(e, wait)
	case portals(x.code):
		return x.elsewhere("fetch a token for "+a.email, fmt.Sprintf("%s answered %d", a.tokenURI.Host, x.code), "token_uri in credentials")
	case e.Reason == "invalid_grant":
		e.Text += ". The key or its service account was deleted or disabled, or this machine's clock is wrong: create a new key and set credentials"
		return destination.Misconfigure(e)
	case x.code == 400, x.code == 401, x.code == 403, x.code == 404:
		e.Text += ". See that credentials is a valid key of a service account"
		return destination.Misconfigure(e)
	}
	return e
}

// unreached words a request without an answer. What this package has classified
// passes as it is, as what the guard has does.
func (x *exchange) unreached(ctx context.Context, doing string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		if f, ok := errors.AsType[*destination.Fault](err); ok {
			return f
		}
		return e
	}
	err = fault.Unanswered(ctx, doing, err, x.scrubber())
	if e, ok := err.(*fault.Safe); ok { //nolint:errorlint // it wraps nothing
		return &Error{Safe: *e}
	}
	return err
}

// portals tells whether a status is of something in between, or of a website: no
// API of Google's leads to a page, or does not know the methods that are used.
func portals(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect, http.StatusMethodNotAllowed, http.StatusProxyAuthRequired, http.StatusNotImplemented,
		http.StatusUnavailableForLegalReasons, http.StatusNetworkAuthenticationRequired:
		return true
	}
	return false
}

// tooLong are the statuses of an object whose body, name or metadata nobody takes.
var tooLong = map[int]bool{http.StatusRequestEntityTooLarge: true, http.StatusRequestURITooLong: true, http.StatusRequestHeaderFieldsTooLarge: true}

// elsewhere is an answer of something else than Cloud Storage, which every event
// would get until the settings lead elsewhere or the way there is free again.
func (x *exchange) elsewhere(doing, text, setting string) error {
	return destination.Misconfigure(&Error{Status: x.code, Safe: fault.Safe{Text: doing + ": " + text +
		", so nothing counts as stored. What answers there is something else, such as a website or the page of a captive portal: mend " + setting + ", or the way there"}})
}

// transient is an answer that makes no sense.
func (x *exchange) transient(doing, text string) error {
	return &Error{Status: x.code, Safe: fault.Safe{Text: doing + ": " + text}}
}
