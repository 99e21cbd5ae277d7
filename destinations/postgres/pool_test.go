package postgres

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// TestAPanicCostsNoConnection, while one begins and while one is in use.
func TestAPanicCostsNoConnection(t *testing.T) {
	f := newFar(t)
	p := f.open(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a slot that is lost is waited for in vain
	defer cancel()
	sound := p.pool.config.BuildFrontend
	p.pool.config.BuildFrontend = func(io.Reader, io.Writer) *pgproto3.Frontend { panic("boom") }
	for n := range 3 * cap(p.pool.slots) {
		if _, err := p.Send(ctx, plain(t, n)); destination.PanicOf(err) == nil {
			t.Fatalf("while connecting: %v", err)
		}
	}
	p.pool.config.BuildFrontend = sound
	for range 3 * cap(p.pool.slots) {
		err := p.pool.use(ctx, false, func(*conn) (bool, error) { panic("boom") })
		if destination.PanicOf(err) == nil {
			t.Fatalf("while in use: %v", err)
		}
	}
	if _, err := p.Send(ctx, plain(t, 1)); err != nil {
		t.Error(err)
	}
}
