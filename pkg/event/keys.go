package event

// The keys of the top level that matter.
const (
	other = iota
	typ
	user
	oldUser
	newUser
	version
	data
)

var names = [...]string{typ: "type", user: "user", oldUser: "old_user", newUser: "new_user", version: "version", data: "data"}

// top returns which key of the top level v is.
func (s *scanner) top(v value) int {
	if v.escaped {
		for i, name := range names[typ:] {
			if s.is(v, name) {
				return typ + i
			}
		}
		return other
	}
	switch string(s.b[v.start:v.end]) {
	case "type":
		return typ
	case "user":
		return user
	case "old_user":
		return oldUser
	case "new_user":
		return newUser
	case "version":
		return version
	case "data":
		return data
	}
	return other
}

// is tells whether the text v says name, which is short.
func (s *scanner) is(v value, name string) bool {
	raw := s.b[v.start:v.end]
	if !v.escaped {
		return string(raw) == name
	}
	if len(raw) > 6*len(name) { // no escape is longer
		return false
	}
	var buf [64]byte
	return string(unescape(buf[:0], raw)) == name
}
