package app

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/client"
)

// rewound is a store that a failover has taken back to the first document of acme, no other document, no
// settings and no pause, once lost is set.
type rewound struct {
	store.Shared
	lost atomic.Bool
	put  atomic.Int64 // settings that were stored since
}

func (r *rewound) Document(ctx context.Context, developer string, version uint64) (store.Document, error) {
	if r.lost.Load() && version == 0 {
		if developer != "acme" {
			return store.Document{}, store.ErrNotFound
		}
		version = 1
	}
	return r.Shared.Document(ctx, developer, version)
}

func (r *rewound) EachDocument(ctx context.Context, old bool, f func(store.Document) error) error {
	if !r.lost.Load() {
		return r.Shared.EachDocument(ctx, old, f)
	}
	d, err := r.Document(ctx, "acme", 0)
	if err != nil {
		return err
	}
	return f(d)
}

func (r *rewound) Destinations(ctx context.Context) ([]store.Destination, error) {
	all, err := r.Shared.Destinations(ctx)
	for i := range all {
		if r.lost.Load() {
			all[i].State, all[i].Version = store.DestinationState{}, 1
		}
	}
	return all, err
}

func (r *rewound) WithoutSettings(ctx context.Context, hashes []uint64) ([]uint64, error) {
	if r.lost.Load() {
		return hashes, nil
	}
	return r.Shared.WithoutSettings(ctx, hashes)
}

func (r *rewound) PutSettings(ctx context.Context, sealed map[uint64][]byte, values map[string][]byte) error {
	if r.lost.Load() {
		r.put.Add(int64(len(sealed)))
	}
	return r.Shared.PutSettings(ctx, sealed, values)
}

// After a failover that has lost something, every daemon runs on what the store has, as one that starts now
// would, and puts again what only it knows.
func TestAfterAFailoverADaemonRunsOnWhatTheStoreHas(t *testing.T) {
	s := newSharing(t)
	h := s.home("a", "")
	o := s.options(h)
	var r *rewound
	open := o.store
	o.store = func(a *App) store.Store {
		r = &rewound{Shared: open(a).(store.Shared)}
		return r
	}
	d := s.startWith(o)
	for _, put := range [][2]string{{"acme", "first"}, {"acme", "second"}, {"globex", "third"}} {
		text := strings.NewReplacer("acme", put[0], "kind: post", "kind: post\n    retry: { settings: frozen }").Replace(fmt.Sprintf(acmeDocument, put[1]))
		if _, err := d.PutDocument(t.Context(), put[0], []byte(text), client.ChangeOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Client.Pause(t.Context(), "acme", "app", "lunch"); err != nil {
		t.Fatal(err)
	}
	r.lost.Store(true)
	d.failedOver()
	until(t, "the first document is in force again", func() bool { return (*d.heads.Load())["acme"].Version == 1 })
	until(t, "who has no document is gone", func() bool { return d.current.Load().snapshot.Developers["globex"] == nil })
	until(t, "the pause is over", func() bool {
		for one, err := range d.Client.Destinations(t.Context(), "acme", "") {
			return err == nil && one.State == "active"
		}
		return false
	})
	until(t, "settings are put again", func() bool { return r.put.Load() > 0 })
	d.send(t, "acme")
	until(t, "it delivers by the first document", func() bool { return h.delivered() == "first" })
}
