package config

import "strings"

// matchPattern tells whether typ fits pattern, in which each * stands for any text, dots
// included. It is linear in practice: for a part between two stars, the first place where it
// fits is always good enough.
func matchPattern(pattern, typ string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == typ
	}
	typ, ok := strings.CutPrefix(typ, head)
	if !ok {
		return false
	}
	for {
		part, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(typ, part)
		}
		_, typ, ok = strings.Cut(typ, part)
		if !ok {
			return false
		}
		rest = after
	}
}
