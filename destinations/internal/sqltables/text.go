package sqltables

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Place is the place of an event in the order of all events.
type Place struct {
	CreatedAt string // ordering time, UTC, of one width, so that the order of texts is that of times
	Stamp     string // CreatedAt and the event's id, which decides between events of one time
}

// Moment is how times are written.
const Moment = "2006-01-02T15:04:05.000000Z"

// PlaceOf returns the place of e.
func PlaceOf(e *event.Event) Place {
	at := e.Ordering.UTC().Format(Moment)
	return Place{at, at + " " + e.ID.String()}
}

// Clean returns text as databases take it: PostgreSQL has no U+0000.
func Clean(text string) string { return strings.ReplaceAll(text, "\x00", "\uFFFD") }

// maxUserID is the width of the column, in characters.
const maxUserID = 36

// checkUser refuses the id of a user that the tables cannot hold. It is not
// changed to fit: two users might become one.
func checkUser(id string) error {
	switch {
	case strings.Contains(id, "\x00"):
		return destination.Reject(fmt.Errorf("the user_id has the character U+0000, which no table can hold"))
	case utf8.RuneCountInString(id) > maxUserID:
		return destination.Reject(fmt.Errorf("the user_id has %d characters, and the tables hold %d", utf8.RuneCountInString(id), maxUserID))
	}
	return nil
}
