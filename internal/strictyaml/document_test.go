package strictyaml

import (
	"testing"
)

func TestFaultsAreOneLineEach(t *testing.T) {
	f := Faults{{File: "a\nb.yaml", Line: 3, Message: "first\nsecond\x1b[31m"}, {File: "c.yaml", Message: "whole"}}
	if got, want := f.Error(), "a b.yaml:3: first second\uFFFD[31m\nc.yaml: whole"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAQuoteWithoutAnEndIsNamedWhereItBegins(t *testing.T) {
	for text, want := range map[string]int{
		"a: \"x\nb: \"y\"\n": 1, "a: 1\nb:\n  c: 'x\n  d: 'y'\n": 3, "a: [\"x, \"y\"]\nb: 1\n": 0, "a: \"x": 1, "a: \"x\n": 1,
		"a: \"x\n  y\"\nb: 1\n": 0, "a: it's\nb: \"1\"\n": 0, "a: \"\\\"\" # \"\n": 0, "a: 'it''s'\n": 0, "# \"\na: 1\n": 0, "- \"x\n- y\n": 1, "a: b\"c\nd: 1\n": 0,
	} {
		if got := openQuote([]byte(text)); got != want {
			t.Errorf("%q: line %d, want %d", text, got, want)
		}
	}
}
