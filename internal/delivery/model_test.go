package delivery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// model drives a scheduler with random operations from a seed, and accounts
// for every delivery in the end.
type model struct {
	*rig
	rand    *rand.Rand // of the operations
	luck    *rand.Rand // of the far sides and the disk, under mu
	ids     []uint32
	names   map[uint32]string
	mood    map[uint32]int
	opened  []*far
	all     []store.Item
	crashes bool // and faults of the store: deliveries may arrive twice
	steps   bool // of the wall clock
	slow    bool // the store answers late, offers come late, changes run beside each other
	aside   sync.WaitGroup
	faults  atomic.Int64 // until when
	byHand  map[string]bool

	mu       sync.Mutex
	inFlight map[string]int
	accepted map[string]int
}

const (
	healthyMood = iota
	failingMood
	hangingMood
	misconfiguredMood
	throttlingMood
	mixedMood
	panickingMood
	ownFaultMood
	moods
)

func (m *model) answer(id uint32) func(context.Context, destination.Delivery) error {
	return func(ctx context.Context, d destination.Delivery) (err error) {
		m.mu.Lock()
		if m.inFlight[d.ID]++; m.inFlight[d.ID] > 1 {
			m.t.Errorf("%s is tried twice at once", d.ID)
		}
		mood, chance, took := m.mood[id], m.luck.IntN(10), time.Duration(m.luck.IntN(3000))*time.Millisecond
		m.mu.Unlock()
		defer func() {
			m.mu.Lock()
			m.inFlight[d.ID]--
			if err == nil && mood != panickingMood {
				m.accepted[d.ID]++
			}
			m.mu.Unlock()
		}()
		m.notBeforeDue(d)
		if mood == mixedMood {
			mood = []int{healthyMood, healthyMood, healthyMood, failingMood, throttlingMood, ownFaultMood, healthyMood, failingMood, healthyMood, hangingMood}[chance]
		}
		switch mood {
		case hangingMood:
			return hang(ctx, d)
		case panickingMood:
			panic("mood")
		}
		if err := takes(took)(ctx, d); err != nil {
			return err
		}
		switch mood {
		case failingMood:
			if chance == 0 {
				return destination.Reject(errors.New("never"))
			}
			return errors.New("no")
		case misconfiguredMood:
			return destination.Misconfigure(errors.New("no rights"))
		case throttlingMood:
			return destination.Throttle(errors.New("busy"), time.Duration(chance)*10*time.Second)
		case ownFaultMood:
			return fmt.Errorf("payloads: %w", destination.ErrEngine)
		}
		return nil
	}
}

// notBeforeDue: nothing is tried before its due.
func (m *model) notBeforeDue(d destination.Delivery) {
	if m.steps {
		return
	}
	id, err := store.ParseDeliveryID(d.ID)
	if err != nil {
		m.t.Error(err)
		return
	}
	rec, _, err := m.store.Delivery(context.Background(), id)
	if err == nil && rec.State == store.Pending && rec.Due > m.now().UnixNano() {
		m.t.Errorf("%s tried %v before its due", d.ID, time.Duration(rec.Due-m.now().UnixNano()))
	}
}

func (m *model) settings(id, version uint32) *Settings {
	f := &far{name: fmt.Sprintf("%s.%d", m.names[id], version), rig: m.rig, answer: m.answer(id)}
	m.rig.mu.Lock()
	m.opened = append(m.opened, f)
	m.rig.mu.Unlock()
	return &Settings{
		Hash: uint64(id)<<32 | uint64(version), Destination: f, Timeout: 10 * time.Second, MaxInFlight: 1 << (id % 4),
		Frozen: id%2 == 0, Schedule: retry.Schedule{Waits: []time.Duration{5 * time.Second, 20 * time.Second, time.Minute, 3 * time.Minute}, Jitter: 0.1},
	}
}

func (m *model) reloadTo(id uint32, version uint32) {
	m.targets[id].Current = m.settings(id, version)
	m.targets[id].Removed = false
	for v := range version + 1 { // of older ones too
		hash := uint64(id)<<32 | uint64(v)
		m.rig.mu.Lock()
		m.frozen[hash] = func() *Settings { return m.settings(id, v) }
		m.rig.mu.Unlock()
	}
}

func (m *model) applyOnce() {
	m.apply()
	for _, t := range m.targets {
		if t.Current != nil {
			c := *t.Current
			c.Destination = nil // the scheduler has it
			t.Current = &c
		}
	}
}

func (m *model) boot() {
	m.build()
	dests, err := m.store.Destinations(context.Background())
	if err != nil {
		m.t.Fatal(err)
	}
	for _, d := range dests {
		t := m.targets[d.ID]
		t.State = d.State
		if !t.Removed {
			t.Current = m.settings(d.ID, uint32(t.Current.Hash))
		}
	}
	m.applyOnce()
	if err := m.s.Start(context.Background()); err != nil {
		m.t.Fatal(err)
	}
}

func (m *model) some() store.Item { return m.all[m.rand.IntN(len(m.all))] }

func (m *model) step() {
	ctx := context.Background()
	id := m.ids[m.rand.IntN(len(m.ids))]
	t := m.targets[id]
	switch n := m.rand.IntN(100); {
	case n < 40:
		for range 1 + m.rand.IntN(12)*m.rand.IntN(6) {
			var to []uint32
			for _, id := range m.ids {
				if m.rand.IntN(3) == 0 {
					to = append(to, id)
				}
			}
			m.all = append(m.all, m.take(1+m.rand.IntN(3), 2+m.rand.IntN(1000)*m.rand.IntN(3), to...)...)
		}
	case n < 55:
		time.Sleep(time.Duration(m.rand.IntN(60_000)) * time.Millisecond)
	case n < 57:
		time.Sleep(time.Duration(m.rand.IntN(60)) * time.Minute)
	case n < 67:
		m.mu.Lock()
		m.mood[id] = m.rand.IntN(moods)
		m.mu.Unlock()
	case n < 70:
		if err := m.s.Pause(ctx, id, "by hand"); err != nil && m.faults.Load() == 0 {
			m.t.Error(err)
		}
	case n < 75:
		if err := m.s.Resume(ctx, id); err != nil && m.faults.Load() == 0 {
			m.t.Error(err)
		}
	case n < 80 && !t.Removed:
		m.reloadTo(id, uint32(t.Current.Hash)+1)
		m.applyOnce()
	case n < 82 && !t.Removed:
		m.reloadTo(id, max(1, uint32(t.Current.Hash))-1)
		m.applyOnce()
	case n < 84:
		t.Disabled = !t.Disabled
		m.applyOnce()
	case n < 86:
		if t.Removed {
			m.reloadTo(id, 1)
		} else {
			t.Removed, t.Current = true, nil
		}
		m.applyOnce()
	case n < 88:
		if _, err := m.s.Rebind(ctx, id); err != nil && m.faults.Load() == 0 {
			m.t.Error(err)
		}
	case n < 90:
		m.rig.mu.Lock()
		delete(m.frozen, uint64(id)<<32|uint64(m.rand.IntN(3)))
		m.rig.mu.Unlock()
	case n < 94 && len(m.all) > 0:
		for range m.rand.IntN(50) {
			m.change(store.Cancel, m.some())
		}
	case n < 97 && len(m.all) > 0:
		for range m.rand.IntN(50) {
			it := m.some()
			m.byHand[it.ID.String()] = true
			m.change(store.Retry, it)
		}
	case n < 98:
		m.aside.Wait()
		m.stop()
		m.boot()
	case n < 99 && m.crashes:
		m.aside.Wait()
		m.crash()
		m.open()
		m.boot()
	case n < 100 && m.steps:
		m.skew.Add(int64(m.rand.IntN(7200)-3600) * int64(time.Second))
	}
	if m.crashes && m.rand.IntN(50) == 0 {
		m.faults.Store(int64(m.since()) + int64(m.rand.IntN(120))*int64(time.Second))
	}
}

func (m *model) fault() error {
	if m.faults.Load() > int64(m.since()) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.luck.IntN(2) == 0 {
			return errors.New("disk")
		}
	}
	return nil
}

// take accepts events; the offer comes late if the model is slow.
func (m *model) take(n, size int, to ...uint32) (items []store.Item) {
	if !m.slow {
		return m.acceptSized(n, size, to...)
	}
	stored := m.storeSized(n, size, to...)
	s := m.s
	m.aside.Go(func() {
		m.nap()
		for _, o := range stored {
			s.Offer(o.event, o.items)
		}
	})
	for _, o := range stored {
		items = append(items, o.items...)
	}
	return items
}

func (m *model) change(c store.Change, it store.Item) {
	if !m.slow {
		m.move(c, it)
		return
	}
	m.aside.Go(func() {
		m.nap()
		m.move(c, it)
	})
}

func (m *model) nap() {
	m.mu.Lock()
	d := time.Duration(m.luck.IntN(4)*m.luck.IntN(200)) * time.Millisecond
	m.mu.Unlock()
	time.Sleep(d)
}

// sluggish is a store whose answers come late: what memory learns is old.
type sluggish struct {
	Store
	nap func()
}

func (s *sluggish) Due(ctx context.Context, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
	defer s.nap()
	return s.Store.Due(ctx, q, from, until, limit)
}

func (s *sluggish) Settle(ctx context.Context, now time.Time, o []store.Outcome) ([]store.Settled, error) {
	defer s.nap()
	return s.Store.Settle(ctx, now, o)
}

func (s *sluggish) Move(ctx context.Context, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
	defer s.nap()
	return s.Store.Move(ctx, now, c, ids)
}

func TestRandomOperations(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { runModel(t, seed) })
		})
	}
}

func runModel(t *testing.T, seed uint64) {
	m := &model{
		rig: newRig(t), rand: rand.New(rand.NewPCG(seed, 1)), luck: rand.New(rand.NewPCG(seed, 2)), names: map[uint32]string{}, mood: map[uint32]int{},
		crashes: seed%4 == 1, steps: seed%4 == 2, slow: seed%4 >= 3, byHand: map[string]bool{}, inFlight: map[string]int{}, accepted: map[string]int{},
	}
	m.mem = make([]byte, 4<<10)
	m.limits = Limits{InFlight: 8, Slow: 4, Bytes: 3000, CacheBytes: 2000 + 40*bodyCost, Window: 200}
	if seed >= 4 {
		m.limits.PerDeveloper = 5
	}
	if m.slow {
		m.wrap = func(s Store) Store { return &sluggish{Store: s, nap: m.nap} }
	}
	if m.crashes {
		m.wrap = func(s Store) Store {
			return &faulty{Store: s, settle: m.fault, due: m.fault, body: m.fault, state: m.fault}
		}
	}
	for i := range 6 {
		id, _ := m.add(fmt.Sprint("dev", i%3), fmt.Sprint("d", i))
		m.ids, m.names[id] = append(m.ids, id), fmt.Sprint("d", i)
		m.reloadTo(id, 1)
	}
	m.boot()
	for range 200 {
		m.step()
	}
	m.aside.Wait()
	// Everything is well again: everything pending goes out.
	m.faults.Store(0)
	for _, id := range m.ids {
		m.mu.Lock()
		m.mood[id] = healthyMood
		m.mu.Unlock()
		if m.targets[id].Removed {
			m.reloadTo(id, 1)
		}
		m.targets[id].Disabled = false
	}
	m.applyOnce()
	for _, id := range m.ids {
		if err := m.s.Resume(context.Background(), id); err != nil {
			t.Error(err)
		}
	}
	pass(8 * time.Hour)
	m.account()
	m.close()
	for _, f := range m.opened {
		if len(f.seen()) > 0 && f.closes() != 1 {
			t.Errorf("%s was closed %d times", f.name, f.closes())
		}
	}
	if t.Failed() {
		t.Log(m.log.String()[max(0, m.log.Len()-4000):])
	}
}
