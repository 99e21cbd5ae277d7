package fleet

import (
	"context"
	"errors"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// far is a destination as one daemon sees it.
type far struct {
	d     *daemon
	setup *destSetup
	id    uint32
}

var errKilled = errors.New("this daemon is dead")

func (f *far) Close() error { return nil }

func (f *far) Send(ctx context.Context, req destination.Delivery) (destination.Receipt, error) {
	o := f.d.fleet.oracle
	t := o.begins(f.d, f.id, req.ID)
	if t == nil {
		return destination.Receipt{}, errKilled
	}
	defer o.ends(t)
	if o.poisons(t) {
		f.d.die()
		<-ctx.Done()
		return destination.Receipt{}, errKilled
	}
	f.d.mu.Lock()
	f.d.roll = mix(f.d.roll)
	roll := f.d.roll
	f.d.mu.Unlock()
	spell, bad := f.setup.at(o.since())
	if bad && spell.mode == hangs {
		<-ctx.Done()
		return destination.Receipt{}, context.Cause(ctx)
	}
	wait := time.NewTimer(1 + time.Duration(roll>>1)%f.setup.latency)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
		return destination.Receipt{}, context.Cause(ctx)
	}
	f.d.gate() // a daemon that was stopped goes on where it was
	if ctx.Err() != nil || f.d.dead.Load() {
		return destination.Receipt{}, errKilled
	}
	if bad && (spell.mode == fails || spell.mode == flaky && roll%2 == 0) {
		o.failed(t)
		return destination.Receipt{Code: 503}, errors.New("unavailable")
	}
	if bad && spell.mode == misset {
		o.failed(t)
		return destination.Receipt{Code: 401}, destination.Misconfigure(errors.New("who are you"))
	}
	o.takes(t)
	return destination.Receipt{Code: 200}, nil
}

// at returns the spell of a moment.
func (t *destSetup) at(since time.Duration) (spell, bool) {
	for _, s := range t.bad {
		if s.from <= since && since < s.to {
			return s, true
		}
	}
	return spell{}, false
}

// fair tells whether nothing has ever been wrong with the far side by then.
func (t *destSetup) fair(since time.Duration) bool {
	for _, s := range t.bad {
		if s.from <= since {
			return false
		}
	}
	return true
}
