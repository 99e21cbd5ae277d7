package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/pebblestore"
	"github.com/seed-51f8da91/fantail/internal/store/pgstore"
)

// openStore opens the store that the settings name. Nobody else knows which it is.
func (a *App) openStore(ctx context.Context, d *config.Daemon, o Options) (err error) {
	commit := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "fantail_store_commit_seconds", Help: "How long a durable commit took.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 12),
	})
	a.metrics.MustRegister(commit)
	if err := os.MkdirAll(d.Store.Dir(), 0o700); err != nil {
		return fmt.Errorf("make the folder of the store: %w", err)
	}
	if d.Store.Shared() {
		if err := a.lockFolder(d.Store.Dir()); err != nil {
			return err
		}
	}
	committed := func(took time.Duration) { commit.Observe(took.Seconds()) }
	if o.store != nil {
		a.store = o.store(a)
		a.shared, _ = a.store.(store.Shared)
	} else if d.Store.Shared() {
		err = a.openPostgres(ctx, d.Store.Postgres, committed)
	} else {
		err = a.openPebble(&d.Store.Pebble, o, committed)
	}
	if err != nil {
		return err
	}
	a.onStop("store", func(context.Context) error { return a.store.Close() })
	return nil
}

func (a *App) openPebble(p *config.Pebble, o Options, committed func(time.Duration)) error {
	s, err := pebblestore.Open(p.Dir, pebblestore.Options{
		Reserve: p.Reserve, AcceptLoss: o.AcceptLoss, Log: a.log, OnCommit: committed, Fatal: a.fail,
	})
	if err != nil {
		return fmt.Errorf("open the store in %s: %w", p.Dir, err)
	}
	a.store = s
	return nil
}

func (a *App) openPostgres(ctx context.Context, p *config.Postgres, committed func(time.Duration)) error {
	o := pgstore.Options{
		URLs: p.URLs, Connections: p.Connections, Log: a.log, OnCommit: committed, Fatal: a.fail, Adopted: a.adopted, FailedOver: a.failedOver, Serial: a.isSerial,
	}
	var s interface {
		store.Shared
		Warnings() []string
	}
	var err error
	if len(p.More) == 0 {
		s, err = pgstore.Open(ctx, o)
	} else {
		more := make([]pgstore.More, len(p.More))
		for i, m := range p.More {
			more[i] = pgstore.More(m)
		}
		s, err = pgstore.OpenPrimaries(ctx, o, more)
	}
	if err != nil {
		return err
	}
	a.store, a.shared, a.storeWarnings = s, s, s.Warnings
	return nil
}

// adopted hands over deliveries that the store has and nobody was told of.
func (a *App) adopted(made []store.Moved) { a.scheduler.Moved(made) }

// isSerial tells the store which destinations one daemon alone may deliver to.
func (a *App) isSerial(dest uint32) bool {
	s := a.serial.Load()
	return s != nil && s.Serial(dest)
}

// lockFolder makes sure that no other daemon of this machine keeps what is its own in the same folder:
// each would take the other's attempts for what was under way when it died itself.
func (a *App) lockFolder(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock the folder of this daemon: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return fmt.Errorf("another daemon uses the folder %s: give each a store.postgres.dir of its own", dir)
	}
	a.onStop("lock of the folder", func(context.Context) error { return f.Close() })
	return nil
}
