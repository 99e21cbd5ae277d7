package pgclient

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// TestMeaningsOfStates writes down what becomes of a delivery for every row, so that
// none changes unseen. Of classes that nobody knows, deliveries are retried.
func TestMeaningsOfStates(t *testing.T) {
	meant := map[destination.Class]string{
		destination.Misconfigured: "2200H 0A 0F 0L 0P 0Z 09 20 21 24 27 28 2B 2D 2F 34 38 39 3D 3F 42" +
			" 23502 28P01 42501 42804 42809 428C9 42P10 42P17 54001 55000",
		destination.Rejected: "22 23 44 54 22P05 23505 23514 23P01",
		destination.Transient: "01 02 03 08 0B 25 26 3B 40 53 55 57 58 72 F0 HV P0 XX 08P01 23503 25006 42701 42703 42710 42P01 42P07" +
			" 53100 53200 53300 53400 55P03 57014 57P03 XX001 XX002 ZZ ZZZZZ",
	}
	known := slices.Sorted(maps.Keys(states))
	for class, codes := range meant {
		for code := range strings.FieldsSeq(codes) {
			known = slices.DeleteFunc(known, func(s string) bool { return s == code })
			if len(code) == 2 {
				code += "ZZZ"
			}
			if m := MeaningOf(code); m.Class != class {
				t.Errorf("%s is %v, want %v", code, m.Class, class)
			}
		}
	}
	if len(known) > 0 {
		t.Errorf("nobody says what becomes of %q", known)
	}
	for code, class := range map[string]destination.Class{
		"22023": destination.Misconfigured, "42704": destination.Misconfigured, "55P02": destination.Misconfigured, "42501": destination.Misconfigured,
		"55000": destination.Misconfigured, "54000": destination.Misconfigured, "28P01": destination.Misconfigured, "3D000": destination.Misconfigured,
		"53300": destination.Transient, "57P03": destination.Transient, "08P01": destination.Transient, "": destination.Transient, "2": destination.Transient,
	} {
		if m := MeaningWhileConnecting(code); m.Class != class {
			t.Errorf("while connecting %s is %v, want %v", code, m.Class, class)
		}
	}
}

// TestWhatHoldsSaysWhatToDo, and what one delivery may be at fault for is tried alone.
func TestWhatHoldsSaysWhatToDo(t *testing.T) {
	for code := range states {
		m := MeaningOf(code)
		if len(code) == 2 {
			m = MeaningOf(code + "ZZZ")
		}
		if m.Class == destination.Misconfigured && m.Advice == "" || m.Class == destination.Rejected && !m.Alone {
			t.Errorf("%s: %+v", code, m)
		}
	}
}
