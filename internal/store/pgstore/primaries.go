package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/keys"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// More is a further primary.
type More struct {
	Name string
	URLs []secret.Value // of one database, to be tried in turn
}

// Primaries is a store of several databases, each with slots of its own. An event lies in one of
// them with its deliveries, their attempts and counters, and its id names which: its last byte is
// 0 at home, else the number of a further primary. Everything that there must be one of lies in
// the home database alone: destinations with their ids and states, settings, documents, the
// trail, values, duties, and every idempotency key.
//
// An event without a key lies in any database. One with a key that does not lie at home is stored
// in two commits. The first claims the key at home for its id, the second stores the event and
// the key under that id. Whoever comes with the key again finds the claim, and hands the event to
// the same database under the same id: there it is known, or it is stored now. So adding a
// database moves no key, and a commit that was lost in between loses nothing.
//
// A daemon is one process on all of them. Where it loses the lease at home it renews none.
type Primaries struct {
	atHome
	home *Store
	more []*primary
	opts Options
	log  *slog.Logger
	id   string // of the store

	// patience is how long the engine waits for a further primary that stopped answering.
	patience time.Duration

	mu   sync.Mutex
	ids  keys.Clock
	turn atomic.Uint64

	telling sync.Mutex // held while f is called
	f       store.Follower

	closed sync.Once
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

// atHome is what the home database does for all.
type atHome interface {
	store.Registry
	store.Documents
	store.Trail
	store.Swapper
	Duty(ctx context.Context, name string) (bool, error)
	Share() (i, n int)
	Announce(ctx context.Context, d store.Daemon) error
	Number(ctx context.Context, name string, above uint32) (uint32, error)
	Backup(ctx context.Context, dir string) error
}

var _ store.Shared = (*Primaries)(nil)

// OpenPrimaries opens a store of several databases, each of which Migrate has prepared; o has the
// URLs of the home database. A further primary that has events already need not be reachable.
func OpenPrimaries(ctx context.Context, o Options, more []More) (_ *Primaries, err error) {
	names := make([]string, len(more))
	for i, m := range more {
		names[i] = m.Name
	}
	o.part = &part{names: names}
	home, err := Open(ctx, o)
	if err != nil {
		return nil, err
	}
	p := &Primaries{atHome: home, home: home, opts: home.opts, log: home.log, patience: cmp.Or(o.patience, 5*time.Second)}
	p.ids.Rand = home.opts.Rand
	running, stop := context.WithCancel(context.Background())
	p.stop = stop
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	all, err := home.enlistParts(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	p.id = all.Store
	home.Follow(relay{p})
	p.seed(home)
	for _, m := range more {
		known := all.of(m.Name)
		one := &primary{p: p, name: m.Name, urls: m.URLs, number: known.Number, missed: true}
		one.active.Store(known.Active)
		p.more = append(p.more, one)
		if err := one.open(ctx); err != nil {
			err = fmt.Errorf("open the primary %s: %w", m.Name, err)
			if !known.Active {
				return nil, err
			}
			p.log.Error("a further primary cannot be opened; it is tried again", "error", err)
		}
		one.look(ctx)
	}
	for _, one := range p.more {
		p.wg.Go(func() { one.watch(running) })
	}
	return p, nil
}

// seed makes every later id greater than those that a database has.
func (p *Primaries) seed(s *Store) {
	s.groups.mu.Lock()
	newest := s.groups.ids.Newest()
	s.groups.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ids.Seed(newest)
}

// relay passes on what the home database tells; of a further primary it is told what is pending.
type relay struct{ p *Primaries }

// Pending implements store.Follower.
func (r relay) Pending(heads []store.Head) { r.p.tell(heads) }

// Changed implements store.Follower.
func (r relay) Changed(ds []store.Destination) {
	r.p.telling.Lock()
	defer r.p.telling.Unlock()
	if r.p.f != nil {
		r.p.f.Changed(ds)
	}
}

func (p *Primaries) tell(heads []store.Head) {
	p.telling.Lock()
	defer p.telling.Unlock()
	if p.f != nil && len(heads) > 0 {
		p.f.Pending(heads)
	}
}

// Follow tells f what happens elsewhere: see store.Shared.
func (p *Primaries) Follow(f store.Follower) {
	p.telling.Lock()
	defer p.telling.Unlock()
	p.f = f
}

// Close closes every database, the home database last: it says which daemons there are.
func (p *Primaries) Close() (err error) {
	p.closed.Do(func() {
		p.stop()
		for _, m := range p.more {
			err = errors.Join(err, m.close())
		}
		p.wg.Wait()
		err = errors.Join(err, p.home.Close())
	})
	return err
}

// of is the database that an id names; nil: the home database. Before there were several, the
// last byte of an id was random: what the database that it names does not have may lie at home.
func (p *Primaries) of(id event.ID) *primary {
	for _, m := range p.more {
		if m.number == id[15] {
			return m
		}
	}
	return nil
}

// target is where new events go: to one database after the other, of those that take some.
func (p *Primaries) target() *primary {
	if !p.home.Owned() {
		return nil
	}
	n := uint64(len(p.more) + 1)
	for range n {
		at := p.turn.Add(1) % n
		if at == 0 {
			return nil
		}
		m := p.more[at-1]
		if s, err := m.up(); err == nil && m.active.Load() && s.Ready() == nil && s.Owned() {
			return m
		}
	}
	return nil
}

// Append makes the events durable: see store.Queue. The events of one call go to one database, but
// for those whose keys are claimed for another. Where that cannot be reached the call fails, though
// others of the batch may be stored.
func (p *Primaries) Append(ctx context.Context, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
	if err := p.Ready(); err != nil {
		return nil, err
	}
	a := appending{p: p, now: now, batch: batch, out: make([]store.Appended, len(batch)), rest: map[*primary][]int{}}
	a.place(p.target())
	if err := a.claim(ctx); err != nil {
		return nil, err
	}
	if err := a.atHome(ctx); err != nil {
		return nil, err
	}
	for m, which := range a.rest {
		slices.Sort(which)
		s, err := m.writable()
		if err != nil {
			return nil, err
		}
		got, err := s.appendAs(ctx, now, pick(batch, which), pick(a.as, which), false)
		if err != nil {
			return nil, err
		}
		for k, i := range which {
			a.out[i] = got[k]
		}
	}
	return a.out, nil
}

// appending is one batch on its way.
type appending struct {
	p     *Primaries
	now   time.Time
	batch []*store.Entry
	as    []named
	out   []store.Appended

	home, claims []int
	rest         map[*primary][]int
}

// place says where each entry goes, and gives it an id. A key that is the id of an event goes
// where that lies: there it is known.
func (a *appending) place(to *primary) {
	at := make([]*primary, len(a.batch))
	for i, e := range a.batch {
		at[i] = to
		if id, err := event.ParseID(e.IdempotencyKey); err == nil && a.p.of(id) != nil {
			at[i] = a.p.of(id)
		}
		switch {
		case at[i] == nil:
			a.home = append(a.home, i)
		case e.IdempotencyKey != "":
			a.claims = append(a.claims, i)
		default:
			a.rest[at[i]] = append(a.rest[at[i]], i)
		}
	}
	a.as = a.p.names(a.now, at)
}

// names gives out ids, whose last byte names the databases.
func (p *Primaries) names(now time.Time, at []*primary) []named {
	as := make([]named, len(at))
	now = now.Add(p.home.lease.clocks.offset())
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, m := range at {
		as[i].id, as[i].accepted = p.ids.Next(now)
		if as[i].id[15] = 0; m != nil {
			as[i].id[15] = m.number
		}
	}
	return as
}

// claim claims the keys of events that go to further primaries.
func (a *appending) claim(ctx context.Context) error {
	if len(a.claims) == 0 {
		return nil
	}
	got, err := a.p.home.appendAs(ctx, a.now, pick(a.batch, a.claims), pick(a.as, a.claims), true)
	if err != nil {
		return err
	}
	for k, i := range a.claims {
		if err := a.claimed(i, got[k]); err != nil {
			return err
		}
	}
	return nil
}

// atHome stores what goes to the home database.
func (a *appending) atHome(ctx context.Context) error {
	if len(a.home) == 0 {
		return nil
	}
	got, err := a.p.home.appendAs(ctx, a.now, pick(a.batch, a.home), pick(a.as, a.home), false)
	if err != nil {
		return err
	}
	for k, i := range a.home {
		if err := a.claimed(i, got[k]); err != nil {
			return err
		}
	}
	return nil
}

// claimed sends on what the home database knows as a claim alone. Of a day whose bodies are gone
// nothing is stored any more.
func (a *appending) claimed(i int, got store.Appended) error {
	if a.out[i] = got; got.Err != nil || got.Fanout >= 0 {
		return nil
	}
	m := a.p.of(got.ID)
	if m == nil {
		return &store.Unavailable{Reason: "an idempotency key was used for an event in a primary that the settings do not name", After: time.Minute}
	}
	if got.Duplicate && int64(got.ID.Day()) < a.p.home.kept.bodies.Load() {
		a.out[i].Fanout = ^got.Fanout
		return nil
	}
	if got.Duplicate {
		a.as[i] = named{got.ID, got.ID.Time()}
	}
	a.rest[m] = append(a.rest[m], i)
	return nil
}

func pick[T any](all []T, which []int) []T {
	if len(which) == len(all) {
		return all
	}
	out := make([]T, len(which))
	for k, i := range which {
		out[k] = all[i]
	}
	return out
}

// Daemons lists who works on the store: see store.Shared. Slots of further primaries are numbered
// behind those at home.
func (p *Primaries) Daemons(ctx context.Context) ([]store.Daemon, error) {
	all, err := p.home.Daemons(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range p.more {
		s, err := m.up()
		if err != nil {
			continue // its slots are not known now
		}
		there, err := s.Daemons(ctx)
		if err != nil {
			p.log.Debug("the daemons of a further primary cannot be listed", "primary", m.name, "error", err)
			continue
		}
		for _, d := range there {
			if i := slices.IndexFunc(all, func(o store.Daemon) bool { return o.ID == d.ID }); i >= 0 {
				for _, slot := range d.Slots {
					all[i].Slots = append(all[i].Slots, int(m.number)*slotsOfPart+slot)
				}
			}
		}
	}
	return all, nil
}

// slotsOfPart is how far the numbers of slots of two databases lie apart where they are shown.
const slotsOfPart = 100_000
