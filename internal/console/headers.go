package console

import "strings"

// knows tells whether an If-None-Match names the tag. Proxies that compress make it weak.
func knows(header, tag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		if part = strings.TrimSpace(part); part == "*" || strings.TrimPrefix(part, "W/") == tag {
			return true
		}
	}
	return false
}

// takesGzip tells whether an Accept-Encoding takes gzip (RFC 9110, 12.5.3).
func takesGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(part, ";")
		if name = strings.TrimSpace(name); name == "gzip" || name == "*" {
			_, q, given := strings.Cut(weight, "=")
			return !given || strings.Trim(q, "0. ") != ""
		}
	}
	return false
}
