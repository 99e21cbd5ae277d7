package mysql

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// BenchmarkSend writes a user and a payload for each delivery, 16 attempts at a
// time, each with a connection of its own. Beside it the bare driver sends the
// same statements with the same arguments, but for what keeps them from rows of
// others, a transaction for each delivery, and knows what to send: it parses nothing.
func BenchmarkSend(b *testing.B) {
	f := newFar(b)
	f.conf.MaxConnections = sqltablestest.InFlight
	m := openWith(b, f.conf, sqltablestest.Deps(sqltablestest.Forgetful{}))
	b.Cleanup(func() { m.Close() })
	next := sqltablestest.Deliveries(b)
	batch := func(n int) error {
		ds := make([]destination.Delivery, n)
		for i := range ds {
			ds[i] = next()
		}
		for _, r := range m.SendBatch(b.Context(), ds) {
			if r.Err != nil {
				return r.Err
			}
		}
		return nil
	}
	for range 64 { // users, and files of the server: what is measured first would pay for them
		if err := batch(sqltables.MaxBatch); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("mysql", func(b *testing.B) {
		sqltablestest.Measure(b, 1, func(int, int) error {
			_, err := m.Send(b.Context(), next())
			return err
		})
	})
	b.Run("batches of 64", func(b *testing.B) {
		sqltablestest.Measure(b, sqltables.MaxBatch, func(_, n int) error { return batch(n) })
	})
	b.Run("bare driver", func(b *testing.B) {
		users, data := m.statements.users, m.statements.data // without the look at the row that is there
		created, url := "LEAST(created_at, VALUES(created_at))", "VALUES(payload_url)"
		users.tail = strings.Replace(users.tail, ownRow("user_id", created), created, 1)
		data.tail = strings.Replace(data.tail, ownRow("payload_id", url), url, 1)
		sqltablestest.Measure(b, 1, func(int, int) error {
			e := next().Event
			id, at := e.ID.String(), e.Ordering.Format(time.RFC3339Nano)
			mark := at + " " + id
			tx, err := m.db().BeginTx(b.Context(), nil)
			if err != nil {
				return err
			}
			defer tx.Rollback()
			if _, err := tx.ExecContext(b.Context(), users.head+users.row+users.tail, e.UserID, "r", at, "A,B", "GARMIN", "active", mark, mark, mark, mark, nil); err != nil {
				return err
			}
			if _, err := tx.ExecContext(b.Context(), data.head+data.row+data.tail, id, e.UserID, e.Type, at, sqltablestest.LinkTo(id), "2026-07-01T00:00:00Z", "2026-07-02T00:00:00Z"); err != nil {
				return err
			}
			return tx.Commit()
		})
	})
}
