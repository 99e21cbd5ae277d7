package app

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/seed-51f8da91/fantail/internal/build"
	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/netguard"
	"github.com/seed-51f8da91/fantail/internal/payload"
	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/exchange"
)

// openPayloads opens the operator's payload store, if there is one. The keys
// that sign links come with the settings that are applied.
func (a *App) openPayloads(_ context.Context, d *config.Daemon, _ Options) error {
	var store destination.PayloadStore
	var err error
	switch p := &d.Payloads; {
	case p.Dir != nil:
		a.files, err = payload.OpenDir(payload.DirOptions{Path: p.Dir.Path, PublicURL: p.Dir.PublicURL, Reserve: d.Store.Pebble.Reserve})
		if err == nil {
			a.onStop("payload store", func(context.Context) error { return a.files.Close() })
		}
		store = a.files
	case p.S3 != nil, p.GCS != nil:
		store, err = a.openBucket(d)
	default:
		return nil
	}
	if err != nil {
		return fmt.Errorf("payloads: %w", err)
	}
	a.payloads = payload.NewOperator(store, a.metrics, a.log)
	return nil
}

// openBucket opens a bucket of the operator's. Its address is their own word, and
// may be a private one that they would not open to developers: the guard that it is
// reached through refuses nothing but metadata services.
func (a *App) openBucket(d *config.Daemon) (destination.PayloadStore, error) {
	guard, err := netguard.New(netguard.Config{
		Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")},
		Proxy: d.Egress.Proxy.Reveal(), Source: d.Egress.Source,
	})
	if err != nil {
		return nil, err
	}
	pool := exchange.NewPool(guard.DialContext, exchange.Limits{All: d.Limits.InFlight, Owner: d.Limits.InFlight})
	a.onStop("connections to the payload store", func(context.Context) error { pool.Close(); return nil })
	client := pool.Client("", nil).HTTP()
	deps := destination.Deps{
		Log: a.log, HTTP: client, Dial: guard.DialContext, Ambient: true, Metadata: a.metadata, UserAgent: a.userAgent(),
	}
	if d.Payloads.S3 != nil {
		b, err := aws.OpenBucket(*d.Payloads.S3, deps)
		if err != nil {
			return nil, err
		}
		a.onStop("payload store", func(context.Context) error { return b.Close() })
		return payload.Remote{Bucket: b, HTTP: client}, nil
	}
	b, err := gcp.OpenBucket(*d.Payloads.GCS, deps)
	if err != nil {
		return nil, err
	}
	return payload.Remote{Bucket: b, HTTP: client}, nil
}

func (a *App) userAgent() string { return build.UserAgent(a.version) }

// followPayloads takes over what a reload changes of the payload store.
func (a *App) followPayloads(snap *config.Snapshot) {
	if a.files != nil {
		a.files.SetKeys(snap.Keys)
	}
	if a.payloads != nil {
		a.payloads.SetRetention(snap.Daemon.Retention.Payloads)
	}
}

// retainPayloads removes what is older than retention.payloads. Buckets have
// rules of their own for that.
func (a *App) retainPayloads(ctx context.Context, keep time.Duration) {
	if a.files == nil || keep == 0 {
		return
	}
	removed, err := a.files.Retain(ctx, time.Now(), keep)
	if err != nil && ctx.Err() == nil {
		a.log.Error("retention of payloads did not end; it is tried again in an hour", "error", err)
	}
	if removed > 0 {
		a.log.Info("payloads outlived retention.payloads and are removed", "payloads", removed)
	}
}
