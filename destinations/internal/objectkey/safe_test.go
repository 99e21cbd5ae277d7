package objectkey

import (
	"strings"
	"testing"
)

func TestSafe(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "",
		"40f7b0e1-89e2":        "40f7b0e1-89e2",
		"lab_report.completed": "lab_report.completed",
		"a b~é€😀|<>\"#?*[]":    "a b~é€😀|<>\"#?*[]",
		"a/b":                  "a%2Fb",
		`a\b`:                  "a%5Cb",
		"%2F":                  "%252F",
		".":                    "%2E",
		"..":                   "%2E%2E",
		"...":                  "%2E%2E%2E",
		"../../x":              "%2E%2E%2F%2E%2E%2Fx",
		"a..b":                 "a%2E%2Eb",
		"a.b.c":                "a.b.c",
		".well-known":          "%2Ewell-known",
		"a.":                   "a%2E",
		"a\x00\r\n\x7f":        "a%00%0D%0A%7F",
		"\u0085":               "%C2%85",
		"\ufffe\uffff\ufffd":   "%EF%BF%BE%EF%BF%BF\ufffd",
		"a\xff\xe2\x82":        "a%FF%E2%82",
	} {
		if got := safe(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestLongValuesAreCutBetweenCharacters(t *testing.T) {
	if text := strings.Repeat("x", maxValue); safe(text) != text {
		t.Error("a value of the largest length was cut")
	}
	seen := map[string]bool{}
	for _, unit := range []string{"x", "é", "€", "😀", "/", "\x00", "\ufffe"} {
		for lead := range 4 {
			text := strings.Repeat("y", lead) + strings.Repeat(unit, maxValue+1)
			got := safe(text)
			head, hash, cut := strings.Cut(got, "~")
			if !cut || len(got) > maxValue || len(hash) != 32 || len(head) < maxValue-1-32-8 || seen[got] {
				t.Errorf("%q...: %s", text[:9], got)
			}
			seen[got] = true
			if !strings.HasPrefix(strings.Repeat("y", lead)+strings.Repeat(safe(unit), maxValue), head) || (len(head)-lead)%len(safe(unit)) != 0 {
				t.Errorf("%q... was cut inside of a character: %s", text[:9], got)
			}
		}
	}
}
