// Package fault words failures so that they may be shown: to the developer, in
// logs and in the API.
package fault

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/exchange"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// maxQuote bounds what an error's text quotes of a far side, in bytes.
const maxQuote = 400

// Safe is an error whose text may be shown. It can be asked what it is, but hands
// out no error that it was made of: the texts of those may hold anything.
type Safe struct {
	Text  string
	cause error // nil: there is none
}

// Of returns an error with a text that may be shown, and that is what cause is.
func Of(cause error, text string) *Safe { return &Safe{text, cause} }

func (e *Safe) Error() string { return e.Text }

// GoString keeps the cause out of %#v.
func (e *Safe) GoString() string { return e.Text }

// Is tells whether the cause is target.
func (e *Safe) Is(target error) bool { return errors.Is(e.cause, target) }

// Unanswered words an attempt at what, such as "write rows", that err ended
// without an answer. A [destination.Fault], such as the guard's refusal, passes as
// it is. Everything else is a [Safe], and so transient, but for a port of another
// protocol, which no retry makes one of HTTP; it is asked for what ended ctx, too.
func Unanswered(ctx context.Context, what string, err error, s *secret.Scrubber) error {
	if f, ok := errors.AsType[*destination.Fault](err); ok {
		return f
	}
	if ctx.Err() != nil {
		err = errors.Join(ctx.Err(), err)
	}
	safe := &Safe{what + ": " + WithoutURLs(Quote(s, Describe(err))), err}
	if errors.Is(err, exchange.ErrNotHTTP) {
		safe.Text += otherPort
		return destination.Misconfigure(safe)
	}
	return safe
}

// otherPort is what to do about [exchange.ErrNotHTTP].
const otherPort = ". Mend the address or its port in the settings"

var urls = regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*(://|:\\+/\\+/|%3a%2f%2f)[^\s"']*`)

// WithoutURLs takes URLs out of a text, also as JSON and queries write them: path
// and query may be credentials, of a link or of where requests go.
func WithoutURLs(text string) string { return urls.ReplaceAllString(text, secret.Redacted) }

// Quote returns what a far side said, for the text of an error: on one line,
// without the secrets of s, in valid UTF-8, at most 400 bytes.
func Quote(s *secret.Scrubber, said string) string {
	said = strings.ToValidUTF8(s.Excerpt(said, maxQuote), "")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, said)
}
