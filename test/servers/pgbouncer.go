package servers

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// PgBouncer is a pooler in transaction mode. A client has a connection to the server for as long as a
// transaction lasts, and its next transaction may get another.
type PgBouncer struct {
	DSN string // that of the server behind it, with the address of the pooler
	t   testing.TB
}

// StartPgBouncer puts a pooler for one test before the server of dsn, a URL. For each user and database
// it has that many connections to the server, however many clients there are.
func StartPgBouncer(t testing.TB, dsn string, connections int) PgBouncer {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal("the DSN is no URL") // the error would show its password
	}
	at, err := reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(at.release)
	p, err := startPgBouncer(at, u, connections)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	p.showLog(t)
	u.Host = at.addr()
	return PgBouncer{DSN: u.String(), t: t}
}

// Servers returns how many connections to the server there are, in use or not.
func (p PgBouncer) Servers() (n int) {
	p.t.Helper()
	ctx := context.Background()
	c, err := connectTo(ctx, p.DSN, "pgbouncer")
	if err != nil {
		p.t.Fatalf("ask the pooler: %v", err)
	}
	defer c.Close(ctx)
	all, err := c.Exec(ctx, "SHOW SERVERS").ReadAll()
	if err != nil {
		p.t.Fatalf("ask the pooler: %v", err)
	}
	return len(all[0].Rows)
}

func connectTo(ctx context.Context, dsn, database string) (*pgconn.PgConn, error) {
	config, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	config.Database = database
	return pgconn.ConnectConfig(ctx, config)
}

func startPgBouncer(at port, server *url.URL, connections int) (*process, error) {
	path, err := find("pgbouncer", "/usr/sbin")
	if err != nil {
		return nil, fmt.Errorf("%w: run make setup, or apt-get install pgbouncer", err)
	}
	dir, err := newDir("pgbouncer")
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(server.Host)
	if err != nil {
		host, port = server.Host, "5432"
	}
	password, _ := server.User.Password()
	settings, users := filepath.Join(dir, "pgbouncer.ini"), filepath.Join(dir, "users")
	for file, text := range map[string]string{
		users: fmt.Sprintf("%q %q\n", server.User.Username(), password),
		settings: strings.Join([]string{
			"[databases]", "* = host=" + host + " port=" + port,
			"[pgbouncer]", "listen_addr = 127.0.0.1", "listen_port = " + at.String(), "unix_socket_dir =",
			"auth_type = scram-sha-256", "auth_file = " + users, "admin_users = " + server.User.Username(),
			"pool_mode = transaction", fmt.Sprintf("default_pool_size = %d", connections), "max_client_conn = 200", "",
		}, "\n"),
	} {
		if err = os.WriteFile(file, []byte(text), 0o644); err != nil { // read by nobody; the folder is closed to others
			os.RemoveAll(dir)
			return nil, err
		}
	}
	here := *server
	here.Host = at.addr()
	return launch(command{
		name: "pgbouncer", path: path, args: []string{settings}, unprivileged: true,
		quit: syscall.SIGTERM, kill: syscall.SIGKILL,
		ready: func(ctx context.Context) error {
			c, err := connectTo(ctx, here.String(), "pgbouncer")
			if err != nil {
				return err
			}
			return c.Close(ctx)
		},
	}, dir)
}
