package pebblestore

import "github.com/cockroachdb/pebble/v2"

// Whoever asks the log, usage or the trail has rows read for it. They are counted, so that a
// page that costs more than it shows is seen: see store.Stats.

// countRows counts what an iterator of such an answer has read. Seeks count as a row each.
func (s *Store) countRows(it *pebble.Iterator) {
	st := it.Stats()
	n := 0
	for _, of := range [...][pebble.NumStatsKind]int{st.ForwardSeekCount, st.ReverseSeekCount, st.ForwardStepCount, st.ReverseStepCount} {
		n += of[pebble.InterfaceCall]
	}
	s.asked.Add(int64(n))
}
