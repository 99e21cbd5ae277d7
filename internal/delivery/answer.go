package delivery

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// answerMost is the largest excerpt kept with an attempt.
const answerMost = destination.MaxAnswer

// showable returns text with everything escaped that could act on a terminal
// reorder a line, or not be seen: control bytes, invalid UTF-8, format characters,
// line separators. It is cut to answerMost bytes, between characters.
func showable(text string) string {
	if len(text) <= answerMost && plain(text) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		piece := text[i : i+n]
		switch {
		case r == utf8.RuneError && n == 1:
			piece = fmt.Sprintf(`\x%02x`, text[i])
		case r == '\n':
			piece = `\n`
		case r == '\r':
			piece = `\r`
		case r == '\t':
			piece = `\t`
		case r < 0x20 || r == 0x7f:
			piece = fmt.Sprintf(`\x%02x`, r)
		case acts(r) && r > 0xffff:
			piece = fmt.Sprintf(`\U%08x`, r)
		case acts(r):
			piece = fmt.Sprintf(`\u%04x`, r)
		}
		if b.Len()+len(piece) > answerMost {
			break
		}
		b.WriteString(piece)
		i += n
	}
	return b.String()
}

func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c >= 0x7f {
			return false
		}
	}
	return true
}

// acts tells whether r is a C1 control, a format character (bidirectional controls,
// zero widths, tags), or a line or paragraph separator.
func acts(r rune) bool {
	return r >= 0x80 && r <= 0x9f || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}
