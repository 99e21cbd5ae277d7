package servers_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-51f8da91/fantail/test/servers"
)

func TestPostgresGivesEachTestItsDatabase(t *testing.T) {
	a, b := servers.StartPostgres(t), servers.StartPostgres(t)
	for _, p := range []servers.Postgres{a, b} {
		c, err := pgx.Connect(t.Context(), p.DSN)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(t.Context())
		if _, err := c.Exec(t.Context(), "CREATE TABLE t (a TEXT)"); err != nil {
			t.Error(err)
		}
	}
}

func TestPostgresChecksPasswords(t *testing.T) {
	config, err := pgx.ParseConfig(servers.StartPostgres(t).DSN)
	if err != nil {
		t.Fatal(err)
	}
	config.Password = "wrong"
	_, err = pgx.ConnectConfig(t.Context(), config)
	if pe, ok := errors.AsType[*pgconn.PgError](err); !ok || pe.Code != "28P01" {
		t.Errorf("a wrong password: %v", err)
	}
}
