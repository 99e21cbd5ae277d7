package event

import (
	"strings"
	"time"
)

// Generated is when the producer says that e was made: creation_timestamp or
// occurred_at of the body, else the ordering time. UTC.
func (e *Event) Generated() time.Time {
	var p paths
	created, occurred := p.add("creation_timestamp"), p.add("occurred_at")
	s := scanner{b: e.Body}
	if found, ok := s.body(&p); ok {
		for _, slot := range [...]int{created, occurred} {
			if v := found[slot]; v.kind == text {
				if t, ok := ReadTime(s.text(v)); ok {
					return t
				}
			}
		}
	}
	return e.Ordering.UTC()
}

// ReadTime reads a time of a body: RFC 3339 with any number of fraction digits,
// of which nine count, a space for the T, or a date; without an offset it is
// UTC. The time is in UTC, and its year there is one of 0000 to 9999, so that
// every layout can write it.
func ReadTime(text string) (t time.Time, ok bool) {
	const longest = 64 // none that makes sense is longer
	if len(text) < len(time.DateOnly) || len(text) > longest {
		return time.Time{}, false
	}
	if len(text) > 10 && text[10] == ' ' {
		text = text[:10] + "T" + text[11:]
	}
	for _, layout := range [...]string{time.RFC3339, "2006-01-02T15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, strings.ToUpper(text)); err == nil {
			t = t.UTC()
			return t, t.Year() >= 0 && t.Year() <= 9999
		}
	}
	return time.Time{}, false
}
