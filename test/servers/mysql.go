package servers

import (
	"context"
	"database/sql"
	"fmt"
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

var mysqlServer shared

// StartMySQL returns a new database on a server that the test process has for
// itself: MariaDB, or MySQL itself where FANTAIL_TEST_MYSQL_SERVER is "mysql".
// FANTAIL_TEST_MYSQL_DSN names another server.
func StartMySQL(t testing.TB) MySQL {
	t.Helper()
	server := os.Getenv("FANTAIL_TEST_MYSQL_DSN")
	if server == "" {
		server = mysqlDSN(mysqlServer.use(t, func(at port) (*process, error) { return startMySQL(at, nil) }))
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

// startMySQL starts a server of the family; with certs it also takes TLS.
func startMySQL(at port, certs *certificates) (*process, error) {
	switch which := variable("FANTAIL_TEST_MYSQL_SERVER", "mariadb"); which {
	case "mariadb":
		return startMariaDB(at, certs)
	case "mysql":
		return startMySQLItself(at, certs)
	default:
		return nil, fmt.Errorf("FANTAIL_TEST_MYSQL_SERVER is %q: it may be mariadb or mysql", which)
	}
}

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
	data := filepath.Join(dir, "data")
	args, err := mysqlArgs(dir, data, at, certs)
	if err == nil {
		err = run(true, dir, install, "--no-defaults", "--datadir="+data, "--tmpdir="+dir, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return launch(command{
		name: "mariadb", path: server, args: append([]string{"--no-defaults"}, args...), unprivileged: true,
		quit: syscall.SIGTERM, kill: syscall.SIGKILL, ready: answersMySQL(at),
	}, dir)
}

// mysqlArgs are the settings that MariaDB and MySQL share. They name a file in dir that makes the
// user. Committed data survives Kill, but not a failure of the machine.
func mysqlArgs(dir, data string, at port, certs *certificates) ([]string, error) {
	first := filepath.Join(dir, "first.sql")
	err := os.WriteFile(first, []byte("CREATE USER IF NOT EXISTS '"+mysqlUser+"'@'%' IDENTIFIED BY '"+mysqlPassword+"';\nGRANT ALL ON *.* TO '"+mysqlUser+"'@'%' WITH GRANT OPTION;\n"), 0o644)
	args := []string{"--datadir=" + data, "--init-file=" + first, "--bind-address=127.0.0.1", "--port=" + at.String(),
		"--socket=" + filepath.Join(dir, "socket"), "--pid-file=" + filepath.Join(dir, "pid"), "--tmpdir=" + dir, "--skip-log-bin", "--skip-name-resolve",
		"--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=nosync", "--innodb-buffer-pool-size=64M", "--performance-schema=OFF", "--max-allowed-packet=64M"}
	if err == nil && certs != nil {
		var f certFiles
		f, err = certs.write(dir)
		args = append(args, "--ssl-ca="+f.ca, "--ssl-cert="+f.cert, "--ssl-key="+f.key)
	}
	return args, err
}

func answersMySQL(at port) func(context.Context) error {
	return func(ctx context.Context) error {
		db, err := sql.Open("mysql", mysqlDSN(at.addr()))
		if err != nil {
			return err
		}
		defer db.Close()
		return db.PingContext(ctx)
	}
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
