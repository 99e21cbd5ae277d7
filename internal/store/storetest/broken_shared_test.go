package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// odd is a daemon whose store keeps every rule but one: what is set replaces a call.
type odd struct {
	*Member
	append   func(now time.Time, batch []*store.Entry) ([]store.Appended, error)
	settle   func(now time.Time, os []store.Outcome) ([]store.Settled, error)
	move     func(now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error)
	replay   func(now time.Time, replay uint32, wants []store.Want) ([]store.Moved, error)
	due      func(q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error)
	queues   func() ([]store.Head, error)
	change   func(id uint32, change func(*store.DestinationState)) (store.DestinationState, uint64, error)
	follow   func(f store.Follower)
	owned    func() bool
	counts   func(dest uint32) store.Counts
	duty     func(name string) (bool, error)
	share    func() (int, int)
	daemons  func() ([]store.Daemon, error)
	announce func(d store.Daemon) error
	close    func() error
}

func (o *odd) Append(ctx context.Context, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
	if o.append != nil {
		return o.append(now, batch)
	}
	return o.Member.Append(ctx, now, batch)
}

func (o *odd) Settle(ctx context.Context, now time.Time, os []store.Outcome) ([]store.Settled, error) {
	if o.settle != nil {
		return o.settle(now, os)
	}
	return o.Member.Settle(ctx, now, os)
}

func (o *odd) Move(ctx context.Context, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
	if o.move != nil {
		return o.move(now, c, ids)
	}
	return o.Member.Move(ctx, now, c, ids)
}

func (o *odd) Replay(ctx context.Context, now time.Time, replay uint32, wants []store.Want) ([]store.Moved, error) {
	if o.replay != nil {
		return o.replay(now, replay, wants)
	}
	return o.Member.Replay(ctx, now, replay, wants)
}

func (o *odd) Due(ctx context.Context, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
	if o.due != nil {
		return o.due(q, from, until, limit)
	}
	return o.Member.Due(ctx, q, from, until, limit)
}

func (o *odd) Queues(ctx context.Context) ([]store.Head, error) {
	if o.queues != nil {
		return o.queues()
	}
	return o.Member.Queues(ctx)
}

func (o *odd) ChangeState(ctx context.Context, id uint32, change func(*store.DestinationState)) (store.DestinationState, uint64, error) {
	if o.change != nil {
		return o.change(id, change)
	}
	return o.Member.ChangeState(ctx, id, change)
}

func (o *odd) Follow(f store.Follower) {
	if o.follow != nil {
		o.follow(f)
		return
	}
	o.Member.Follow(f)
}

func (o *odd) Owned() bool {
	if o.owned != nil {
		return o.owned()
	}
	return o.Member.Owned()
}

func (o *odd) Holds(event.ID) bool { return o.Owned() }

func (o *odd) Counts(dest uint32) store.Counts {
	if o.counts != nil {
		return o.counts(dest)
	}
	return o.Member.Counts(dest)
}

func (o *odd) Duty(ctx context.Context, name string) (bool, error) {
	if o.duty != nil {
		return o.duty(name)
	}
	return o.Member.Duty(ctx, name)
}

func (o *odd) Share() (int, int) {
	if o.share != nil {
		return o.share()
	}
	return o.Member.Share()
}

func (o *odd) Daemons(ctx context.Context) ([]store.Daemon, error) {
	if o.daemons != nil {
		return o.daemons()
	}
	return o.Member.Daemons(ctx)
}

func (o *odd) Announce(ctx context.Context, d store.Daemon) error {
	if o.announce != nil {
		return o.announce(d)
	}
	return o.Member.Announce(ctx, d)
}

func (o *odd) Close() error {
	if o.close != nil {
		return o.close()
	}
	return o.Member.Close()
}

// ends waits, and tells whether the daemon has ended meanwhile.
func (o *odd) ends(wait time.Duration) bool {
	select {
	case <-time.After(wait):
		return false
	case <-o.quit:
		return true
	}
}

// outside is the store as one sees it who owns nothing and asks nobody: without slots and fences.
func (m *Member) outside() *model { return &model{contents: m.contents} }

// hears changes what a daemon is told.
type hears struct {
	store.Follower
	pending func(heads []store.Head)
	changed func(ds []store.Destination)
}

func (h hears) Pending(heads []store.Head) {
	if h.pending != nil {
		h.pending(heads)
		return
	}
	h.Follower.Pending(heads)
}

func (h hears) Changed(ds []store.Destination) {
	if h.changed != nil {
		h.changed(ds)
		return
	}
	h.Follower.Changed(ds)
}

type sharedMutant struct {
	rule   string
	caught string
	breaks func(o *odd)
}

// evenFenced has calls of a stale owner done all the same.
func evenFenced[T any](out T, err error, again func() (T, error)) (T, error) {
	if errors.Is(err, store.ErrFenced) {
		return again()
	}
	return out, err
}

func sharedMutants() []sharedMutant {
	return []sharedMutant{
		{"every daemon is shown everything", "a delivery is shown to who accepted it alone", func(o *odd) {
			o.queues = func() ([]store.Head, error) { return o.outside().Queues(bg) }
			o.due = func(q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
				return o.outside().Due(bg, q, from, until, limit)
			}
		}},
		{"nobody is told of what they adopt", "a lost lease is adopted", func(o *odd) {
			o.follow = func(f store.Follower) { o.Member.Follow(hears{Follower: f, pending: func([]store.Head) {}}) }
		}},
		{"a lease that is renewed lapses all the same", "nothing is adopted while a lease goes on", func(o *odd) {
			go func() {
				time.Sleep(time.Second)
				o.mu.Lock()
				defer o.mu.Unlock()
				if o.index == 0 {
					o.many.lapse(o.Member)
				}
			}()
		}},
		{"who does not reach the store has lost its lease", "nothing is adopted before a lease is over", func(o *odd) {
			go func() {
				for !o.ends(100 * time.Millisecond) {
					o.mu.Lock()
					if o.cut > 0 && !o.lapsed {
						o.many.lapse(o.Member)
					}
					o.mu.Unlock()
				}
			}()
		}},
		{"a lease is over twice as late", "nothing is adopted before a lease is over", func(o *odd) {
			go func() {
				for !o.ends(50 * time.Millisecond) {
					o.mu.Lock()
					if !o.lapsed {
						o.until = o.said.Seen.Add(2 * lapses)
					}
					o.mu.Unlock()
				}
			}()
		}},
		{"what was settled is handed over", "what is handed over is handed over once", func(o *odd) {
			o.close = func() error {
				o.mu.Lock()
				for _, row := range o.rows {
					if row.state == store.Delivered && o.shows(row) {
						row.state = store.Pending
					}
				}
				o.mu.Unlock()
				return o.Member.Close()
			}
		}},
		{"who closes lets the lease run out first", "what is handed over is handed over once", func(o *odd) {
			o.close = func() error { time.Sleep(1500 * time.Millisecond); return o.Member.Close() }
		}},
		{"what is handed over is everybody's", "what is handed over is handed over once", func(o *odd) {
			o.queues = func() ([]store.Head, error) { return o.outside().Queues(bg) }
			o.due = func(q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
				return o.outside().Due(bg, q, from, until, limit)
			}
		}},
		{"every owner that is gone was the first", "owners that ended without goodbye are counted", func(o *odd) {
			o.follow = func(f store.Follower) {
				o.Member.Follow(hears{Follower: f, pending: func(heads []store.Head) {
					for i := range heads {
						heads[i].Unclean = min(heads[i].Unclean, 1)
					}
					f.Pending(heads)
				}})
			}
		}},
		{"an orderly stop counts as well", "owners that ended without goodbye are counted", func(o *odd) {
			o.close = func() error {
				o.mu.Lock()
				o.many.lapse(o.Member)
				o.mu.Unlock()
				return o.Member.Close()
			}
		}},
		{"who closes lets the lease run out", "who closes hands over at once", func(o *odd) {
			o.close = func() error { o.Kill(); return nil }
		}},
		{"a start says nothing of those before", "what a start finds is not told, and says whose it was", func(o *odd) {
			o.queues = func() ([]store.Head, error) {
				heads, err := o.Member.Queues(bg)
				for i := range heads {
					heads[i].Unclean = 0
				}
				return heads, err
			}
		}},
		{"a stale owner still finds its own", "two owners at once, never", func(o *odd) {
			var had []store.Head
			o.queues = func() ([]store.Head, error) {
				heads, err := o.Member.Queues(bg)
				if err == nil {
					had = heads
				}
				return had, nil
			}
			o.due = func(q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
				items, next, err := o.Member.Due(bg, q, from, until, limit)
				if err != nil {
					return o.outside().Due(bg, q, from, until, limit)
				}
				return items, next, nil
			}
		}},
		{"a slot has two owners", "two owners at once, never", func(o *odd) {
			o.daemons = func() ([]store.Daemon, error) {
				ds, err := o.Member.Daemons(bg)
				if len(ds) > 1 {
					ds[1].Slots = append(slices.Clone(ds[1].Slots), ds[0].Slots...)
				}
				return ds, err
			}
		}},
		{"nothing is serial", "serial destinations are all in one place", func(o *odd) { o.serial = nil }},
		{"all of an event is offered to who accepted it", "serial destinations are all in one place", func(o *odd) {
			o.append = func(now time.Time, batch []*store.Entry) ([]store.Appended, error) {
				out, err := o.Member.Append(bg, now, batch)
				for i := range out {
					out[i].Items = nil
					for _, d := range batch[i].To {
						out[i].Items = append(out[i].Items, store.Item{ID: store.DeliveryID{Day: out[i].ID.Day(), Event: out[i].ID, Dest: d}})
					}
				}
				return out, err
			}
		}},
		{"what is serial depends on who accepts it", "a serial destination moves with its slot", func(o *odd) {
			if o.id == "daemon-1" {
				o.serial = nil
			}
		}},
		{"what is retried stays where it was", "what is retried goes to who asked", func(o *odd) {
			o.move = func(now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
				was := o.rows[ids[0]].slot
				out, err := o.Member.Move(bg, now, c, ids)
				o.rows[ids[0]].slot = was
				return out, err
			}
		}},
		{"a stale owner accepts", "a stale owner changes nothing", func(o *odd) {
			o.append = func(now time.Time, batch []*store.Entry) ([]store.Appended, error) {
				out, err := o.Member.Append(bg, now, batch)
				return evenFenced(out, err, func() ([]store.Appended, error) { return o.outside().Append(bg, now, batch) })
			}
		}},
		{"a stale owner is refused and stored", "a stale owner changes nothing", func(o *odd) {
			o.append = func(now time.Time, batch []*store.Entry) ([]store.Appended, error) {
				out, err := o.Member.Append(bg, now, batch)
				if errors.Is(err, store.ErrFenced) {
					o.outside().Append(bg, now, batch)
				}
				return out, err
			}
		}},
		{"a stale owner settles", "a stale owner changes nothing", func(o *odd) {
			o.settle = func(now time.Time, os []store.Outcome) ([]store.Settled, error) {
				out, err := o.Member.Settle(bg, now, os)
				return evenFenced(out, err, func() ([]store.Settled, error) { return o.outside().Settle(bg, now, os) })
			}
		}},
		{"a stale owner cancels", "a stale owner changes nothing", func(o *odd) {
			o.move = func(now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
				out, err := o.Member.Move(bg, now, c, ids)
				return evenFenced(out, err, func() ([]store.Moved, error) { return o.outside().Move(bg, now, c, ids) })
			}
		}},
		{"a stale owner replays", "a stale owner changes nothing", func(o *odd) {
			o.replay = func(now time.Time, replay uint32, wants []store.Want) ([]store.Moved, error) {
				out, err := o.Member.Replay(bg, now, replay, wants)
				return evenFenced(out, err, func() ([]store.Moved, error) { return o.outside().Replay(bg, now, replay, wants) })
			}
		}},
		{"nobody ends a stale owner", "a stale owner changes nothing", func(o *odd) { o.fatal = nil }},
		{"slots are set free one by one", "a stale owner loses every slot at once", func(o *odd) {
			o.settle = func(now time.Time, os []store.Outcome) ([]store.Settled, error) {
				out, err := o.Member.Settle(bg, now, os)
				return evenFenced(out, err, func() ([]store.Settled, error) {
					o.mu.Lock()
					free := o.many.slots[o.rows[os[0].Item.ID].slot].owner == nil
					o.mu.Unlock()
					if !free {
						return out, err
					}
					return o.outside().Settle(bg, now, os)
				})
			}
		}},
		{"a late renewal comes too late", "a late renewal goes on where nobody has replaced the owner", func(o *odd) {
			late := false
			o.owned = func() bool { late = late || !o.Member.Owned(); return !late }
		}},
		{"attempts begin until the daemon knows better", "no attempt begins once somebody may adopt", func(o *odd) {
			o.owned = func() bool { return true }
		}},
		{"the outcome of a stale owner counts beside the next one's", "of two outcomes one counts", func(o *odd) {
			o.settle = func(now time.Time, os []store.Outcome) ([]store.Settled, error) {
				out, err := o.Member.Settle(bg, now, os)
				return evenFenced(out, err, func() ([]store.Settled, error) { return []store.Settled{{State: store.Delivered}}, nil })
			}
		}},
		{"nobody is told of changes", "what another daemon registers and changes is told", func(o *odd) {
			o.follow = func(f store.Follower) {
				o.Member.Follow(hears{Follower: f, changed: func([]store.Destination) {}})
			}
		}},
		{"changes are told late", "what another daemon registers and changes is told", func(o *odd) {
			o.follow = func(f store.Follower) {
				o.Member.Follow(hears{Follower: f, changed: func(ds []store.Destination) { time.Sleep(3 * time.Second); f.Changed(ds) }})
			}
		}},
		{"a state is read and written whole", "of changes at two daemons none is lost", func(o *odd) {
			o.change = func(id uint32, change func(*store.DestinationState)) (store.DestinationState, uint64, error) {
				ds, _ := o.Destinations(bg)
				s := ds[id-1].State
				change(&s)
				time.Sleep(time.Millisecond)
				return o.Member.ChangeState(bg, id, func(stored *store.DestinationState) { *stored = s })
			}
		}},
		{"everybody has a duty", "one has a duty", func(o *odd) { o.duty = func(string) (bool, error) { return true, nil } }},
		{"a duty is for ever", "a duty ends with the lease", func(o *odd) {
			has := false
			o.duty = func(name string) (bool, error) {
				if !has {
					has, _ = o.Member.Duty(bg, name)
				}
				return has, nil
			}
		}},
		{"every daemon is the only one", "shares of those alive", func(o *odd) { o.share = func() (int, int) { return 0, 1 } }},
		{"shares are those of the start", "shares of those alive", func(o *odd) {
			most := 0
			o.share = func() (int, int) { i, n := o.Member.Share(); most = max(most, n); return i, most }
		}},
		{"who was killed is forgotten", "daemons are listed", func(o *odd) {
			o.daemons = func() ([]store.Daemon, error) {
				ds, err := o.Member.Daemons(bg)
				return slices.DeleteFunc(ds, func(d store.Daemon) bool { return !d.Alive }), err
			}
		}},
		{"what a daemon says of itself is lost", "daemons are listed", func(o *odd) {
			o.announce = func(d store.Daemon) error { d.Files = ""; return o.Member.Announce(bg, d) }
		}},
		{"keys are each daemon's own", "a key is known to all", func(o *odd) {
			o.append = func(now time.Time, batch []*store.Entry) ([]store.Appended, error) {
				for _, e := range batch {
					e.IdempotencyKey += o.id
				}
				return o.Member.Append(bg, now, batch)
			}
		}},
		{"counters are each daemon's own", "a delivery is shown to who accepted it alone", func(o *odd) {
			o.counts = func(dest uint32) store.Counts {
				return store.Counts{Accepted: o.OwnPending(dest), Pending: o.OwnPending(dest)}
			}
		}},
		{"whoever changes a delivery gets it to make", "what is retried goes to who asked", func(o *odd) {
			o.settle = func(now time.Time, os []store.Outcome) ([]store.Settled, error) {
				out, err := o.Member.Settle(bg, now, os)
				for i := range out {
					if out[i].State == store.Pending {
						out[i].Item = o.rows[os[i].Item.ID].Item
					}
				}
				return out, err
			}
		}},
		{"all say that they are who asks", "daemons are listed", func(o *odd) {
			o.daemons = func() ([]store.Daemon, error) {
				ds, err := o.Member.Daemons(bg)
				for i := range ds {
					ds[i].Self = true
				}
				return ds, err
			}
		}},
		{"an outcome counts whatever happened elsewhere", "what is cancelled elsewhere stays so", func(o *odd) {
			o.settle = func(now time.Time, os []store.Outcome) ([]store.Settled, error) {
				for i := range os {
					os[i].Item.Version = o.rows[os[i].Item.ID].Version
				}
				return o.Member.Settle(bg, now, os)
			}
		}},
	}
}

// TestSharedSuiteFindsBrokenStores breaks one rule at a time, and wants the case that names it to fail.
func TestSharedSuiteFindsBrokenStores(t *testing.T) {
	caught := map[string]bool{}
	for _, m := range sharedMutants() {
		caught[m.caught] = true
		t.Run(strings.ReplaceAll(m.rule, " ", "_"), func(t *testing.T) {
			h := manyHarness(func(member *Member) store.Shared {
				o := &odd{Member: member}
				m.breaks(o)
				return o
			})
			cases := sharedCases()
			i := slices.IndexFunc(cases, func(c sharedScenario) bool { return c.name == m.caught })
			if i < 0 {
				t.Fatalf("there is no case %q", m.caught)
			}
			found := complaints(t, func(t testing.TB) { cases[i].play(t, h) })
			if len(found) == 0 {
				t.Fatalf("%q passes on a store where %s", m.caught, m.rule)
			}
			t.Logf("%.200s", found[0])
		})
	}
	for _, c := range sharedCases() {
		if !caught[c.name] {
			t.Errorf("no broken store shows that %q finds anything", c.name)
		}
	}
}
