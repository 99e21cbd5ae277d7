package event

// ValidName tells whether text may name a developer, a destination or a token:
// 1 to 64 of A-Z a-z 0-9 . _ - that begin with a letter or digit. Such a name can
// stand in headers, URLs, metrics and command lines, and no path leaves a folder by it.
func ValidName(text string) bool {
	if text == "" || len(text) > 64 {
		return false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '-'):
		default:
			return false
		}
	}
	return true
}
