package delivery

import (
	"bytes"
	"cmp"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// comparePositions orders positions as the store does.
func comparePositions(a, b store.Position) int {
	if c := cmp.Compare(a.Due, b.Due); c != 0 {
		return c
	}
	if c := bytes.Compare(a.Event[:], b.Event[:]); c != 0 {
		return c
	}
	return cmp.Compare(a.Replay, b.Replay)
}

func below(a, b store.Position) bool { return comparePositions(a, b) < 0 }

// after returns the first position behind p.
func after(p store.Position) store.Position {
	if p.Replay++; p.Replay == 0 {
		for i := len(p.Event) - 1; i >= 0; i-- {
			if p.Event[i]++; p.Event[i] != 0 {
				return p
			}
		}
		p.Due++
	}
	return p
}
