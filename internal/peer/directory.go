// Package peer is how the daemons of a shared store know of each other: each says in the store
// who it is and where its API is reached, and asks the others for what they alone know. What one
// asks another is signed with a key that is derived from the operator's `keys`, which all of them
// have; nothing secret is sent.
package peer

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/seed-51f8da91/fantail/internal/keyring"
	"github.com/seed-51f8da91/fantail/internal/store"
)

const (
	// look is how often the list of daemons is read.
	look = time.Second
	// Patience is what a daemon that does not answer may cost whoever asks.
	Patience = time.Second
)

// Store is what a Directory needs of a store.Shared.
type Store interface {
	Daemons(ctx context.Context) ([]store.Daemon, error)
	Announce(ctx context.Context, d store.Daemon) error
}

// Options build a Directory.
type Options struct {
	Store Store
	Say   func() store.Daemon  // what this daemon says of itself now
	Keys  func() *keyring.Ring // in force now
	Log   *slog.Logger
}

// Directory knows the daemons of a store.
type Directory struct {
	Options
	client *http.Client
	known  atomic.Pointer[[]store.Daemon]
	failed bool // of Run alone: the store did not answer, which the log has
}

// New builds a Directory that knows nobody before Run.
func New(o Options) *Directory {
	d := &Directory{Options: o, client: &http.Client{
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: Patience}).DialContext,
			TLSHandshakeTimeout:    Patience,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	d.known.Store(new([]store.Daemon))
	return d
}

// Run says who this daemon is, and looks who else there is, until ctx ends.
func (d *Directory) Run(ctx context.Context) {
	defer d.client.CloseIdleConnections()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		d.Look(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Look says and looks once.
func (d *Directory) Look(ctx context.Context) {
	say := d.Say()
	var err error
	// Not what was said counts, but what stands there: a crash of the database may lose it.
	if me := d.self(); say.Name != me.Name || say.API != me.API || say.Version != me.Version || say.Key != me.Key || say.Files != me.Files {
		err = d.Store.Announce(ctx, say)
	}
	if err = cmp.Or(err, d.List(ctx)); err != nil && ctx.Err() == nil && !d.failed {
		d.Log.Warn("the list of daemons in the store is not up to date", "error", err)
	}
	d.failed = err != nil
}

// List looks who there is, and says nothing.
func (d *Directory) List(ctx context.Context) error {
	all, err := d.Store.Daemons(ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b store.Daemon) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), a.Started.Compare(b.Started), cmp.Compare(a.ID, b.ID))
	})
	d.known.Store(&all)
	return nil
}

// Daemons returns those of the store as they were a second ago, by name. They are not to be changed.
func (d *Directory) Daemons() []store.Daemon { return *d.known.Load() }

// self is this daemon as the others see it; zero before the first look.
func (d *Directory) self() store.Daemon {
	for _, one := range d.Daemons() {
		if one.Self {
			return one
		}
	}
	return store.Daemon{}
}

// Others returns the daemons that are alive and have said who they are, but for this one.
func (d *Directory) Others() []store.Daemon {
	return slices.DeleteFunc(slices.Clone(d.Daemons()), func(o store.Daemon) bool { return o.Self || !o.Alive || o.Name == "" })
}

// Verify tells whether a daemon of this store made r, for this one: ErrUnsigned.
func (d *Directory) Verify(r *http.Request, body []byte) error {
	return verify(d.Keys(), r, d.self().ID, body, time.Now())
}
