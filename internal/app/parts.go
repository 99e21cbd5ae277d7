package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"path/filepath"

	"github.com/seed-51f8da91/fantail/internal/check"
	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/delivery/suspects"
	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/netguard"
	"github.com/seed-51f8da91/fantail/internal/trail"
	"github.com/seed-51f8da91/fantail/pkg/exchange"
)

// fail ends the daemon, which can write no more.
func (a *App) fail(err error) {
	select {
	case a.fatal <- err:
	default: // the first reason is the one that counts
	}
}

func (a *App) openEgress(_ context.Context, d *config.Daemon, _ Options) error {
	guard, err := netguard.New(netguard.Config{
		Allow: d.Egress.Allow, Deny: d.Egress.Deny, Proxy: d.Egress.Proxy.Reveal(), Source: d.Egress.Source,
	})
	if err != nil {
		return fmt.Errorf("egress: %w", err)
	}
	a.dial, a.metadata = check.Watch(guard.DialContext), guard.Metadata()
	a.exchange = exchange.NewPool(a.dial, idleLimits(d, openFiles()))
	a.onStop("connections", func(context.Context) error {
		a.exchange.Close()
		a.metadata.CloseIdleConnections()
		return nil
	})
	return nil
}

func (a *App) buildEngine(ctx context.Context, d *config.Daemon, _ Options) error {
	// The flight record lies beside the store, or where this daemon keeps what is its own: it must survive a crash of the
	// process, not of the machine.
	var err error
	if a.flight, err = suspects.Open(filepath.Join(d.Store.Dir(), "flight"), 2*d.Limits.InFlight); err != nil {
		return fmt.Errorf("open the flight record: %w", err)
	}
	a.onStop("flight record", func(context.Context) error { return a.flight.Close() })
	a.brand, a.catalogue = d.Brand, d.Catalogue
	if err := a.openPeers(ctx); err != nil {
		return err
	}
	a.trail = trail.New(a.store, a.log)
	a.onStop("trail", func(ctx context.Context) error { a.trail.Flush(ctx); return nil }) // after all that acts
	a.buildNotices()
	a.openSeries(ctx)
	options := delivery.Options{
		Store: a.store, Thaw: a.thaw, Flight: a.flight, Log: a.log, Metrics: a.metrics, Series: a.series, Tell: a.tell, Fatal: a.fail, Trace: a.tracer,
		Limits: delivery.Limits{InFlight: attempts(d, openFiles()), Bytes: d.Limits.InFlightBytes, PerDeveloper: d.Limits.PerDeveloper.Attempts},
	}
	if a.shared != nil { // an interface that holds a nil pointer is not nil
		options.Shared = a.shared
	}
	a.scheduler = delivery.New(options)
	a.serial.Store(a.scheduler)
	a.checks = check.NewRunner(check.Options{Begin: a.scheduler.StartCheck, Mine: a.duty(dutyChecks), Log: a.log})
	a.onStop("scheduler", func(ctx context.Context) error { a.scheduler.Stop(ctx); return nil })
	a.ingest = ingest.New(a.store, a.scheduler.Offer, ingest.Limits{
		Body: d.Limits.Body, Rate: d.Limits.PerDeveloper.Rate, Pending: d.Limits.PerDeveloper.Pending, Bytes: d.Limits.PerDeveloper.Bytes,
		Daemons: a.daemons(),
	})
	a.ingest.Elsewhere = a.scheduler.AcceptedElsewhere
	if err := a.buildReplays(ctx); err != nil {
		return err
	}
	return a.buildAPI(ctx, d)
}

// readCertificate reads the API's certificate, at the start and at every
// reload, so that a renewed one is used without a restart; nil without TLS.
func readCertificate(d *config.Daemon) (*tls.Certificate, error) {
	if d.TLS.Cert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(d.TLS.Cert, d.TLS.Key)
	if err != nil {
		return nil, fmt.Errorf("read tls.cert and tls.key: %w", err)
	}
	return &cert, nil
}
