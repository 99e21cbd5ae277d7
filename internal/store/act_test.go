package store

import "testing"

func TestForgetTakesOutWholeNames(t *testing.T) {
	for _, c := range []struct {
		reason, user string
		want         bool
	}{
		{"ann asked for it", "ann", true},
		{"asked by Ann", "ann", true},
		{"(ann)", "ann", true},
		{"planning", "ann", false},
		{"planning, for ann", "ann", true},
		{"ann1", "ann", false},
		{"ann-42", "ann-42", true},
		{"user ann-42: law", "ann-42", true},
		{"ann-421", "ann-42", false},
		{"für jürgen", "jürgen", true},
		{"\xff", "\xff", true},
		{"a.b", "a", true},
		{"", "ann", false},
		{"x", "", false},
	} {
		a := Act{Reason: c.reason, Object: "x"}
		if got := a.Forget(c.user); got != c.want || (a.Reason == erasedReason) != c.want && c.reason != "" || a.Object != "x" {
			t.Errorf("%q without %q: %+v, %v", c.reason, c.user, a, got)
		}
	}
	a := Act{Object: "ann", Reason: "why"}
	if !a.Forget("ann") || a.Object != "" || a.Reason != "why" {
		t.Errorf("object: %+v", a)
	}
}
