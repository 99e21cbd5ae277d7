package pgstore

import (
	"slices"
	"sync"
)

// A crash of the database loses the commits that waited for nothing, and a failover to an
// asynchronous replica loses others, too. Memory has counted them, and the engine believes that
// the deliveries have ended: nobody would try them again.

// recent are the commits of a committer since the last look that found them, and the last one before.
// The last of all is not enough: it may have been made after a crash that has lost those before it.
type recent struct {
	mu   sync.Mutex
	seqs []int64
}

// mostRecent bounds them while nobody can look.
const mostRecent = 4096

func (r *recent) add(seq int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.seqs) == mostRecent {
		r.seqs = slices.Delete(r.seqs, 0, 1)
	}
	r.seqs = append(r.seqs, seq)
}

// first is the oldest; 0: there is none.
func (r *recent) first() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.seqs) == 0 {
		return 0
	}
	return r.seqs[0]
}

func (r *recent) all() []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seqs)
}

// found drops those up to seq, but for seq itself.
func (r *recent) found(seq int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seqs = slices.DeleteFunc(r.seqs, func(s int64) bool { return s < seq })
}

// lookLost finds out whether the last commits of each committer are still there. What is lost was the
// end of the log, and what came after is there again. It has nothing to do with connections: behind a pooler
// a daemon sees none of them break.
func (s *Store) lookLost(q query) error {
	var slots []int16
	var seqs []int64
	last := map[*committer]int64{}
	for _, w := range s.writers() { // what is done is seen by a snapshot that is taken later
		for _, seq := range w.fresh.all() {
			slots, seqs, last[w] = append(slots, w.slot), append(seqs, seq), seq
		}
	}
	gone, err := column[int16](q, sqlLost, slots, seqs)
	if err != nil {
		return err
	}
	for w, seq := range last {
		if slices.Contains(gone, w.slot) {
			seq++ // none of them is looked for again
		}
		w.fresh.found(seq)
	}
	if len(gone) == 0 {
		return nil
	}
	slices.Sort(gone)
	s.log.Warn("the database has lost commits that it had made last: what they had ended is tried again", "slots", slices.Compact(gone))
	s.look.again = true
	s.counters.doubt()
	return nil
}
