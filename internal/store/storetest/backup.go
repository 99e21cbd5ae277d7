package storetest

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func backupCases() []scenario {
	return []scenario{
		{"a copy is the same", needBackup, backupSame},
		{"a copy is a store of its own", needBackup, backupApart},
		{"of what is not synced yet", needBackup, backupUnsynced},
		{"while writes go on", needBackup, backupBusy},
		{"over what exists is refused", needBackup, backupExists},
		{"of a fresh store", needBackup, backupFresh},
	}
}

// backup copies the store and opens the copy.
func (r *rig) backup() *rig {
	r.Helper()
	dir := r.h.BackupDir(r, r.s)
	r.must("backup", r.s.Backup(r.ctx, dir))
	copied := *r
	copied.s = r.h.Restore(r, r.s, dir)
	return &copied
}

func backupSame(r *rig) {
	dests := r.dests(3)
	r.must("set state", r.setState(dests[0], store.DestinationState{Held: true, Reason: "401", Since: r.now, Settings: 9}))
	r.must("set last", r.s.SetLast(r.ctx, map[uint32]store.Last{dests[1]: {Success: 7, Answer: store.Answer{At: 8, Code: 500}}}))
	r.seal(1, 2)
	r.must("put", r.s.Put(r.ctx, "k", []byte("v")))
	first := r.append(r.keyed("key", "body", dests...))[0]
	for i := range 10 {
		its := r.post(dests...)
		r.settle(r.delivered(its[0]), r.failed(its[1], time.Hour, uint64(i%3)), r.rejected(its[2]))
		r.advance(5 * time.Hour)
	}
	r.erase("acme", "nobody")
	before := r.dump(r.s, true)
	c := r.backup()
	c.same("the copy", c.dump(c.s, true), before)
	c.balanced()
	c.duplicates(c.keyed("key", "body"), first)
	c.collects([]uint64{1, 2}, []uint64{1, 2})
	if v, err := c.s.Get(c.ctx, "k"); err != nil || string(v) != "v" {
		r.Errorf("value of the copy: %q, %v", v, err)
	}
	r.same("the original", r.dump(r.s, true), before)
}

func backupApart(r *rig) {
	d := r.dest()
	items := r.posts(4, d)
	c := r.backup()
	r.settle(r.delivered(items[0]))
	r.post(d)
	if s := c.settle(c.rejected(items[0]))[0]; s.Stale || s.State != store.Dead {
		r.Errorf("in the copy it settled as %+v", s)
	}
	last := c.post(d)[0]
	c.move(store.Cancel, items[1].ID)
	r.counts(d, store.Counts{Accepted: 5, Delivered: 1, Pending: 4})
	c.counts(d, store.Counts{Accepted: 5, Dead: 1, Cancelled: 1, Pending: 3})
	c.increasing(items[3].ID.Event, last.ID.Event)
	c.balanced()
}

func backupUnsynced(r *rig) {
	d := r.dest()
	items := r.posts(20, d)
	for _, it := range items {
		r.settle(r.delivered(it))
	}
	c := r.backup()
	c.counts(d, store.Counts{Accepted: 20, Delivered: 20})
	c.balanced()
}

// backupBusy: the copy is of one moment, after all that was acknowledged before it began.
func backupBusy(r *rig) {
	dests := r.dests(2)
	var acked []event.ID
	var mu sync.Mutex
	var stop atomic.Bool
	var wg sync.WaitGroup
	const writers, most = 4, 400
	entries := make([][]*store.Entry, writers)
	attempts := make([]*store.Attempt, writers)
	for w := range entries {
		attempts[w] = r.attempt("delivered", 200, true)
		for range most {
			entries[w] = append(entries[w], r.entry(dests...))
		}
	}
	first := make(chan struct{}, writers*most)
	for w := range writers {
		wg.Go(func() {
			for i := 0; i < most && !stop.Load(); i++ {
				out, err := r.s.Append(r.ctx, r.now, entries[w][i:i+1])
				if err != nil {
					r.Errorf("append: %v", err)
					return
				}
				mu.Lock()
				acked = append(acked, out[0].ID)
				mu.Unlock()
				first <- struct{}{}
				o := store.Outcome{Item: out[0].Items[i%2], Attempt: attempts[w], State: store.Delivered, Attempts: 1}
				if _, err := r.s.Settle(r.ctx, r.now, []store.Outcome{o}); err != nil {
					r.Errorf("settle: %v", err)
					return
				}
			}
		})
	}
	ended(&wg, first)
	for range 20 {
		<-first
	}
	for range 2 {
		mu.Lock()
		before := slices.Clone(acked)
		mu.Unlock()
		c := r.backup()
		for _, id := range before {
			c.record(id)
		}
		c.balanced()
	}
	stop.Store(true)
	wg.Wait()
}

func backupExists(r *rig) {
	r.post(r.dest())
	dir := r.h.BackupDir(r, r.s)
	r.must("backup", r.s.Backup(r.ctx, dir))
	d := r.post(r.dest())[0]
	if err := r.s.Backup(r.ctx, dir); err == nil {
		r.Errorf("a second backup to the same place")
	} else if strings.TrimSpace(err.Error()) == "" {
		r.Errorf("an error without words")
	}
	c := *r
	c.s = r.h.Restore(r, r.s, dir)
	if n := len(c.events(c.s, store.EventQuery{})); n != 1 {
		r.Errorf("the first copy has %d events, want 1", n)
	}
	_, _, err := c.s.Delivery(c.ctx, d.ID)
	r.wants("what came after the first copy", err, store.ErrNotFound)
}

func backupFresh(r *rig) {
	c := r.backup()
	c.balanced()
	if n := len(c.events(c.s, store.EventQuery{})); n != 0 {
		r.Errorf("%d events", n)
	}
	c.post(c.dest())
	c.balanced()
}
