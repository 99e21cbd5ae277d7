package fault

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
)

// Unanswered attempts that nobody is to blame for.
const (
	cancelled = "the attempt was cancelled"
	late      = "no answer in time"
)

// Describe words what went wrong on the way to a far side. It names no URL, whose
// path and query may be credentials, and neither addresses nor name servers of
// this machine, as the texts of net and net/http do. It may repeat what the far
// side said: see [Quote].
func Describe(err error) string {
	safe, isSafe := errors.AsType[*Safe](err)
	timeUp := wraps(err, context.DeadlineExceeded)
	switch {
	case wraps(err, context.Canceled) && !timeUp:
		return cancelled
	case isSafe:
		return safe.Text
	case timeUp:
		return late
	}
	return word(err)
}

// wraps tells whether target itself is in the tree of err. Timeouts of package net
// also claim to be [context.DeadlineExceeded], and of a connection that was not
// made in time the text says which.
func wraps(err, target error) bool {
	return err == target || slices.ContainsFunc(inner(err), func(e error) bool { return wraps(e, target) }) //nolint:errorlint // see above
}

// inner returns the errors that err wraps directly.
func inner(err error) []error {
	switch e := err.(type) { //nolint:errorlint // this very error, not one below
	case interface{ Unwrap() []error }:
		return e.Unwrap()
	case interface{ Unwrap() error }:
		if e := e.Unwrap(); e != nil {
			return []error{e}
		}
	}
	return nil
}

// Innermost returns the errors at the ends of the tree of err. One that knows what
// was done, a [net.OpError], counts as one.
func Innermost(err error) (all []error) {
	parts := inner(err)
	if _, ok := err.(*net.OpError); ok || len(parts) == 0 { //nolint:errorlint // this very error, not one below
		return []error{err}
	}
	for _, e := range parts {
		all = append(all, Innermost(e)...)
	}
	return all
}

// word returns the text of err, in which those of the errors that name addresses
// and URLs are replaced.
func word(err error) string {
	switch e := err.(type) { //nolint:errorlint // each error of the tree in its turn
	case *net.OpError:
		if e.Timeout() && e.Op != "dial" {
			return late
		}
		return e.Op + ": " + word(e.Err)
	case *os.SyscallError:
		return word(e.Err)
	case *net.DNSError:
		return "resolve " + e.Name + ": " + e.Err
	case *url.Error:
		return word(e.Err)
	}
	if err == os.ErrDeadlineExceeded { //nolint:errorlint // the same
		return late
	}
	text, parts := err.Error(), inner(err)
	if joined := errors.Join(parts...); len(parts) > 1 && text == joined.Error() {
		var words []string
		for _, e := range parts {
			if w := word(e); !slices.Contains(words, w) {
				words = append(words, w)
			}
		}
		return strings.Join(words, "; ")
	}
	for _, e := range parts {
		text = strings.Replace(text, e.Error(), word(e), 1)
	}
	return text
}
