package servers

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// MySQL is an empty database of the test's own.
type MySQL struct {
	DSN string // as github.com/go-sql-driver/mysql reads it; the user may make users
}

const (
	mysqlUser     = "fantail"
	mysqlPassword = "secret-of-mysql"
)

var mariadb shared

// StartMySQL returns a new database on a MariaDB that the test process has for
// itself, or on the server that FANTAIL_TEST_MYSQL_DSN names: the only way to
// MySQL itself, which Debian does not have.
func StartMySQL(t testing.TB) MySQL {
	t.Helper()
	server := os.Getenv("FANTAIL_TEST_MYSQL_DSN")
	if server == "" {
		server = mysqlDSN(mariadb.use(t, func(at port) (*process, error) { return startMariaDB(at, nil) }))
	}
	config, err := mysql.ParseDSN(server)
	if err != nil {
		t.Fatal("FANTAIL_TEST_MYSQL_DSN is no DSN") // the error might show its password
	}
	name := Name()
	execMySQL(t, server, "CREATE DATABASE `"+name+"`")
	t.Cleanup(func() { execMySQL(t, server, "DROP DATABASE `"+name+"`") })
	config.DBName = name
	return MySQL{DSN: config.FormatDSN()}
}

func mysqlDSN(addr string) string {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr = mysqlUser, mysqlPassword, "tcp", addr
	return c.FormatDSN()
}

// startMariaDB starts a server; with certs it also takes TLS.
func startMariaDB(at port, certs *certificates) (*process, error) {
	const variable = "FANTAIL_TEST_MYSQL_DSN"
	install, err := find("mariadb-install-db")
	if err != nil {
		return nil, missing("mariadb-server", variable, err)
	}
	server, err := find("mariadbd", "/usr/sbin")
	if err != nil {
		return nil, missing("mariadb-server", variable, err)
	}
	dir, err := newDir("mariadb")
	if err != nil {
		return nil, err
	}
	data, first := filepath.Join(dir, "data"), filepath.Join(dir, "first.sql")
	args := []string{"--no-defaults", "--datadir=" + data, "--init-file=" + first, "--bind-address=127.0.0.1", "--port=" + at.String(),
		"--socket=" + filepath.Join(dir, "socket"), "--pid-file=" + filepath.Join(dir, "pid"), "--tmpdir=" + dir, "--skip-log-bin", "--skip-name-resolve",
		"--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=nosync", "--innodb-buffer-pool-size=64M", "--performance-schema=OFF", "--max-allowed-packet=64M"} // what is committed survives Kill, not the machine
	err = os.WriteFile(first, []byte("CREATE USER IF NOT EXISTS '"+mysqlUser+"'@'%' IDENTIFIED BY '"+mysqlPassword+"';\nGRANT ALL ON *.* TO '"+mysqlUser+"'@'%' WITH GRANT OPTION;\n"), 0o644)
	if err == nil && certs != nil {
		var f certFiles
		f, err = certs.write(dir)
		args = append(args, "--ssl-ca="+f.ca, "--ssl-cert="+f.cert, "--ssl-key="+f.key)
	}
	if err == nil {
		err = run(true, dir, install, "--no-defaults", "--datadir="+data, "--tmpdir="+dir, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return launch(command{
		name: "mariadb", path: server, args: args, unprivileged: true,
		quit: syscall.SIGTERM, kill: syscall.SIGKILL,
		ready: func(ctx context.Context) error {
			db, err := sql.Open("mysql", mysqlDSN(at.addr()))
			if err != nil {
				return err
			}
			defer db.Close()
			return db.PingContext(ctx)
		},
	}, dir)
}

func execMySQL(t testing.TB, dsn, statement string) {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal("open FANTAIL_TEST_MYSQL_DSN failed")
	}
	defer db.Close()
	if _, err := db.ExecContext(context.Background(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}
