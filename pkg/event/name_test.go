package event

import (
	"strings"
	"testing"
)

func TestValidName(t *testing.T) {
	for text, want := range map[string]bool{
		"a": true, "9": true, "Acme": true, "a.b_c-d": true, "a..": true, strings.Repeat("a", 64): true,
		"": false, ".": false, "..": false, "_a": false, "-a": false, ".a": false, "a/b": false, "a b": false, "a\n": false, "\na": false, "a\x00": false, "ä": false, "a\u00e9": false,
		strings.Repeat("a", 65): false,
	} {
		if got := ValidName(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
