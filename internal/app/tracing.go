package app

import (
	"context"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/tracing"
)

// openTracing comes before all other parts, so that its stop comes after theirs:
// what they end has its spans, and no collector delays them.
func (a *App) openTracing(ctx context.Context, d *config.Daemon, _ Options) error {
	t := &d.Tracing
	if t.Endpoint == "" {
		return nil
	}
	var err error
	a.tracer, err = tracing.New(ctx, tracing.Options{
		Endpoint: t.Endpoint, Headers: t.Headers, Service: t.Service, Version: a.version, Sample: t.Sample, Log: a.log,
	})
	if err != nil {
		return err
	}
	a.onStop("tracing", func(ctx context.Context) error { a.tracer.Stop(ctx); return nil })
	return nil
}
