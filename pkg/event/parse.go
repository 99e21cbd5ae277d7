package event

import (
	"fmt"
	"unicode"
)

const (
	// MaxDepth is how many objects and arrays may be nested in a body, the body
	// itself included. Real bodies have about ten; some parsers of receivers
	// recurse and die of a few thousand.
	MaxDepth = 512
	// MaxType is the largest length of a type, in bytes.
	MaxType = 128
)

// Codes of a ParseError.
const (
	InvalidJSON  = "invalid_json"  // not one JSON object in valid UTF-8, or nested deeper than MaxDepth
	DuplicateKey = "duplicate_key" // type, user, old_user, new_user, version or data stands twice at the top
	MissingType  = "missing_type"  // type is missing, not a text, empty, longer than MaxType, or has control characters
)

// ParseError says why a body is not an event. Code is stable: invalid_json,
// missing_type or duplicate_key; Message says where and what to do.
type ParseError struct{ Code, Message string }

func (e *ParseError) Error() string { return e.Message }

// Parse reads the envelope of body in one pass. It accepts exactly one JSON
// object in valid UTF-8, without a byte order mark, white space around it
// allowed, and keeps no part of body. The error is a *ParseError; what is wrong
// with the JSON comes before a duplicate key, and that before the type.
//
// Texts are kept whole and with their escapes decoded; half of a surrogate pair
// becomes U+FFFD. A version that is a number, true or false counts with its text
// as written; one that is null, empty, an object or an array counts as missing.
// The user's id is "" when user is null or no object, or when user_id is not a
// text, and then that of new_user and old_user count; a user_id that stands
// twice counts as the last. An id may have any length and any characters: who
// puts it into a key or a column has to bound it.
func Parse(body []byte) (Envelope, error) {
	s := scanner{b: body}
	f, ok := s.event()
	if !ok {
		return Envelope{}, &ParseError{InvalidJSON, fmt.Sprintf("the body is not one JSON object: %s at byte %d", s.reason, s.i)}
	}
	if f.twice != "" {
		return Envelope{}, &ParseError{DuplicateKey, fmt.Sprintf("the key %q stands twice at the top of the body", f.twice)}
	}
	typ, wrong := s.typ(f.typ)
	if wrong != "" {
		return Envelope{}, &ParseError{MissingType, wrong}
	}
	env := Envelope{Type: typ, Version: s.version(f.version)}
	env.Versioned = env.Version != ""
	for _, user := range [...]value{f.user, f.newUser, f.oldUser} {
		if user.kind == text && user.end > user.start {
			env.UserID = s.text(user)
			break
		}
	}
	return env, nil
}

// fields is where a body has what the envelope needs.
type fields struct {
	typ, version           value
	user, newUser, oldUser value // their user_id; the kind is none when there is no text
	twice                  string
}

// event reads the whole body.
func (s *scanner) event() (f fields, ok bool) {
	s.space()
	if !s.take('{') {
		return f, s.fail(s.start())
	}
	var seen [data + 1]bool
	for first := true; ; first = false {
		key, more, ok := s.member(first)
		if !ok {
			return f, false
		}
		if !more {
			break
		}
		name := s.top(key)
		if name != other && seen[name] {
			f.twice = names[name]
		}
		seen[name] = true
		switch name {
		case typ:
			f.typ, ok = s.value(1)
		case version:
			f.version, ok = s.value(1)
		case user:
			f.user, ok = s.userID()
		case newUser:
			f.newUser, ok = s.userID()
		case oldUser:
			f.oldUser, ok = s.userID()
		default:
			ok = s.skip(1)
		}
		if !ok {
			return f, false
		}
	}
	s.space()
	if s.i < len(s.b) {
		return f, s.fail("more after its end")
	}
	return f, true
}

// userID reads a value of the top level, and its user_id if it is an object.
func (s *scanner) userID() (id value, ok bool) {
	s.space()
	if !s.take('{') {
		return id, s.skip(1)
	}
	for first := true; ; first = false {
		key, more, ok := s.member(first)
		if !ok || !more {
			return id, ok
		}
		if !s.is(key, "user_id") {
			if !s.skip(2) {
				return id, false
			}
			continue
		}
		if id, ok = s.value(2); !ok {
			return id, false
		}
	}
}

// start says what is wrong with a body that does not begin with {.
func (s *scanner) start() string {
	switch {
	case s.i == len(s.b):
		return "it is empty"
	case len(s.b) >= 3 && string(s.b[:3]) == "\ufeff":
		return "it begins with a byte order mark"
	}
	return "want {"
}

// typ returns the type, or what is wrong with it.
func (s *scanner) typ(v value) (typ, wrong string) {
	switch {
	case v.kind == none:
		return "", `the body has no "type" at its top`
	case v.kind != text:
		return "", `the "type" is not a text`
	case v.end == v.start:
		return "", `the "type" is empty`
	case v.end-v.start > 6*MaxType: // no escape is longer: do not decode what cannot fit
		return "", fmt.Sprintf(`the "type" is longer than %d bytes`, MaxType)
	}
	typ = s.text(v)
	if len(typ) > MaxType {
		return "", fmt.Sprintf(`the "type" is longer than %d bytes`, MaxType)
	}
	for _, r := range typ {
		if unicode.IsControl(r) {
			return "", fmt.Sprintf(`the "type" has the control character %U`, r)
		}
	}
	return typ, ""
}

// version returns the text of the top-level version, "" if there is none.
func (s *scanner) version(v value) string {
	if v.kind != text && v.kind != scalar {
		return ""
	}
	return s.text(v)
}
