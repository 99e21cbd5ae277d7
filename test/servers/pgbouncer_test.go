package servers_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-51f8da91/fantail/test/servers"
)

// TestPgBouncerSharesItsConnections: clients that prepare statements, as pgx does by default, fail
// behind it.
func TestPgBouncerSharesItsConnections(t *testing.T) {
	p := servers.StartPgBouncer(t, servers.StartPostgres(t).DSN, 1)
	for n := range 2 {
		c, err := pgx.Connect(t.Context(), p.DSN)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(t.Context())
		if _, err := c.Exec(t.Context(), "SELECT 1"); err != nil { // without an argument nothing is prepared
			t.Error(err)
		}
		_, err = c.Prepare(t.Context(), "s", "SELECT $1::text")
		if pe, ok := errors.AsType[*pgconn.PgError](err); n == 0 && err != nil || n == 1 && (!ok || pe.Code != "42P05") {
			t.Errorf("client %d: %v", n, err)
		}
	}
	if n := p.Servers(); n != 1 {
		t.Errorf("%d connections for two clients", n)
	}
}
