package pgstore

import "slices"

// What another daemon counted and this one has read may be lost, too, by a crash that breaks no connection of
// this daemon: behind a pooler it sees none break.

// lookMissed finds out whether the last commits of other daemons that were read are still there. The last one of
// a slot that somebody writes for stays in the tally.
func (s *Store) lookMissed(q query) error {
	c := &s.counters
	var slots []int16
	var seqs []int64
	c.tailing.Lock()
	for slot, seq := range c.tail.seqs {
		if s.writer(slot) == nil && c.missed[slot] != seq && !c.foreign {
			slots, seqs = append(slots, slot), append(seqs, seq)
		}
	}
	c.tailing.Unlock()
	if len(slots) == 0 {
		return nil
	}
	gone, err := column[int16](q, sqlLost, slots, seqs)
	if err != nil || len(gone) == 0 {
		return err
	}
	// Or the slot was adopted, and all of its tally is folded: that cannot be told apart. All counters are summed
	// anew, once.
	c.tailing.Lock()
	defer c.tailing.Unlock()
	for _, slot := range gone {
		c.missed[slot] = seqs[slices.Index(slots, slot)]
	}
	c.doubt()
	return nil
}
