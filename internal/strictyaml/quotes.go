package strictyaml

import "strings"

// openQuote returns the line of the first quote that opens a text and is not closed, 0 if there is
// none. It takes a text over several lines for closed where its last quote is followed by the end
// of the line, or by the end of a list or mapping in brackets.
func openQuote(raw []byte) int {
	opened, quote := 0, byte(0)
	n := 0
	for text := range strings.Lines(string(raw)) {
		n++
		text = strings.TrimRight(text, "\r\n")
		began := quote != 0 // the text goes on from a line above
		for i := 0; i < len(text); i++ {
			c := text[i]
			switch {
			case quote == '"' && c == '\\':
				i++
			case quote == '\'' && c == '\'' && i+1 < len(text) && text[i+1] == '\'':
				i++
			case quote != 0 && c == quote:
				quote = 0
				rest := strings.TrimLeft(text[i+1:], " \t")
				if began && rest != "" && !strings.ContainsAny(rest[:1], ",]}:#") {
					return opened
				}
				began = false
			case quote != 0:
			case c == '#' && (i == 0 || text[i-1] == ' '):
				i = len(text)
			case (c == '"' || c == '\'') && opens(text[:i]):
				quote, opened = c, n
			}
		}
	}
	if quote != 0 {
		return opened
	}
	return 0
}

// opens tells whether a quote after before opens a text. A quote within a text does not.
func opens(before string) bool {
	trimmed := strings.TrimRight(before, " \t")
	if trimmed == "" {
		return true
	}
	last := trimmed[len(trimmed)-1]
	return strings.IndexByte("[{,", last) >= 0 || strings.IndexByte(":-?!", last) >= 0 && trimmed != before
}
