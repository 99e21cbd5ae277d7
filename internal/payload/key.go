// Package payload is the operator's payload store: what destinations link to
// instead of carrying it. The embedded store keeps files and serves them behind
// signed links; buckets of a cloud are wrapped, so that their faults are the
// operator's and show.
package payload

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// ID names a payload: a whole event, or one item of it.
type ID struct {
	Event event.ID
	Index int  // of the item; -1 is the whole event
	Item  bool // as `content: item` has it
}

// ErrNoPayload says that no payload can have such an id, or such a developer.
var ErrNoPayload = errors.New("there can be no such payload")

var errID = fmt.Errorf("%w: an id is {event id} or {event id}-{index}, either with -item after it or without", ErrNoPayload)

// ParseID reads the canonical form and nothing else.
func ParseID(s string) (ID, error) {
	const whole = 36
	id := ID{Index: -1}
	s, id.Item = strings.CutSuffix(s, event.ItemSuffix)
	text, rest := s, ""
	if len(s) > whole {
		text, rest = s[:whole], s[whole:]
	}
	var err error
	if id.Event, err = event.ParseID(text); err != nil {
		return ID{}, errID
	}
	if rest == "" {
		return id, nil
	}
	digits, ok := strings.CutPrefix(rest, "-")
	n, err := strconv.ParseUint(digits, 10, 31)
	if !ok || err != nil || strconv.FormatUint(n, 10) != digits {
		return ID{}, errID
	}
	id.Index = int(n)
	return id, nil
}

func (id ID) String() string {
	text := id.Event.String()
	if id.Index >= 0 {
		text += "-" + strconv.Itoa(id.Index)
	}
	if id.Item {
		text += event.ItemSuffix
	}
	return text
}

const (
	dayFormat = time.DateOnly
	extension = ".json"
)

// developers is what the settings allow as the id of a developer: no name of it
// can leave its folder.
var developers = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// key is where a payload lies: {day}/{developer}/{id}.json, the day being that
// of the event's id.
type key struct {
	day       event.Day
	developer string
	id        ID
}

func keyOf(developer, id string) (key, error) {
	parsed, err := ParseID(id)
	if err != nil {
		return key{}, fmt.Errorf("payload %.60q: %w", id, err)
	}
	if !developers.MatchString(developer) {
		return key{}, fmt.Errorf("payload %s: %w: %.80q is not the id of a developer", id, ErrNoPayload, developer)
	}
	return key{parsed.Event.Day(), developer, parsed}, nil
}

// parseKey is the inverse of String.
func parseKey(path string) (key, bool) {
	day, rest, _ := strings.Cut(path, "/")
	developer, file, _ := strings.Cut(rest, "/")
	id, ok := strings.CutSuffix(file, extension)
	if !ok {
		return key{}, false
	}
	k, err := keyOf(developer, id)
	return k, err == nil && dayName(k.day) == day
}

// folder is where the file lies.
func (k key) folder() string { return dayName(k.day) + "/" + k.developer }

func (k key) String() string { return k.folder() + "/" + k.id.String() + extension }

func dayName(d event.Day) string { return d.Start().Format(dayFormat) }

// dayOf reads the name of a day's folder.
func dayOf(name string) (event.Day, bool) {
	t, err := time.Parse(dayFormat, name)
	d := event.DayOf(t)
	return d, err == nil && dayName(d) == name
}
