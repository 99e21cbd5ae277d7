package app

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/seed-51f8da91/fantail/internal/api"
	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// placed is a destination of the settings, its id in the store, and whether it can
// be checked.
type placed struct {
	*config.Destination
	id   uint32
	mute bool // its kind has no check
}

// developer is one developer of the settings in force.
type developer struct {
	settings     *config.Developer
	destinations []placed
	route        *ingest.Developer
}

// nothing is what is in force before the start: developers with destinations in
// the store, who have no settings.
func (a *App) nothing(ctx context.Context) (*state, []store.Destination, error) {
	registered, err := a.store.Destinations(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("list destinations: %w", err)
	}
	s := &state{names: api.NewNames(registered), developers: make(map[string]*developer)}
	for i := range registered {
		s.developers[registered[i].Developer] = nil
	}
	return s, registered, nil
}

// delta is how settings differ from those in force. What a reload costs beyond
// reading the texts follows it.
type delta struct {
	changed []*config.Developer // who are new or have other settings, in the order of their names
	gone    []string
}

// difference tells whose settings differ from those in force. Those of a developer
// who did not change are the same by their pointer. Developers who do not run on
// their own count as changed: what they run on follows other rules.
func (s *state) difference(snap *config.Snapshot, broken []string) (d delta) {
	others := make(map[string]bool, len(broken))
	for _, id := range broken {
		others[id] = true
	}
	for id, dev := range snap.Developers {
		if cur := s.developers[id]; cur == nil || cur.settings != dev || others[id] {
			d.changed = append(d.changed, dev)
		}
	}
	slices.SortFunc(d.changed, func(x, y *config.Developer) int { return cmp.Compare(x.ID, y.ID) })
	for id := range s.developers {
		if snap.Developers[id] == nil {
			d.gone = append(d.gone, id)
		}
	}
	return d
}

// with returns the developers that are in force after d: made takes the place of those
// that differ.
func (s *state) with(d *delta, made []*developer) map[string]*developer {
	all := maps.Clone(s.developers)
	for _, dev := range made {
		all[dev.settings.ID] = dev
	}
	for _, id := range d.gone {
		delete(all, id)
	}
	return all
}

// place registers every destination of the developers that changed, and returns
// them, and names that know what is new.
func (a *App) place(ctx context.Context, cur *state, changed []*config.Developer, opened opening) (made []*developer, names *api.Names, err error) {
	var keys []store.DestinationKey
	for _, dev := range changed {
		for _, d := range dev.Destinations {
			keys = append(keys, keyOf(d))
		}
	}
	ids, err := a.store.Register(ctx, keys)
	if err != nil {
		return nil, nil, fmt.Errorf("register destinations: %w", err)
	}
	var news []store.Destination
	for i, id := range ids {
		if cur.names.Key(id) == (store.DestinationKey{}) {
			news = append(news, store.Destination{ID: id, DestinationKey: keys[i]})
		}
	}
	for _, dev := range changed {
		one := &developer{settings: dev, destinations: make([]placed, len(dev.Destinations))}
		for i, d := range dev.Destinations {
			one.destinations[i] = placed{Destination: d, id: ids[0], mute: cur.mute(d, opened)}
			ids = ids[1:]
		}
		made = append(made, one)
	}
	return made, cur.names.With(news), nil
}

// mute tells whether d cannot be checked, by what was opened of it now or, where it
// runs on, before.
func (s *state) mute(d *config.Destination, opened opening) bool {
	if dest := opened[d]; dest != nil {
		return !checkable(dest)
	}
	if dev := s.developers[d.Developer]; dev != nil {
		for i := range dev.destinations {
			if was := &dev.destinations[i]; keyOf(was.Destination) == keyOf(d) {
				return was.mute
			}
		}
	}
	return false
}

// all calls f with every destination in force.
func (s *state) all(f func(*placed)) {
	for _, dev := range s.developers {
		for i := range dev.destinations {
			f(&dev.destinations[i])
		}
	}
}

// find returns a destination in force, nil if there is none.
func (s *state) find(developer, name string) *placed {
	dev := s.developers[developer]
	if dev == nil {
		return nil
	}
	i := slices.IndexFunc(dev.destinations, func(p placed) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &dev.destinations[i]
}
