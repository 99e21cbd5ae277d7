package pgclient

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// operators puts text where the driver looks for what a DSN leaves out: in the
// environment and in files of the home directory of whoever runs the daemon.
func operators(t *testing.T, text string) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	for name, content := range map[string]string{
		".pgpass":                    "*:*:*:*:" + text,
		".postgresql/root.crt":       text,
		".postgresql/postgresql.crt": text,
		".postgresql/postgresql.key": text,
		".pg_service.conf":           strings.ReplaceAll("[operator]\nhost=x\nport=7\nuser=x\npassword=x\ndbname=x\nkrbsrvname=x\nsearch_path=x\noptions=x\n", "x", text),
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(home, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGPASSFILE", "PGAPPNAME", "PGCONNECT_TIMEOUT", "PGSSLMODE", "PGSSLKEY", "PGSSLCERT", "PGSSLCERTMODE", "PGSSLSNI",
		"PGSSLROOTCERT", "PGSSLPASSWORD", "PGSSLNEGOTIATION", "PGTARGETSESSIONATTRS", "PGTZ", "PGOPTIONS", "PGMINPROTOCOLVERSION", "PGMAXPROTOCOLVERSION", "PGCHANNELBINDING", "PGREQUIREAUTH"} {
		t.Setenv(name, text)
	}
}

func TestNothingIsReadFromThisMachine(t *testing.T) {
	const text = "of-the-operator"
	target := New()
	target.Hosts = []farside.Host{{Name: "db.example", Port: 5432}, {Name: "two.example", Port: 5433}}
	target.User, target.Database, target.TLS.Mode = "u", "d", farside.Disable
	for name, set := range map[string]func(){
		"variables and files": func() {},
		"a service":           func() { t.Setenv("PGSERVICE", "operator") },
		"another file of services": func() {
			t.Setenv("PGSERVICEFILE", filepath.Join(os.Getenv("HOME"), ".pg_service.conf"))
		},
	} {
		operators(t, text)
		set()
		c, err := target.Config(new(net.Dialer).DialContext)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if all := fmt.Sprintf("%+v %+v", *c, c.Fallbacks); strings.Contains(all, text) || c.Password != "" || c.TLSConfig != nil {
			t.Errorf("%s: %s", name, all)
		}
		var hosts []string
		for _, f := range append([]*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port}}, c.Fallbacks...) {
			hosts = append(hosts, fmt.Sprintf("%s:%d %v", f.Host, f.Port, f.TLSConfig))
		}
		if !slices.Equal(hosts, []string{"db.example:5432 <nil>", "two.example:5433 <nil>"}) || len(c.RuntimeParams) != 2 || c.RuntimeParams["application_name"] != "fantail" || c.RuntimeParams["client_encoding"] != "UTF8" {
			t.Errorf("%s: hosts %q, parameters %v", name, hosts, c.RuntimeParams)
		}
	}
	t.Setenv("PGSERVICE", "missing-"+text)
	if _, err := target.Config(nil); err == nil || !strings.Contains(err.Error(), "PGSERVICE") || strings.Contains(err.Error(), text) {
		t.Errorf("a service that does not exist: %v", err)
	}
}

// TestNoPasswordGoesInClearWithoutTLS, to a server that asks for it: anybody on the
// way would read it.
func TestNoPasswordGoesInClearWithoutTLS(t *testing.T) {
	target := New()
	target.Hosts = []farside.Host{{Name: "db.example", Port: 5432}}
	target.User, target.Database, target.Password, target.TLS.Mode = "u", "d", secret.New("hunter2"), farside.Disable
	said := make(chan []byte, 1)
	c, err := target.Config(func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			head := make([]byte, 4)
			_, _ = io.ReadFull(far, head)
			_, _ = io.CopyN(io.Discard, far, int64(binary.BigEndian.Uint32(head))-4)
			_, _ = io.WriteString(far, message('R', "\x00\x00\x00\x03"))
			answer := make([]byte, 64)
			n, _ := far.Read(answer)
			said <- answer[:n]
		}()
		return near, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err = pgconn.ConnectConfig(ctx, c); err == nil {
		t.Error("it is let in")
	}
	select {
	case answer := <-said:
		if strings.Contains(string(answer), "hunter2") {
			t.Errorf("the server is told %q", answer)
		}
	case <-ctx.Done():
		t.Error("nobody has connected")
	}
}
