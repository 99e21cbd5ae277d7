package postgres

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// TestAPoolerInTransactionMode: two connections to the server, eight to the
// pooler, none of which has a session of its own.
func TestAPoolerInTransactionMode(t *testing.T) {
	f := newFar(t)
	pooler := servers.StartPgBouncer(t, f.conf.DSN.Reveal(), 2)
	f.conf.DSN, f.conf.MaxConnections = secret.New(pooler.DSN), 8
	t.Run("made", func(t *testing.T) { sqltablestest.TablesAreMadeAndMadeAgain(t, f.shared()) })
	t.Run("repeat", func(t *testing.T) { sqltablestest.ARepeatRefreshesTheLink(t, f.shared()) })
	t.Run("whole", func(t *testing.T) { sqltablestest.AnEventIsWhole(t, f.shared()) })
	t.Run("load", func(t *testing.T) { sqltablestest.Load(t, f.shared(), f.open(t), 1, 500, func() {}) })
	t.Run("its connections cut", func(t *testing.T) {
		sqltablestest.Load(t, f.shared(), f.open(t), 1000, 500, func() { f.cut(t); f.cut(t) })
	})
	t.Run("check", func(t *testing.T) {
		if err := f.open(t).Check(t.Context()); err != nil {
			t.Error(err)
		}
		f.exec(t, "DROP TABLE terra_users", "REVOKE CREATE ON SCHEMA "+quoted(f.role)+" FROM "+quoted(f.role))
		f.refused(t, f.open(t), 3)
	})
	t.Run("cancelled", func(t *testing.T) { f.cancelled(t, f.open(t)) })
	for name, with := range map[string]func(*Config){
		"no such database":              func(c *Config) { c.Database = "lost" },
		"unsupported startup parameter": options("-c timezone=UTC"),
	} {
		_, err := f.open(t, with).Send(t.Context(), plain(t, 1))
		if class, _ := destination.ClassOf(err); err == nil || class != destination.Misconfigured || !strings.Contains(err.Error(), "a pooler says so") {
			t.Errorf("%s: %v, %v", name, class, err)
		}
	}
	if n := pooler.Servers(); n < 1 || n > 2 {
		t.Errorf("%d connections to the server, want at most 2", n)
	}
}

// cancelled gives up an attempt that waits for a lock: neither the transaction
// nor its limit may stay behind for whoever gets the connection next.
func (f *far) cancelled(t *testing.T, p *postgres) {
	t.Helper()
	if _, err := p.Send(t.Context(), plain(t, 1)); err != nil {
		t.Fatal(err)
	}
	tx, err := f.admin.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(t.Context(), "UPDATE terra_users SET provider = 'x'"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := p.Send(ctx, plain(t, 1)); err == nil {
		t.Error("written in spite of the lock")
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := p.Send(ctx, plain(t, 1)); err != nil {
		t.Errorf("the next one: %v", err)
	}
	c, err := p.pool.get(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer p.pool.put(c, true)
	all, err := c.Exec(t.Context(), "SHOW statement_timeout").ReadAll()
	if err != nil || string(all[0].Rows[0][0]) != "0" {
		t.Errorf("after it the limit of a statement is %q: %v", all[0].Rows[0][0], err)
	}
}
