package mysql

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	driver "github.com/go-sql-driver/mysql"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
)

const userPassword = "secret-of-the-user"

// far is a database with a user who may do what the documentation asks for, and
// no more.
type far struct {
	admin          *sql.DB
	user, database string
	store          *sqltablestest.Store
	conf           Config
}

func newFar(tb testing.TB) *far { return farAt(tb, servers.StartMySQL(tb).DSN) }

// farAt prepares the database of dsn.
func farAt(tb testing.TB, dsn string) *far {
	tb.Helper()
	c, err := driver.ParseDSN(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	admin, err := sql.Open("mysql", dsn)
	if err != nil {
		tb.Fatal(err)
	}
	admin.SetMaxIdleConns(0) // servers are killed
	f := &far{admin: admin, database: c.DBName, user: "u" + strings.ReplaceAll(servers.Name(), "-", "")[:20], store: sqltablestest.NewStore(), conf: defaults()}
	f.exec(tb, fmt.Sprintf("CREATE USER %s@'%%' IDENTIFIED BY '%s'", f.user, userPassword))
	f.grant(tb, "SELECT, INSERT, UPDATE, CREATE, ALTER, INDEX")
	tb.Cleanup(func() {
		f.exec(tb, "DROP USER "+f.user)
		admin.Close()
	})
	f.conf.Host, f.conf.Database, f.conf.User, f.conf.Password = c.Addr, f.database, f.user, secret.New(userPassword)
	f.conf.TLS.Mode = farside.Disable
	return f
}

func (f *far) exec(tb testing.TB, statements ...string) {
	tb.Helper()
	sqltablestest.Exec(tb, f.admin, statements...)
}

func (f *far) grant(tb testing.TB, rights string) {
	tb.Helper()
	f.exec(tb, fmt.Sprintf("GRANT %s ON `%s`.* TO %s", rights, f.database, f.user))
}

func (f *far) revoke(tb testing.TB, rights string) {
	tb.Helper()
	f.exec(tb, fmt.Sprintf("REVOKE %s ON `%s`.* FROM %s", rights, f.database, f.user))
	f.cut(tb) // connections keep the rights to a database that they began with
}

// cut ends the connections of the user.
func (f *far) cut(tb testing.TB) {
	tb.Helper()
	for _, row := range sqltablestest.Rows(tb, f.admin, "information_schema.processlist", "id") {
		if row["USER"] == f.user {
			f.admin.ExecContext(tb.Context(), "KILL "+row["ID"]) // it may have ended by itself
		}
	}
}

func (f *far) open(tb testing.TB, change ...func(*Config)) *mysql {
	tb.Helper()
	c := f.conf
	for _, with := range change {
		with(&c)
	}
	m := openWith(tb, c, sqltablestest.Deps(f.store))
	tb.Cleanup(func() {
		if err := m.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return m
}

func openWith(tb testing.TB, c Config, deps destination.Deps) *mysql {
	tb.Helper()
	if err := c.Validate(); err != nil {
		tb.Fatal(err)
	}
	d, err := open(c, deps)
	if err != nil {
		tb.Fatal(err)
	}
	return d.(*mysql)
}

// maria tells whether the server is MariaDB.
func (f *far) maria(tb testing.TB) bool {
	tb.Helper()
	return strings.Contains(sqltablestest.Rows(tb, f.admin, "(SELECT VERSION() AS v) AS x", "v")[0]["v"], "MariaDB")
}

// exact is the collation of new tables.
func (f *far) exact(tb testing.TB) string {
	tb.Helper()
	return server{maria: f.maria(tb)}.exact()
}

func (f *far) shared() sqltablestest.Far {
	return sqltablestest.Far{DB: f.admin, Store: f.store, Open: func(tb testing.TB) destination.Destination { return f.open(tb) }}
}

func tableNames() (names []string) {
	for _, t := range sqltables.Of("terra").All() {
		names = append(names, t.Name)
	}
	return names
}
