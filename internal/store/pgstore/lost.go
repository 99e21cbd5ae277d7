package pgstore

// A crash of the database loses the commits that waited for nothing, and a failover to an
// asynchronous replica loses others, too. Memory has counted them, and the engine believes that
// the deliveries have ended: nobody would try them again.

// lookLost finds out whether the last commit of each committer is still there. What is lost is
// always the end of the log, so that the last one tells. It has nothing to do with connections:
// behind a pooler a daemon sees none of them break.
func (s *Store) lookLost(q query) error {
	var slots []int16
	var seqs []int64
	for _, w := range s.writers() { // what is done is seen by a snapshot that is taken later
		slots, seqs = append(slots, w.slot), append(seqs, w.acked.Load())
	}
	gone, err := column[int16](q, sqlLost, slots, seqs)
	if err != nil || len(gone) == 0 {
		return err
	}
	s.log.Warn("the database has lost commits that it had made last: what they had ended is tried again", "slots", gone)
	for i, w := range s.writers() {
		w.acked.CompareAndSwap(seqs[i], 0) // a later commit stands for itself
	}
	s.look.again = true
	s.counters.doubt()
	return nil
}
