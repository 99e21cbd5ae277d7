package strictyaml

import (
	"strings"
	"testing"
)

func TestReferenceText(t *testing.T) {
	for _, c := range []struct{ text, ref, literal string }{
		{"plain", "", "plain"},
		{"$", "", "$"}, {"$$", "", "$$"}, {"$x", "", "$x"}, {"}{", "", "}{"},
		{"$${env:X}", "", "${env:X}"},
		{"$$${", "", "$${"},
		{"a$${b}c$${", "", "a${b}c${"},
		{"${env:X_1}", "env:X_1", ""},
		{"${file:a/b c.txt}", "file:a/b c.txt", ""},
	} {
		ref, literal, err := ParseReference(c.text)
		if got := strings.Trim(ref.String(), ":"); err != nil || got != c.ref || literal != c.literal {
			t.Errorf("%q: %q, %q, %v", c.text, got, literal, err)
		}
	}
	for _, text := range []string{"${", "${x}", "${env:}", "${env:1X}", "${env:A B}", "${env:X} ", " ${env:X}", "${env:X", "${env:X}${env:X}", "${file:}", "${file:${env:X}}", "${ENV:X}", "$${x}${"} {
		if ref, literal, err := ParseReference(text); err == nil {
			t.Errorf("%q: %v, %q", text, ref, literal)
		} else if strings.Contains(err.Error(), "1X") {
			t.Errorf("%q is quoted: %v", text, err)
		}
	}
}
