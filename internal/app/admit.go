package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-51f8da91/fantail/internal/api"
	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// refusal is why a developer's settings are not used, and what is in their place.
type refusal struct {
	developer string
	what      string // is wrong
	errs      []error
	instead   string
	named     string // another developer, whose last good settings are in their place
}

// String says what happened, without the faults.
func (r *refusal) String() string {
	return "developer " + r.developer + ": " + r.what + ", " + r.instead
}

// brokenBy returns the developers who do not run on their files, and what someone
// should know of each refusal.
func brokenBy(refused []refusal) (developers, problems []string) {
	for i := range refused {
		r := &refused[i]
		developers = append(developers, r.developer)
		if r.named != "" {
			developers = append(developers, r.named)
		}
		problems = append(problems, r.String()+": "+r.errs[0].Error())
	}
	return developers, problems
}

// refusedError is what a reload answers that took over everything else.
func refusedError(refused []refusal) *api.Refused {
	err := &api.Refused{}
	for i := range refused {
		r := &refused[i]
		err.Developers = append(err.Developers, r.developer)
		err.Lines = append(err.Lines, r.String()+":")
		for _, fault := range r.errs {
			err.Lines = append(err.Lines, strings.Split(fault.Error(), "\n")...)
		}
	}
	return err
}

// admit opens what the settings have and does not run yet, each developer for
// themselves. One whose file is faulty, or whose destinations cannot be opened,
// goes on with what was good before or, when there is nothing, has their events
// kept without a destination: nothing that others sent is lost, and nobody waits
// for somebody else's fault to be mended. What it opened has to be closed also
// with an error.
func (a *App) admit(ctx context.Context, snap *config.Snapshot) (opened opening, refused []refusal, err error) {
	opened = opening{}
	cur := a.current.Load()
	for id, dev := range snap.Developers {
		if cur != nil && cur.developers[id] != nil && cur.developers[id].settings == dev {
			continue // nothing changed
		}
		if err := a.openDeveloper(ctx, opened, dev, &snap.Daemon); err != nil {
			refused = append(refused, refusal{developer: id, what: "destinations that cannot be opened", errs: []error{err}})
		}
	}
	for id, faults := range snap.Broken {
		r := refusal{developer: id, what: "faulty settings"}
		for _, err := range faults {
			r.errs = append(r.errs, err)
		}
		refused = append(refused, r)
	}
	slices.SortFunc(refused, func(x, y refusal) int { return cmp.Compare(x.developer, y.developer) })
	for i := range refused {
		if ctx.Err() != nil {
			break
		}
		a.fallBack(ctx, snap, opened, &refused[i])
	}
	if ctx.Err() != nil { // what was not opened then is no fault of its developer
		return opened, nil, context.Cause(ctx)
	}
	return opened, refused, nil
}

// fallBack puts something in the place of a developer's settings that are not used.
func (a *App) fallBack(ctx context.Context, snap *config.Snapshot, opened opening, r *refusal) {
	goOn := func(id string) error {
		last, err := a.before(ctx, snap, id)
		if err == nil {
			err = a.openDeveloper(ctx, opened, last, &snap.Daemon)
		}
		if err == nil {
			snap.Developers[id] = last
		}
		return err
	}
	err := goOn(r.developer)
	if err == nil {
		r.instead = "running on the last good ones"
		return
	}
	if !errors.Is(err, store.ErrNotFound) {
		r.what += fmt.Sprintf(", and the last good ones cannot be used (%v)", err)
	}
	// The file may date from when its name did not matter. The developer whom it names
	// then goes on with their last good settings; of the one of its name there are none.
	if named := snap.Claimed[r.developer]; named != "" && (snap.Developers[named] != nil || goOn(named) == nil) {
		r.named, r.instead = named, named+", whom they name, is running on the last good ones"
		return
	}
	snap.Developers[r.developer] = &config.Developer{ID: r.developer}
	r.instead = "events are kept without a destination"
}

// tellRefused says in the log whose settings are not used, and why.
func (a *App) tellRefused(refused []refusal) {
	for i := range refused {
		for _, err := range refused[i].errs {
			a.log.Error("settings of a developer are not used", "developer", refused[i].developer, "because", refused[i].what, "fault", err.Error())
		}
	}
}

// before returns the settings of a developer that were good before: those that
// run, or those that were stored.
func (a *App) before(ctx context.Context, snap *config.Snapshot, id string) (*config.Developer, error) {
	if cur := a.current.Load(); cur != nil {
		if dev := cur.snapshot.Developers[id]; dev != nil && len(dev.Destinations) > 0 {
			return dev, nil
		}
	}
	return a.lastGood(ctx, snap.Keys, id)
}
