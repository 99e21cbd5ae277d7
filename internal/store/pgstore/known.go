package pgstore

import (
	"bytes"
	"context"

	"github.com/seed-51f8da91/fantail/internal/store/packing"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// lookupEvents finds the events whose ids are used as keys, as an export gives them, and
// adds them to what is known.
func (s *Store) lookupEvents(ctx context.Context, claims []*claim, known map[[16]byte]*claim) error {
	named := map[event.ID][]*claim{}
	var days []int32
	var ids [][16]byte
	for _, c := range claims {
		if !c.named.IsZero() && known[c.hash] == nil {
			named[c.named] = append(named[c.named], c)
			days, ids = append(days, int32(c.named.Day())), append(ids, c.named)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return s.reading(ctx, func(q query) error {
		return q.each(sqlKnownEvents, []any{days, ids}, func(scan func(...any) error) error {
			var day event.Day
			var f first
			var developer string
			var erased bool
			var packed []byte
			err := scan(dayOf{&day}, (*[16]byte)(&f.id), text{&developer}, text{&f.reference}, &f.fanout, &erased, &packed)
			gone := erased || packed == nil || int64(day) < s.kept.bodies.Load()
			for _, c := range named[f.id] {
				if err != nil || developer != c.entry.Event.Developer {
					continue
				}
				k := &claim{hash: c.hash, first: f}
				if gone { // its body is gone: nobody can compare it
					k.body = c.body
				} else if body, bad := packing.Unpack(packed); bad != nil {
					err = bad
				} else if bytes.Equal(body, c.entry.Event.Body) {
					k.body = c.body
				}
				known[c.hash] = k
			}
			return err
		})
	})
}
