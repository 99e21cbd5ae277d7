package farside

import (
	"errors"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// Quote returns what a database said, for the text of an error, without the
// secrets of s and without the links to payloads. Triggers and errors may repeat
// anything.
func Quote(s *secret.Scrubber, said string) string {
	return fault.WithoutURLs(fault.Quote(s, said))
}

// Describe words what went wrong on the way to a database. The layers that
// drivers put around it name users and addresses and are left out.
func Describe(s *secret.Scrubber, err error) string {
	return Quote(s, fault.Describe(errors.Join(fault.Innermost(err)...)))
}

// Fault is an error of a class, met doing what, with advice on what to do about it
// unless that is "". It ends the text without brackets: SQL that somebody copies to the
// end of the line has some of its own.
func Fault(class destination.Class, what, text, advice string, err error) error {
	if advice != "" {
		text += "; " + advice
	}
	return &destination.Fault{Class: class, Err: fault.Of(err, what+": "+text)}
}
