package app

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/api"
	"github.com/seed-51f8da91/fantail/internal/config"
)

// Reload is ReloadWith without options, as SIGHUP does it. waiting names what was
// built in at the start and differs now.
func (a *App) Reload(ctx context.Context) (waiting []string, err error) {
	done, err := a.ReloadWith(ctx, api.ReloadOptions{})
	return done.Waiting, err
}

// ReloadWith reads the settings again. fantail.yaml is taken over as a whole or, when
// it has a fault, nothing changes (config.Faults). Developers are taken over each
// for themselves; when some are refused the error is *api.Refused and all others
// are in force. A reading that takes away much is refused with *api.Removal.
func (a *App) ReloadWith(ctx context.Context, o api.ReloadOptions) (done api.Reloaded, err error) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	if !o.DryRun {
		defer func() { a.reloads.ended(err) }()
	}
	if o.Follows {
		ctx = follows(ctx)
	}
	snap, made, err := a.load(ctx)
	if snap == nil {
		return done, err
	}
	cert, err := readCertificate(&snap.Daemon)
	if err != nil {
		return done, err
	}
	cur := a.current.Load().snapshot
	done.Plan = a.plan(snap)
	for _, n := range snap.Notes {
		done.Notes = append(done.Notes, n.Error())
	}
	done.Waiting = needRestart(a.started, &snap.Daemon)
	developers, destinations := cur.Size()
	if err := judgeRemoval(done.Plan, developers, destinations, o.AllowRemoval); err != nil {
		return done, err
	}
	var refused []refusal
	if o.DryRun {
		refused, err = a.rehearse(ctx, snap)
	} else {
		refused, err = a.takeOver(ctx, snap, made)
	}
	if err != nil {
		return done, err
	}
	done.Plan = slices.DeleteFunc(done.Plan, func(s api.Step) bool {
		return slices.ContainsFunc(refused, func(r refusal) bool { return r.developer == s.Developer })
	})
	if !o.DryRun {
		a.reloaded(snap, &done, len(refused))
		if cert != nil {
			a.cert.Store(cert)
		}
	}
	if len(refused) > 0 {
		err := refusedError(refused)
		err.DryRun = o.DryRun
		return done, err
	}
	return done, nil
}

// reloaded says in the log what a reload did.
func (a *App) reloaded(snap *config.Snapshot, done *api.Reloaded, refused int) {
	const most = 100 // a line for each; of more, one with their number
	for _, s := range done.Plan[:min(len(done.Plan), most)] {
		a.log.Info("settings: " + s.String())
	}
	if more := len(done.Plan) - most; more > 0 {
		a.log.Info("settings: more changes, which are not listed", "changes", more)
	}
	for _, key := range done.Waiting {
		a.log.Warn("a changed setting takes effect at the next start", "setting", key)
	}
	a.log.Info("settings reloaded", "developers", len(snap.Developers), "changes", len(done.Plan), "refused", refused)
}

// rehearse opens and closes what takeOver would open, which tells whom it would refuse.
func (a *App) rehearse(ctx context.Context, snap *config.Snapshot) ([]refusal, error) {
	opened, refused, err := a.admit(ctx, snap)
	opened.close()
	return refused, err
}

// reloads is what came of the last reading of the settings.
type reloads struct {
	mu sync.Mutex
	at time.Time
	// err is why the settings are not in force, or not all of them; nil: they are.
	err error
}

func (r *reloads) ended(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at, r.err = time.Now(), err
}

func (r *reloads) last() (time.Time, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at, r.err
}

// warning is what /readyz says of the last reload; "" for nothing. Whose settings
// are refused it says elsewhere.
func (r *reloads) warning() string {
	at, err := r.last()
	if _, partly := errors.AsType[*api.Refused](err); err == nil || partly {
		return ""
	}
	return "the settings were not reloaded at " + at.UTC().Format(time.RFC3339) + ", and the old ones go on: " + err.Error()
}
