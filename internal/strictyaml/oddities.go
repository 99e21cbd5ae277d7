package strictyaml

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// unresolved matches what names a secret for other programs, or stands for one. A dollar sign and a
// word is not enough: that may be a password.
var unresolved = regexp.MustCompile(`^(\$\{?([A-Z][A-Z0-9_]+|\w+_\w+)\}?|\$\(.*\)|%\w+%|\{\{.*\}\}|<[^<>]*>|(env|file):\S+)$`)

// spread matches the beginnings of PEM and JSON, in which spaces and ends of lines mean nothing.
var spread = regexp.MustCompile(`^(-----BEGIN |\{\s*")`)

const byteOrderMark = "\ufeff"

// oddities lists what is hardly meant in the text of a secret, and what to do about it. None is
// certain. Where both sides have the same text all is well. Where the other side has the text that
// a person sees, every signature and every login is refused. No message shows any of the text.
func oddities(text string) (all []string) {
	odd := func(is bool, message string) {
		if is {
			all = append(all, message)
		}
	}
	if !utf8.ValidString(text) {
		return []string{"is not UTF-8: a program that reads it as text has another secret; make it of letters and digits"}
	}
	odd(strings.HasPrefix(text, byteOrderMark), "begins with a byte order mark, which is part of it: save the file as UTF-8 without one")
	text = strings.TrimPrefix(text, byteOrderMark)
	bare := strings.TrimSpace(text)
	if spread.MatchString(bare) {
		return all
	}
	odd(bare != text, "begins or ends with a blank or a line's end, which is part of it: remove it (of a file, one newline at its end is dropped, and no more)")
	odd(strings.ContainsFunc(bare, func(r rune) bool { return !unicode.IsPrint(r) }), "has a character within that does not show, such as a line's end or a blank of width zero: write it anew by hand")
	odd(strings.HasSuffix(bare, `\n`) || strings.HasSuffix(bare, `\r`), `ends with a backslash and a letter, which stand for no line's end here: remove them`)
	odd(quotedWhole(bare), "stands in quotes that are part of it: remove them (docker's --env-file keeps quotes)")
	odd(unresolved.MatchString(strings.Trim(bare, "\"'")), "looks like a name that nobody replaced by its value: write ${env:NAME} or ${file:path}, or the secret itself")
	return all
}

// quotedWhole tells whether text begins and ends with the same quote.
func quotedWhole(text string) bool {
	return len(text) > 1 && strings.Contains("\"'`", text[:1]) && text[len(text)-1] == text[0]
}
