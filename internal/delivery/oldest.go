package delivery

import (
	"slices"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// oldestFailed keeps the oldest deliveries of a destination that have failed and wait
// for a later attempt; those that wait for their first stand at the head of the queue.
type oldestFailed struct{ ids []store.DeliveryID }

const oldestFailedMost = 16

func compareAge(a, b store.DeliveryID) int {
	if c := slices.Compare(a.Event[:], b.Event[:]); c != 0 {
		return c
	}
	return int(a.Replay) - int(b.Replay)
}

func (e *oldestFailed) add(id store.DeliveryID) {
	i, there := slices.BinarySearchFunc(e.ids, id, compareAge)
	if there || i == oldestFailedMost {
		return
	}
	e.ids = slices.Insert(e.ids, i, id)
	e.ids = e.ids[:min(len(e.ids), oldestFailedMost)]
}

func (e *oldestFailed) remove(id store.DeliveryID) {
	if len(e.ids) == 0 {
		return
	}
	if i, there := slices.BinarySearchFunc(e.ids, id, compareAge); there {
		e.ids = slices.Delete(e.ids, i, i+1)
	}
}

func (e *oldestFailed) first() (int64, bool) {
	if len(e.ids) == 0 {
		return 0, false
	}
	return e.ids[0].Event.Time().UnixNano(), true
}
