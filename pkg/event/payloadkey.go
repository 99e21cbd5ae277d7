package event

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// PayloadID names a payload: a whole event, or one item of it.
type PayloadID struct {
	Event ID
	Index int  // of the item; -1 is the whole event
	Item  bool // as `content: item` has it
}

// ErrNoPayload says that no payload can have such an id, or such a developer.
var ErrNoPayload = errors.New("there can be no such payload")

var errPayloadID = fmt.Errorf("%w: an id is {event id} or {event id}-{index}, either with %s after it or without", ErrNoPayload, ItemSuffix)

// ParsePayloadID reads the canonical form and nothing else.
func ParsePayloadID(s string) (PayloadID, error) {
	const whole = 36
	id := PayloadID{Index: -1}
	s, id.Item = strings.CutSuffix(s, ItemSuffix)
	text, rest := s, ""
	if len(s) > whole {
		text, rest = s[:whole], s[whole:]
	}
	var err error
	if id.Event, err = ParseID(text); err != nil {
		return PayloadID{}, errPayloadID
	}
	if rest == "" {
		return id, nil
	}
	digits, ok := strings.CutPrefix(rest, "-")
	n, err := strconv.ParseUint(digits, 10, 31)
	if !ok || err != nil || strconv.FormatUint(n, 10) != digits {
		return PayloadID{}, errPayloadID
	}
	id.Index = int(n)
	return id, nil
}

func (id PayloadID) String() string {
	text := id.Event.String()
	if id.Index >= 0 {
		text += "-" + strconv.Itoa(id.Index)
	}
	if id.Item {
		text += ItemSuffix
	}
	return text
}

// PayloadKey is where a payload lies in every store: {day}/{developer}/{id}.json,
// the day being that of the event's id, so that it never changes.
type PayloadKey struct {
	Day       Day
	Developer string
	ID        PayloadID
}

const extension = ".json"

// PayloadKeyOf returns the key of a developer's payload. Its errors are [ErrNoPayload].
func PayloadKeyOf(developer, id string) (PayloadKey, error) {
	parsed, err := ParsePayloadID(id)
	if err != nil {
		return PayloadKey{}, fmt.Errorf("payload %.60q: %w", id, err)
	}
	if !ValidName(developer) {
		return PayloadKey{}, fmt.Errorf("payload %s: %w: %.80q is not the id of a developer", id, ErrNoPayload, developer)
	}
	return PayloadKey{parsed.Event.Day(), developer, parsed}, nil
}

// ParsePayloadKey is the inverse of String.
func ParsePayloadKey(path string) (PayloadKey, bool) {
	day, rest, _ := strings.Cut(path, "/")
	developer, file, _ := strings.Cut(rest, "/")
	id, ok := strings.CutSuffix(file, extension)
	if !ok {
		return PayloadKey{}, false
	}
	k, err := PayloadKeyOf(developer, id)
	return k, err == nil && k.Day.Date() == day
}

// Folder returns {day}/{developer}.
func (k PayloadKey) Folder() string { return k.Day.Date() + "/" + k.Developer }

func (k PayloadKey) String() string { return k.Folder() + "/" + k.ID.String() + extension }

// Date returns the day as 2006-01-02.
func (d Day) Date() string { return d.Start().Format(time.DateOnly) }

// ParseDate is the inverse of Date.
func ParseDate(name string) (Day, bool) {
	t, err := time.Parse(time.DateOnly, name)
	d := DayOf(t)
	return d, err == nil && d.Date() == name
}
