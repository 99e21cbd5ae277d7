package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func registryCases() []scenario {
	return []scenario{
		{"ids are persistent", 0, idsPersistent},
		{"another kind is another destination", 0, idsByKind},
		{"names that would meet if joined", 0, idsApart},
		{"the same key twice in one call", 0, idsTwice},
		{"of many at once", 0, idsRace},
		{"nothing registered", 0, idsNone},
		{"state is kept", 0, stateKept},
		{"state of what is not known", 0, stateUnknown},
		{"a state is changed, not overwritten", 0, stateChanged},
		{"a state changed by many", 0, stateRace},
		{"last answers are kept", 0, lastKept},
		{"last answers of what is not known", 0, lastUnknown},
		{"values are kept", 0, valuesKept},
		{"values are copies", 0, valuesCopied},
		{"survives retention", 0, registryRetained},
	}
}

func (r *rig) register(keys ...store.DestinationKey) []uint32 {
	r.Helper()
	ids, err := r.s.Register(r.ctx, keys)
	r.must("register", err)
	if len(ids) != len(keys) {
		r.Fatalf("register gave %d ids for %d keys", len(ids), len(keys))
	}
	return ids
}

// registered reads every destination by its id.
func (r *rig) registered() map[uint32]store.Destination {
	r.Helper()
	ds, err := r.s.Destinations(r.ctx)
	r.must("destinations", err)
	byID := map[uint32]store.Destination{}
	for _, d := range ds {
		if _, ok := byID[d.ID]; ok {
			r.Errorf("destination %d is listed twice", d.ID)
		}
		byID[d.ID] = d
	}
	return byID
}

// distinct registers keys and fails the case unless each has an id of its own, now and later.
func (r *rig) distinct(keys ...store.DestinationKey) []uint32 {
	r.Helper()
	ids := r.register(keys...)
	for round := range 2 {
		all := r.registered()
		if len(all) != len(keys) {
			r.Errorf("%d destinations of %d keys", len(all), len(keys))
		}
		for i, id := range ids {
			if all[id].DestinationKey != keys[i] {
				r.Errorf("id %d stands for %+v, want %+v", id, all[id].DestinationKey, keys[i])
			}
		}
		if again := r.register(keys...); !slices.Equal(again, ids) {
			r.Errorf("ids were %v and are %v", ids, again)
		}
		if round == 0 {
			r.reopen()
		}
	}
	return ids
}

func idsPersistent(r *rig) {
	var keys []store.DestinationKey
	for i := range 300 {
		keys = append(keys, store.DestinationKey{Developer: fmt.Sprint("dev-", i%7), Name: fmt.Sprint("name-", i), Kind: "webhook"})
	}
	ids := r.distinct(keys...)
	more := r.register(store.DestinationKey{Developer: "dev-1", Name: "new", Kind: "webhook"}, keys[5])
	if slices.Contains(ids, more[0]) || more[1] != ids[5] {
		r.Errorf("a new destination got %d, an old one %d instead of %d", more[0], more[1], ids[5])
	}
}

func idsByKind(r *rig) {
	r.distinct(
		store.DestinationKey{Developer: "acme", Name: "app", Kind: "webhook"},
		store.DestinationKey{Developer: "acme", Name: "app", Kind: "s3"},
		store.DestinationKey{Developer: "globex", Name: "app", Kind: "webhook"},
	)
}

func idsApart(r *rig) {
	r.distinct(
		store.DestinationKey{Developer: "a", Name: "b", Kind: "c"},
		store.DestinationKey{Developer: "ab", Name: "", Kind: "c"},
		store.DestinationKey{Developer: "", Name: "ab", Kind: "c"},
		store.DestinationKey{Developer: "a", Name: "bc", Kind: ""},
		store.DestinationKey{Developer: "a|b", Name: "", Kind: "c"},
		store.DestinationKey{Developer: "a", Name: "|b", Kind: "c"},
		store.DestinationKey{Developer: "a\x00b", Name: "", Kind: "c"},
		store.DestinationKey{Developer: "a", Name: "\x00b", Kind: "c"},
		store.DestinationKey{Developer: "a", Name: "b\x00", Kind: "c"},
		store.DestinationKey{Developer: "A", Name: "b", Kind: "c"},
		store.DestinationKey{Developer: "\u00e9", Name: strings.Repeat("n", 3000), Kind: "c"},
		store.DestinationKey{Developer: "a/b", Name: "\xff\xff", Kind: "c"},
	)
}

func idsTwice(r *rig) {
	k, l := store.DestinationKey{Developer: "a", Name: "b", Kind: "c"}, store.DestinationKey{Developer: "a", Name: "b", Kind: "d"}
	ids := r.register(k, l, k)
	if ids[0] != ids[2] || ids[0] == ids[1] {
		r.Errorf("ids %v of k, l, k", ids)
	}
	if n := len(r.registered()); n != 2 {
		r.Errorf("%d destinations of two keys", n)
	}
}

func idsRace(r *rig) {
	keys := make([]store.DestinationKey, 20)
	for i := range keys {
		keys[i] = store.DestinationKey{Developer: "acme", Name: fmt.Sprint(i), Kind: "webhook"}
	}
	var got [8][]uint32
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			for j := range keys {
				k := (j + 5*i) % len(keys)
				ids, err := r.s.Register(r.ctx, keys[k:k+1])
				if err != nil || len(ids) != 1 {
					r.Errorf("register: %v, %v", ids, err)
					return
				}
				got[i] = append(got[i], ids...)
			}
		})
	}
	wg.Wait()
	ids := r.distinct(keys...)
	for i := range got {
		for j, id := range got[i] {
			if id != ids[(j+5*i)%len(keys)] {
				r.Errorf("caller %d was told another id than stands", i)
			}
		}
	}
}

func idsNone(r *rig) {
	r.register()
	if n := len(r.registered()); n != 0 {
		r.Errorf("%d destinations in a fresh store", n)
	}
}

func stateKept(r *rig) {
	dests := r.dests(3)
	since := time.Date(2026, 7, 1, 9, 12, 33, 456_789_000, time.UTC)
	for _, s := range []store.DestinationState{
		{Paused: true, Reason: "by hand", Since: since},
		{Held: true, Reason: "401 \u2014 \"bad\x00secret\"", Settings: 1<<64 - 1, Since: since},
		{Paused: true, Held: true, Reason: strings.Repeat("r", 2000), Settings: 7, Since: since.Add(time.Hour)},
		{Failing: store.Failing{Settings: 1<<64 - 1, Since: since, Lasted: 31 * time.Hour, Attempts: 235, Told: 2}},
		{},
	} {
		r.must("set state", r.setState(dests[1], s))
		for range 2 {
			all := r.registered()
			got := all[dests[1]].State
			if !got.Since.Equal(s.Since) || got.Since.IsZero() != s.Since.IsZero() {
				r.Errorf("since %v, want %v", got.Since, s.Since)
			}
			if got.Since = s.Since; got != s {
				r.Errorf("state %+v, want %+v", got, s)
			}
			if all[dests[0]].State != (store.DestinationState{}) || all[dests[2]].State != (store.DestinationState{}) {
				r.Errorf("other destinations changed: %+v", all)
			}
			r.reopen()
		}
	}
	r.must("set state", r.setState(dests[2], store.DestinationState{Paused: true, Since: since}))
	if key := r.registered()[dests[2]].DestinationKey; r.register(key)[0] != dests[2] || !r.registered()[dests[2]].State.Paused {
		r.Errorf("registering again forgot the state")
	}
}

func stateUnknown(r *rig) {
	d := r.dest()
	for _, id := range []uint32{0, d + 1, 1<<32 - 1} {
		r.wants("state of what is not known", r.setState(id, store.DestinationState{Paused: true}), store.ErrNotFound)
	}
	if n := len(r.registered()); n != 1 {
		r.Errorf("%d destinations, want 1", n)
	}
}

// stateChanged: who changes a part of a state leaves the rest, and versions rise.
func stateChanged(r *rig) {
	d := r.dest()
	var last uint64
	for i, change := range []func(*store.DestinationState){
		func(s *store.DestinationState) { s.Paused, s.Reason = true, "by hand" },
		func(s *store.DestinationState) { s.Held, s.Settings = true, 7 },
		func(s *store.DestinationState) { s.Failing = store.Failing{Settings: 7, Since: r.now, Attempts: 3} },
		func(s *store.DestinationState) { s.Paused = false },
	} {
		got, version, err := r.s.ChangeState(r.ctx, d, change)
		r.must("change state", err)
		stored := r.registered()[d]
		if version <= last || stored.Version != version {
			r.Errorf("change %d has version %d after %d, and %d is listed", i, version, last, stored.Version)
		}
		last = version
		got.Failing.Since, stored.State.Failing.Since = time.Time{}, time.Time{}
		if got != stored.State {
			r.Errorf("change %d: %+v is returned, and %+v is stored", i, got, stored.State)
		}
	}
	if s := r.registered()[d].State; s.Paused || s.Reason != "by hand" || !s.Held || s.Settings != 7 || s.Failing.Attempts != 3 {
		r.Errorf("state %+v", s)
	}
}

// stateRace: changes at the same time all count.
func stateRace(r *rig) {
	d := r.dest()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				_, _, err := r.s.ChangeState(r.ctx, d, func(s *store.DestinationState) { s.Failing.Attempts++ })
				if err != nil {
					r.Errorf("change state: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if n := r.registered()[d].State.Failing.Attempts; n != 40 {
		r.Errorf("of 40 changes at the same time %d count", n)
	}
}

func valuesKept(r *rig) {
	want := map[string][]byte{}
	for i, k := range []string{"a", "ab", "a\x00", "a/b", "settings/acme", "\xff", "\xff\xff", strings.Repeat("k", 2000), "\u00e9", " "} {
		want[k] = bytes.Repeat([]byte{byte(i), 0xff}, i*i*1000)
		_, err := r.s.Get(r.ctx, k)
		r.wants("get before put", err, store.ErrNotFound)
		r.must("put", r.s.Put(r.ctx, k, []byte("first")))
		r.must("put", r.s.Put(r.ctx, k, want[k]))
	}
	check := func() {
		r.Helper()
		for k, v := range want {
			got, err := r.s.Get(r.ctx, k)
			r.must("get", err)
			if !bytes.Equal(got, v) {
				r.Errorf("value of %.20q: %d bytes, want %d", k, len(got), len(v))
			}
		}
	}
	check()
	r.reopen()
	check()
	r.must("delete", r.s.Delete(r.ctx, "a"))
	r.must("delete what is not there", r.s.Delete(r.ctx, "a"))
	delete(want, "a")
	check()
	r.reopen()
	_, err := r.s.Get(r.ctx, "a")
	r.wants("get after delete", err, store.ErrNotFound)
	check()
}

func valuesCopied(r *rig) {
	v := []byte("value")
	r.must("put", r.s.Put(r.ctx, "k", v))
	r.must("put settings", r.s.PutSettings(r.ctx, map[uint64][]byte{5: v}, nil))
	v[0] = 'X'
	for range 2 {
		got, err := r.s.Get(r.ctx, "k")
		r.must("get", err)
		sealed, err := r.s.Settings(r.ctx, 5)
		r.must("settings", err)
		if string(got) != "value" || string(sealed) != "value" {
			r.Errorf("somebody else's change came through: %q, %q", got, sealed)
		}
		got[0], sealed[0] = 'Y', 'Y'
	}
}

// registryRetained: what is small outlives all that ages.
func registryRetained(r *rig) {
	d := r.dest()
	key := r.registered()[d].DestinationKey
	state := store.DestinationState{Held: true, Reason: "401", Since: r.now}
	r.must("set state", r.setState(d, state))
	r.must("put", r.s.Put(r.ctx, "k", []byte("v")))
	r.post(d)
	r.advance(1000 * 24 * time.Hour)
	_, err := r.s.Retain(r.ctx, r.now, store.Retention{Events: time.Hour, Attempts: time.Hour, Idempotency: time.Hour}, nil)
	r.must("retain", err)
	r.reopen()
	if got := r.registered()[d]; got.DestinationKey != key || !got.State.Held || got.State.Reason != "401" {
		r.Errorf("destination %+v", got)
	}
	if got := r.register(key)[0]; got != d {
		r.Errorf("id was %d and is %d", d, got)
	}
	if fresh := r.dest(); fresh == d {
		r.Errorf("id %d was given twice", d)
	}
	v, err := r.s.Get(r.ctx, "k")
	r.must("get", err)
	if string(v) != "v" {
		r.Errorf("value %q", v)
	}
}
