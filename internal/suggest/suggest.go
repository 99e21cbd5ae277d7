// Package suggest says which known word somebody may have meant.
package suggest

import (
	"fmt"
	"strings"
)

// maxKnown is how many names Some lists of those there are.
const maxKnown = 20

// Some says which of the known names word may have been meant to be ("did you mean
// acme?"), or what there is ("known are acme, globex"), 20 names at the most.
func Some(word string, known []string) string {
	if len(known) > maxKnown && Closest(word, known) == "" {
		return fmt.Sprintf("known are %s and %d more", strings.Join(known[:maxKnown], ", "), len(known)-maxKnown)
	}
	return Any(word, known)
}

// Any is Some that lists all there is.
func Any(word string, known []string) string {
	if near := Closest(word, known); near != "" {
		return "did you mean " + near + "?"
	}
	if len(known) == 0 {
		return "there are none"
	}
	return "known are " + strings.Join(known, ", ")
}

// Closest returns the one of known that is written most like word, "" if none is.
func Closest(word string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if d := editDistance(strings.ToLower(word), strings.ToLower(k)); d < distance && d*2 < max(len(k), 3) {
			best, distance = k, d
		}
	}
	return best
}

// editDistance counts the letters to add, drop, replace or swap with their neighbour.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
