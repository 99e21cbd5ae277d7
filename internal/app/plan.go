package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/seed-51f8da91/fantail/internal/api"
	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// plan says what taking next over does to what runs. Developers whose settings are
// refused go on as they are, and are not in it.
func (a *App) plan(next *config.Snapshot) []api.Step {
	cur := a.current.Load()
	if cur == nil {
		return nil
	}
	return a.steps(cur.snapshot.Developers, next.Developers, func(id string) bool {
		if next.Broken[id] != nil {
			return true
		}
		for broken, named := range next.Claimed {
			if named == id && next.Broken[broken] != nil {
				return true
			}
		}
		return false
	})
}

// steps compares developers; those that stay are not looked at.
func (a *App) steps(was, is map[string]*config.Developer, stays func(id string) bool) []api.Step {
	pending := a.pendingByName()
	var all []api.Step
	for id, old := range was {
		if is[id] != nil || stays(id) {
			continue
		}
		s := api.Step{Do: api.StepRemove, Developer: id, Destinations: len(old.Destinations)}
		for _, d := range old.Destinations {
			s.Pending += pending(keyOf(d))
		}
		all = append(all, s)
	}
	for id, dev := range is {
		if was[id] == dev || stays(id) {
			continue
		}
		if was[id] == nil && len(dev.Destinations) == 0 {
			all = append(all, api.Step{Do: api.StepAdd, Developer: id})
		}
		all = append(all, destinationSteps(was[id], dev, pending)...)
	}
	slices.SortFunc(all, func(x, y api.Step) int {
		return cmp.Or(cmp.Compare(x.Developer, y.Developer), cmp.Compare(x.Destination, y.Destination))
	})
	return all
}

func destinationSteps(was, is *config.Developer, pending func(store.DestinationKey) int64) (all []api.Step) {
	before := map[string]*config.Destination{}
	if was != nil {
		for _, d := range was.Destinations {
			before[d.Name] = d
		}
	}
	for _, d := range is.Destinations {
		old := before[d.Name]
		delete(before, d.Name)
		if old == nil {
			all = append(all, api.Step{Do: api.StepAdd, Developer: d.Developer, Destination: d.Name})
		} else if keys := config.Changes(old, d); len(keys) > 0 {
			all = append(all, api.Step{Do: api.StepChange, Developer: d.Developer, Destination: d.Name, Keys: keys})
		}
	}
	for _, d := range before {
		all = append(all, api.Step{Do: api.StepRemove, Developer: d.Developer, Destination: d.Name, Pending: pending(keyOf(d))})
	}
	return all
}

// pendingByName counts what is pending for a destination, in no time.
func (a *App) pendingByName() func(store.DestinationKey) int64 {
	ids := map[store.DestinationKey]uint32{}
	if registered, err := a.store.Destinations(context.Background()); err == nil {
		for _, d := range registered {
			ids[d.DestinationKey] = d.ID
		}
	}
	return func(key store.DestinationKey) int64 {
		id, ok := ids[key]
		if !ok {
			return 0
		}
		return a.store.Counts(id).Pending
	}
}

// judgeRemoval refuses a plan that leaves nothing of `of` developers, or of their
// destinations, or takes more than a tenth of them and more than two: a folder that
// is not mounted looks like everybody's departure.
func judgeRemoval(plan []api.Step, developers, destinations int, allow bool) error {
	goneDevelopers, goneDestinations := 0, 0
	come := false
	for _, s := range plan {
		switch {
		case s.Do == api.StepAdd:
			come = true
		case s.Do == api.StepRemove && s.Destination == "":
			goneDevelopers++
			goneDestinations += s.Destinations
		case s.Do == api.StepRemove:
			goneDestinations++
		}
	}
	tooMany := func(gone, of int) bool {
		return gone > 0 && (gone >= of && !come || gone > 2 && gone*10 > of)
	}
	if allow || !tooMany(goneDevelopers, developers) && !tooMany(goneDestinations, destinations) {
		return nil
	}
	what := fmt.Sprintf("%d of %d destinations", goneDestinations, destinations)
	if goneDevelopers > 0 {
		what = fmt.Sprintf("%d of %d developers, and %s", goneDevelopers, developers, what)
	}
	return &api.Removal{What: what, Plan: plan}
}
