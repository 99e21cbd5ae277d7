package postgres

import (
	"database/sql"
	"fmt"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // for looking at the tables

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
)

const rolePassword = "secret-of-the-role"

// far is a database with a role that may do what the documentation asks for, and
// no more.
type far struct {
	admin *sql.DB // the superuser
	role  string
	store *sqltablestest.Store
	conf  Config
}

func newFar(tb testing.TB) *far { return farAt(tb, servers.StartPostgres(tb).DSN) }

// farAt makes a role and a schema of its name in the database of dsn.
func farAt(tb testing.TB, dsn string) *far {
	tb.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	f := &far{role: "role_" + servers.Name(), store: sqltablestest.NewStore(), conf: defaults()}
	inside := *u
	inside.RawQuery = "sslmode=disable&search_path=" + url.QueryEscape(quoted(f.role))
	admin, err := sql.Open("pgx", inside.String())
	if err != nil {
		tb.Fatal(err)
	}
	admin.SetMaxIdleConns(0) // servers are killed
	f.admin = admin
	sqltablestest.Exec(tb, admin,
		fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", quoted(f.role), rolePassword),
		fmt.Sprintf("CREATE SCHEMA %s", quoted(f.role)), fmt.Sprintf("GRANT CREATE, USAGE ON SCHEMA %[1]s TO %[1]s", quoted(f.role)))
	tb.Cleanup(func() {
		defer admin.Close()
		sqltablestest.Exec(tb, admin,
			fmt.Sprintf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '%s'", f.role),
			"DROP SCHEMA IF EXISTS "+quoted(f.role)+" CASCADE", "DROP OWNED BY "+quoted(f.role)+" CASCADE", "DROP ROLE "+quoted(f.role))
	})
	u.User = url.UserPassword(f.role, rolePassword)
	u.RawQuery = "sslmode=disable"
	f.conf.DSN = secret.New(u.String())
	return f
}

// open opens the destination with the settings of f.
func (f *far) open(tb testing.TB, change ...func(*Config)) *postgres {
	tb.Helper()
	c := f.conf
	for _, with := range change {
		with(&c)
	}
	p := openWith(tb, c, sqltablestest.Deps(f.store))
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return p
}

func openWith(tb testing.TB, c Config, deps destination.Deps) *postgres {
	tb.Helper()
	if err := c.Validate(); err != nil {
		tb.Fatal(err)
	}
	d, err := open(c, deps)
	if err != nil {
		tb.Fatal(err)
	}
	return d.(*postgres)
}

func (f *far) exec(tb testing.TB, statements ...string) {
	tb.Helper()
	sqltablestest.Exec(tb, f.admin, statements...)
}

// cut ends the connections of the role.
func (f *far) cut(tb testing.TB) {
	tb.Helper()
	f.exec(tb, fmt.Sprintf("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '%s'", f.role))
}

func tableNames() (names []string) {
	for _, t := range sqltables.Of("terra").All() {
		names = append(names, t.Name)
	}
	return names
}

func pgError(code string) error {
	return fmt.Errorf("write: %w", &pgconn.PgError{Severity: "ERROR", Code: code, Message: "no"})
}

func classOf(err error, alone bool) string {
	class, _ := destination.ClassOf(err)
	if alone {
		return class.String() + " alone"
	}
	return class.String()
}
