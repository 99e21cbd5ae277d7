package servers

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Postgres is an empty database of the test's own.
type Postgres struct {
	DSN string // a URL of the superuser; roles made with it can log in with their passwords
}

const (
	postgresUser     = "postgres"
	postgresPassword = "secret-of-postgres"
)

var postgres shared

// StartPostgres returns a new database on a cluster that the test process has
// for itself: PostgreSQL 15 or later, UTF8, passwords checked by SCRAM, nothing
// synced to disk.
func StartPostgres(t testing.TB) Postgres {
	t.Helper()
	server := os.Getenv("FANTAIL_TEST_POSTGRES_DSN")
	if server == "" {
		server = postgresURL(postgres.use(t, func(at port) (*process, error) { return startPostgres(at, nil) }))
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal("FANTAIL_TEST_POSTGRES_DSN is no URL") // the error would show its password
	}
	name := Name()
	query(t, server, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	t.Cleanup(func() { query(t, server, "DROP DATABASE "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)") })
	u.Path = "/" + name
	return Postgres{DSN: u.String()}
}

func postgresURL(addr string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(postgresUser, postgresPassword), Host: addr, Path: "/postgres", RawQuery: "sslmode=disable"}
	return u.String()
}

// startPostgres starts a cluster; with certs it also takes TLS.
func startPostgres(at port, certs *certificates) (*process, error) {
	initdb, err := find("initdb", "/usr/lib/postgresql/*/bin")
	if err != nil {
		return nil, missing("postgresql", "FANTAIL_TEST_POSTGRES_DSN", err)
	}
	dir, err := newMemoryDir("postgres")
	if err != nil {
		return nil, err
	}
	data, password := filepath.Join(dir, "data"), filepath.Join(dir, "password")
	var args []string
	err = os.WriteFile(password, []byte(postgresPassword), 0o644) // read by nobody; the folder is closed to others
	if err == nil {
		err = run(true, dir, initdb, "-D", data, "-U", postgresUser, "-A", "scram-sha-256", "--pwfile="+password, "--no-sync", "--wal-segsize=1", "-E", "UTF8", "--locale=C.UTF-8")
	}
	if err == nil && certs != nil {
		var f certFiles
		f, err = certs.write(dir)
		args = []string{"-c", "ssl=on", "-c", "ssl_ca_file=" + f.ca, "-c", "ssl_cert_file=" + f.cert, "-c", "ssl_key_file=" + f.key}
		err = errors.Join(err, allowCertificates(filepath.Join(data, "pg_hba.conf")))
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return launchPostgres(at, filepath.Dir(initdb), dir, args...)
}

// launchPostgres starts the cluster in the folder data of dir.
func launchPostgres(at port, bin, dir string, args ...string) (*process, error) {
	return launch(command{
		name: "postgres", path: filepath.Join(bin, "postgres"),
		args: append([]string{"-D", filepath.Join(dir, "data"), "-p", at.String(), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
			"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200", "-c", "max_wal_size=32MB", "-c", "min_wal_size=4MB"}, args...), // what is committed survives Kill, not the machine
		unprivileged: true,
		// SIGQUIT is its crash: after SIGKILL its orphans keep the data locked for a moment.
		quit: syscall.SIGINT, kill: syscall.SIGQUIT,
		ready: func(ctx context.Context) error {
			c, err := pgx.Connect(ctx, postgresURL(at.addr()))
			if err != nil {
				return err
			}
			return c.Close(ctx)
		},
	}, dir)
}

// allowCertificates lets ClientName in with its certificate alone.
func allowCertificates(hba string) error {
	rules, err := os.ReadFile(hba)
	if err != nil {
		return err
	}
	return os.WriteFile(hba, append([]byte("hostssl all "+ClientName+" 127.0.0.1/32 cert\n"), rules...), 0o600)
}

func query(t testing.TB, dsn, sql string) {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatalf("connect to PostgreSQL: %v", err)
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// missing says what to do about software that is not installed.
func missing(pkg, variable string, err error) error {
	return fmt.Errorf("%w: run make setup, or apt-get install %s, or name a server in %s", err, pkg, variable)
}
