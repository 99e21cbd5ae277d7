package replay

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func TestReplayMakesNewDeliveriesOfTheSameEvents(t *testing.T) {
	inBubble(t, func(r *rig) {
		ids := r.dead(30, "acme/app")
		began := time.Now()
		p := r.replayed(acme(), Counts{Found: 30, Made: 30}) // dead unless another state is named
		hits := r.fars[r.ids["acme/app"]].seen()
		seen := map[string]bool{}
		for _, h := range hits {
			e, err := r.store.EventRecord(r.ctx, h.event)
			r.must(err)
			did, err := store.ParseDeliveryID(h.id)
			if err != nil || did.Replay != p.ID || did.Event != h.event || seen[h.id] {
				r.Errorf("trace id %q of event %v in replay %d: %v", h.id, h.event, p.ID, err)
			}
			seen[h.id] = true
			if !h.ordering.Equal(e.Event.Ordering) || h.ref != e.Event.Reference || !h.ordering.Before(began) {
				r.Errorf("sent with %v %q, accepted with %v %q", h.ordering, h.ref, e.Event.Ordering, e.Event.Reference)
			}
		}
		if len(hits) != len(ids) {
			r.Errorf("%d attempts, want %d", len(hits), len(ids))
		}
		// The same replay again finds nothing: what was delivered since is no longer dead.
		r.replayed(acme(), Counts{})
		r.got("acme/app")
	}, "acme/app", "acme/db")
}

// scene is events of some types and users, most of them dead at acme/app and
// acme/db, one at globex/app.
type scene struct {
	by                          map[string][]event.ID // type, user or "all"
	foreign, nobody, late, fine event.ID
}

func (r *rig) scene() scene {
	r.Helper()
	app, db, out := "acme/app", "acme/db", "globex/app"
	for _, f := range r.fars {
		f.set(true, 0)
	}
	s := scene{by: map[string][]event.ID{}}
	for _, who := range []struct{ typ, user string }{{"sleep", "ann"}, {"sleep", "bob"}, {"daily", "ann"}, {"body", "cy"}} {
		id := r.send("acme", who.typ, who.user, app, db)
		for _, k := range []string{who.typ, who.user, "all"} {
			s.by[k] = append(s.by[k], id)
		}
		pass(time.Hour)
	}
	s.foreign = r.send("globex", "sleep", "ann", out)
	s.nobody = r.send("acme", "sleep", "dora")
	s.late = r.send("acme", "sleep", "dora", db)
	pass(time.Hour)
	for _, f := range r.fars {
		f.set(false, 0)
	}
	s.fine = r.send("acme", "sleep", "eve", app)
	pass(time.Minute)
	for _, f := range r.fars {
		f.seen()
	}
	return s
}

// Where an event has several deliveries to a destination, the one that changed last counts, once.
func TestTheLastDeliveryCounts(t *testing.T) {
	inBubble(t, func(r *rig) {
		ids := r.dead(5, "acme/app")
		f := r.fars[r.ids["acme/app"]]
		f.set(true, 0)
		for range 3 { // each makes one more dead delivery of each event, on another day
			r.replayed(acme("dead"), Counts{Found: 5, Made: 5})
			pass(20 * time.Hour)
		}
		f.set(false, 0)
		f.seen()
		first := store.DeliveryID{Day: ids[0].Day(), Event: ids[0], Dest: r.ids["acme/app"]}
		if _, err := r.sched.Move(r.ctx, time.Now(), store.Retry, []store.DeliveryID{first}); err != nil {
			r.Fatal(err)
		}
		pass(time.Minute)
		r.got("acme/app", ids[0]) // by hand, the first of its deliveries
		q := acme("dead")
		q.DryRun = true
		r.replayed(q, Counts{Found: 4})
		r.replayed(acme("dead"), Counts{Found: 4, Made: 4})
		r.got("acme/app", ids[1:]...)
		r.replayed(acme("dead"), Counts{})
		r.replayed(acme("delivered"), Counts{Found: 5, Made: 5})
	}, "acme/app")
}

func TestFilters(t *testing.T) {
	for _, c := range []struct {
		name string
		want func(s *scene) (f Filter, app, db, out []event.ID)
	}{
		{"a destination", func(s *scene) (Filter, []event.ID, []event.ID, []event.ID) {
			return Filter{Developer: "acme", Destination: "app"}, s.by["all"], nil, nil
		}},
		{"a developer", func(s *scene) (Filter, []event.ID, []event.ID, []event.ID) {
			return Filter{Developer: "acme"}, s.by["all"], append(s.by["all"], s.late), nil
		}},
		{"everybody", func(s *scene) (Filter, []event.ID, []event.ID, []event.ID) {
			return Filter{}, s.by["all"], append(s.by["all"], s.late), []event.ID{s.foreign}
		}},
		{"types", func(s *scene) (Filter, []event.ID, []event.ID, []event.ID) {
			return Filter{Developer: "acme", Destination: "app", Types: []string{"daily", "body"}}, append(s.by["daily"], s.by["body"]...), nil, nil
		}},
		{"a user", func(s *scene) (Filter, []event.ID, []event.ID, []event.ID) {
			return Filter{Developer: "acme", Destination: "app", Users: []string{"ann"}}, s.by["ann"], nil, nil
		}},
		{"users", func(s *scene) (Filter, []event.ID, []event.ID, []event.ID) {
			return Filter{Developer: "acme", Users: []string{"bob", "nobody", "cy"}}, append(s.by["bob"], s.by["cy"]...), append(s.by["bob"], s.by["cy"]...), nil
		}},
		{"a user and a type", func(s *scene) (Filter, []event.ID, []event.ID, []event.ID) {
			return Filter{Developer: "acme", Destination: "app", Users: []string{"ann"}, Types: []string{"daily"}}, s.by["daily"], nil, nil
		}},
		{"a user of everybody", func(s *scene) (Filter, []event.ID, []event.ID, []event.ID) {
			return Filter{Users: []string{"ann"}}, s.by["ann"], s.by["ann"], []event.ID{s.foreign}
		}},
		{"times", func(s *scene) (Filter, []event.ID, []event.ID, []event.ID) {
			return Filter{Developer: "acme", Destination: "app", Since: s.by["all"][1].Time(), Until: s.by["all"][3].Time()}, s.by["all"][1:3], nil, nil
		}},
		{"unmatched", func(s *scene) (Filter, []event.ID, []event.ID, []event.ID) {
			return Filter{Developer: "acme", Destination: "app", States: []string{Unmatched}}, []event.ID{s.nobody, s.late}, nil, nil
		}},
		{"unmatched of a developer", func(s *scene) (Filter, []event.ID, []event.ID, []event.ID) {
			return Filter{Developer: "acme", States: []string{Unmatched}}, []event.ID{s.nobody, s.late}, []event.ID{s.nobody, s.fine}, nil
		}},
		{"delivered", func(s *scene) (Filter, []event.ID, []event.ID, []event.ID) {
			return Filter{Developer: "acme", Destination: "app", States: []string{"delivered"}}, []event.ID{s.fine}, nil, nil
		}},
		{"an event", func(s *scene) (Filter, []event.ID, []event.ID, []event.ID) { // whose neighbour is of the same type and user
			return Filter{Developer: "acme", Destination: "app", Events: []event.ID{s.by["all"][0]}}, s.by["all"][:1], nil, nil
		}},
		{"events of everybody", func(s *scene) (Filter, []event.ID, []event.ID, []event.ID) { // one stands there twice
			ids := []event.ID{s.by["all"][1], s.foreign, s.by["all"][1], s.fine}
			return Filter{Events: ids}, s.by["all"][1:2], s.by["all"][1:2], []event.ID{s.foreign}
		}},
		{"events of one developer", func(s *scene) (Filter, []event.ID, []event.ID, []event.ID) {
			return Filter{Developer: "acme", Events: []event.ID{s.foreign, s.nobody}, States: []string{"dead", Unmatched}}, []event.ID{s.nobody}, []event.ID{s.nobody}, nil
		}},
		{"events, and what else the filter says", func(s *scene) (Filter, []event.ID, []event.ID, []event.ID) {
			return Filter{Developer: "acme", Destination: "app", Events: s.by["all"], Users: []string{"ann"}, Types: []string{"daily"}, Since: s.by["all"][1].Time()}, s.by["daily"], nil, nil
		}},
		{"cancelled", func(s *scene) (Filter, []event.ID, []event.ID, []event.ID) {
			return Filter{Developer: "acme", Destination: "app", States: []string{"cancelled"}}, nil, nil, nil
		}},
		{"every state", func(s *scene) (Filter, []event.ID, []event.ID, []event.ID) {
			return Filter{Developer: "acme", Destination: "app", States: []string{"dead", "delivered", "cancelled", Unmatched}},
				append(s.by["all"], s.nobody, s.late, s.fine), nil, nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				s := r.scene()
				f, app, db, out := c.want(&s)
				n := int64(len(app) + len(db) + len(out))
				r.replayed(Request{Filter: f, DryRun: true}, Counts{Found: n})
				for dest := range r.ids {
					r.got(dest)
				}
				r.replayed(Request{Filter: f}, Counts{Found: n, Made: n})
				r.got("acme/app", app...)
				r.got("acme/db", db...)
				r.got("globex/app", out...)
			}, "acme/app", "acme/db", "globex/app")
		})
	}
}

// A replay sends what a destination wants now. A filter that names types and one destination
// sends those.
func TestSubscriptions(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.destination("acme/sleep", func(typ string) bool { return typ == "sleep" })
		r.apply()
		r.fars[r.ids["acme/sleep"]].set(false, 0)
		a, b := r.send("acme", "sleep", "u"), r.send("acme", "daily", "u")
		pass(time.Second)
		q := func(dest string, types ...string) Request {
			return Request{Filter: Filter{Developer: "acme", Destination: dest, Types: types, States: []string{Unmatched}}, DryRun: true}
		}
		r.replayed(q("sleep"), Counts{Found: 1})
		byID := q("sleep")
		byID.Events = []event.ID{b}
		r.replayed(byID, Counts{Found: 1}) // whoever names an event and a destination means just that
		r.replayed(q("sleep", "daily"), Counts{Found: 1})
		r.replayed(q(""), Counts{Found: 3})
		r.replayed(q("", "daily"), Counts{Found: 1})
		real := q("", "daily", "sleep")
		real.DryRun = false
		r.replayed(real, Counts{Found: 3, Made: 3})
		r.got("acme/app", a, b)
		r.got("acme/sleep", a)
		r.replayed(real, Counts{})
	}, "acme/app")
}

// Counts say why deliveries were not made, in a dry run too.
func TestWhatIsLeftOut(t *testing.T) {
	inBubble(t, func(r *rig) {
		ids := r.dead(6, "acme/app")
		first, err := r.store.Replay(r.ctx, time.Now(), 99, []store.Want{{Event: ids[0], Day: ids[0].Day(), Dest: r.ids["acme/app"], Due: time.Now().Add(24 * time.Hour).UnixNano()}})
		r.must(err)
		r.sched.Moved(first)
		if _, err := r.store.Erase(r.ctx, time.Now(), store.Erasure{Developer: "acme", User: "user-1"}, r.sched.Moved); err != nil {
			r.Fatal(err)
		}
		q := acme("dead")
		q.DryRun = true
		r.replayed(q, Counts{Found: 5, Gone: 2}) // one is pending: it is not dead
		q.DryRun = false
		r.replayed(q, Counts{Found: 5, Made: 3, Gone: 2})
		r.got("acme/app", ids[2], ids[3], ids[5])
		pass(24 * time.Hour)
		r.got("acme/app", ids[0])
	}, "acme/app")
}

func TestRequests(t *testing.T) {
	inBubble(t, func(r *rig) {
		now := time.Now()
		for name, c := range map[string]struct {
			q    Request
			want error
			text string
		}{
			"another developer":   {Request{Filter: Filter{Developer: "initech"}}, ErrUnknown, ""},
			"another destination": {Request{Filter: Filter{Developer: "acme", Destination: "db"}}, ErrUnknown, ""},
			"no developer":        {Request{Filter: Filter{Destination: "app"}}, ErrInvalid, "needs its developer"},
			"a state":             {acme("pending"), ErrInvalid, `"pending"`},
			"a rate":              {Request{Rate: -1}, ErrInvalid, "rate"},
			"a high rate":         {Request{Rate: MaxRate + 1}, ErrInvalid, "rate"},
			"no time":             {Request{Filter: Filter{Since: now, Until: now}}, ErrInvalid, "since"},
			"an empty user":       {Request{Filter: Filter{Users: []string{""}}}, ErrInvalid, "name"},
			"many types":          {Request{Filter: Filter{Types: slices.Repeat([]string{"t"}, 1001)}}, ErrInvalid, "at most"},
		} {
			if p, err := r.run.Create(r.ctx, c.q); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				r.Errorf("%s: %+v, %v", name, p, err)
			}
		}
		if n := len(r.run.List()); n != 0 {
			r.Errorf("%d replays were made of requests that were refused", n)
		}
		if _, err := r.run.Get(1); !errors.Is(err, store.ErrNotFound) {
			r.Errorf("a replay that never was: %v", err)
		}
		if _, err := r.run.Cancel(r.ctx, 1); !errors.Is(err, store.ErrNotFound) {
			r.Errorf("cancelling it: %v", err)
		}
	}, "acme/app")
}
