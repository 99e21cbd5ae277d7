package ndjson

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/seed-51f8da91/fantail/internal/ingest"
)

// Parse reads one line of a batch. Its errors are [ingest.Refusal]. The event's bytes are copied out of the
// line exactly as they stand in it; whether they are an event is not judged
// here, only where they end.
func Parse(line []byte) (req ingest.Request, err error) {
	s := scanner{b: line}
	if !s.take('{') {
		return req, badLine("it does not begin with {")
	}
	var seen members
	for first := true; ; first = false {
		if s.take('}') {
			break
		}
		if !first && !s.take(',') {
			return req, badLine(fmt.Sprintf("want , or } at byte %d", s.i))
		}
		name, ok := s.text()
		if !ok || !s.take(':') {
			return req, badLine(fmt.Sprintf("want a member at byte %d", s.i))
		}
		if err := s.member(name, &req, &seen); err != nil {
			return req, err
		}
	}
	if s.space(); s.i < len(s.b) {
		return req, badLine("more after its end")
	}
	if req.Body == nil {
		return req, ingest.Refuse(400, "missing_event", "the line has neither event nor body")
	}
	return req, nil
}

// Blank tells whether there is nothing in the line.
func Blank(line []byte) bool {
	s := scanner{b: line}
	s.space()
	return s.i == len(line)
}

func badLine(why string) error {
	return ingest.Refuse(400, "invalid_json", "the line is not one JSON object: "+why)
}

// members are those a line has had.
type members struct {
	developer, reference, ordering, key, event bool
}

// member reads the value of one member into req.
func (s *scanner) member(name []byte, req *ingest.Request, had *members) (err error) {
	s.space()
	start := s.i
	if !s.skip() {
		return badLine(fmt.Sprintf("the value of %q does not end", short(name)))
	}
	raw := s.b[start:s.i]
	null := string(raw) == "null"
	var seen *bool
	switch string(name) {
	case "dev_id":
		seen = &had.developer
		req.Developer, err = lineText(name, raw, null)
	case "reference":
		seen = &had.reference
		req.Reference, err = lineText(name, raw, null)
	case "idempotency_key":
		seen = &had.key
		if req.IdempotencyKey, err = lineText(name, raw, null); err == nil && req.IdempotencyKey == "" && !null {
			err = ingest.Refuse(400, "invalid_idempotency_key", "the idempotency key is empty")
		}
	case "ordering_timestamp":
		seen = &had.ordering
		if !null {
			req.Ordering, err = lineOrdering(string(raw))
		}
	case "event":
		seen = &had.event
		if raw[0] != '{' {
			return ingest.Refuse(400, "invalid_json", "the event is not a JSON object")
		}
		req.Body = append(make([]byte, 0, len(raw)), raw...)
	case "body":
		seen = &had.event
		req.Body, err = lineBody(raw)
	default:
		return ingest.Refuse(400, "unknown_field", fmt.Sprintf("the line has %q: want dev_id, reference, ordering_timestamp, idempotency_key, and event or body", short(name)))
	}
	if *seen {
		if seen == &had.event {
			return ingest.Refuse(400, "duplicate_key", "the line has more than one of event and body")
		}
		return ingest.Refuse(400, "duplicate_key", fmt.Sprintf("the line has %q twice", name))
	}
	*seen = true
	return err
}

// short cuts a name for a message: it may be as long as a whole batch, and
// escaping makes it several times that.
func short(name []byte) []byte { return name[:min(len(name), 64)] }

// lineText decodes a string.
func lineText(name, raw []byte, null bool) (string, error) {
	if null {
		return "", nil
	}
	if raw[0] != '"' {
		return "", ingest.Refuse(400, "invalid_field", fmt.Sprintf("%s is not a text", name))
	}
	text, ok := decodeText(raw)
	if !ok {
		return "", badLine(fmt.Sprintf("%s is not a valid text", name))
	}
	return string(text), nil
}

// decodeText decodes raw, which begins and ends with a quote.
func decodeText(raw []byte) ([]byte, bool) {
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner, true
	}
	var text string
	err := json.Unmarshal(raw, &text)
	return []byte(text), err == nil
}

// scanner finds where values end without judging what is in them.
type scanner struct {
	b []byte
	i int
}

func (s *scanner) space() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\t' || s.b[s.i] == '\r') {
		s.i++
	}
}

// take passes c, and white space before it.
func (s *scanner) take(c byte) bool {
	if s.space(); s.i == len(s.b) || s.b[s.i] != c {
		return false
	}
	s.i++
	return true
}

// text reads a string.
func (s *scanner) text() ([]byte, bool) {
	s.space()
	start := s.i
	if !s.quoted() {
		return nil, false
	}
	return decodeText(s.b[start:s.i])
}

// quoted passes a string.
func (s *scanner) quoted() bool {
	if s.i == len(s.b) || s.b[s.i] != '"' {
		return false
	}
	for s.i++; s.i < len(s.b); s.i++ {
		switch s.b[s.i] {
		case '\\':
			s.i++
		case '"':
			s.i++
			return true
		}
	}
	return false
}

// skip passes a value. Brackets are counted, not matched: what is unbalanced
// inside an event is the event's fault and found when that is parsed.
func (s *scanner) skip() bool {
	if s.i == len(s.b) {
		return false
	}
	switch s.b[s.i] {
	case '"':
		return s.quoted()
	case '{', '[':
		return s.nested()
	}
	start := s.i
	for s.i < len(s.b) && bytes.IndexByte([]byte(" \t\r,]}"), s.b[s.i]) < 0 {
		s.i++
	}
	return s.i > start
}

func (s *scanner) nested() bool {
	for depth := 0; s.i < len(s.b); {
		switch s.b[s.i] {
		case '"':
			if !s.quoted() {
				return false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s.i++
		if depth == 0 {
			return true
		}
	}
	return false
}
