package postgres

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// BenchmarkSend writes a user and a payload for each delivery, 16 attempts at a
// time, each with a connection of its own. Beside it a bare pgx sends the same
// statements with the same arguments, one round trip for each delivery, too, and
// knows what to send: it parses nothing. Prepared statements are faster still,
// and cannot be had behind poolers in transaction mode.
func BenchmarkSend(b *testing.B) {
	f := newFar(b)
	f.conf.MaxConnections = sqltablestest.InFlight
	p := openWith(b, f.conf, sqltablestest.Deps(sqltablestest.Forgetful{}))
	b.Cleanup(func() { p.Close() })
	next := sqltablestest.Deliveries(b)
	if _, err := p.Send(b.Context(), next()); err != nil {
		b.Fatal(err)
	}
	b.Run("postgres", func(b *testing.B) {
		sqltablestest.Measure(b, 1, func(int, int) error {
			_, err := p.Send(b.Context(), next())
			return err
		})
	})
	b.Run("batches of 64", func(b *testing.B) {
		sqltablestest.Measure(b, sqltables.MaxBatch, func(_, n int) error {
			ds := make([]destination.Delivery, n)
			for i := range ds {
				ds[i] = next()
			}
			for _, r := range p.SendBatch(b.Context(), ds) {
				if r.Err != nil {
					return r.Err
				}
			}
			return nil
		})
	})
	for name, mode := range map[string]pgx.QueryExecMode{"bare pgx": pgx.QueryExecModeExec, "bare pgx, prepared": pgx.QueryExecModeCacheStatement} {
		b.Run(name, func(b *testing.B) { bare(b, f, p.statements, mode, next) })
	}
}

func bare(b *testing.B, f *far, s statements, mode pgx.QueryExecMode, next func() destination.Delivery) {
	config, err := pgx.ParseConfig(f.conf.DSN.Reveal())
	if err != nil {
		b.Fatal(err)
	}
	config.DefaultQueryExecMode = mode
	var conns [sqltablestest.InFlight]*pgx.Conn
	for i := range conns {
		c, err := pgx.ConnectConfig(b.Context(), config)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close(b.Context())
		conns[i] = c
	}
	sqltablestest.Measure(b, 1, func(worker, _ int) error {
		e := next().Event
		id, at := e.ID.String(), e.Ordering.Format(time.RFC3339Nano)
		mark := at + " " + id
		batch := &pgx.Batch{}
		batch.Queue(limit, "300000")
		batch.Queue(s.users, []string{e.UserID}, []string{"r"}, []string{at}, []string{"A,B"}, []string{"GARMIN"}, []string{"active"},
			[]string{mark}, []string{mark}, []string{mark}, []string{mark}, []*string{nil})
		batch.Queue(s.data, []string{id}, []string{e.UserID}, []string{e.Type}, []string{at}, []string{sqltablestest.LinkTo(id)},
			[]string{"2026-07-01T00:00:00Z"}, []string{"2026-07-02T00:00:00Z"})
		return conns[worker].SendBatch(b.Context(), batch).Close()
	})
}
