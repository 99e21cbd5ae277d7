package servers_test

import (
	"database/sql"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/seed-51f8da91/fantail/test/servers"
)

func TestMySQLGivesEachTestItsDatabase(t *testing.T) {
	for range 2 {
		db := openMySQL(t, servers.StartMySQL(t).DSN)
		if _, err := db.ExecContext(t.Context(), "CREATE TABLE t (a TEXT)"); err != nil {
			t.Error(err)
		}
	}
}

func TestMySQLChecksPasswords(t *testing.T) {
	config, err := mysql.ParseDSN(servers.StartMySQL(t).DSN)
	if err != nil {
		t.Fatal(err)
	}
	config.Passwd = "wrong"
	err = openMySQL(t, config.FormatDSN()).PingContext(t.Context())
	if me, ok := errors.AsType[*mysql.MySQLError](err); !ok || me.Number != 1045 {
		t.Errorf("a wrong password: %v", err)
	}
}

func TestMySQLIsTheServerAskedFor(t *testing.T) {
	var version string
	if err := openMySQL(t, servers.PrivateMySQL(t).DSN).QueryRowContext(t.Context(), "SELECT VERSION()").Scan(&version); err != nil {
		t.Fatal(err)
	}
	if maria, asked := strings.Contains(version, "MariaDB"), os.Getenv("FANTAIL_TEST_MYSQL_SERVER"); maria == (asked == "mysql") {
		t.Errorf("%s, where %q was asked for", version, asked)
	}
}

func openMySQL(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
