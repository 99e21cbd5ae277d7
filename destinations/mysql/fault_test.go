package mysql

import (
	"context"
	"database/sql"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
	"github.com/seed-51f8da91/fantail/test/servers/faults"
)

// private is a far side on a server of its own, in a database of its own.
func private(t *testing.T) (*servers.Private, *far) {
	t.Helper()
	server := servers.PrivateMySQL(t)
	admin := strings.TrimSuffix(server.DSN, "/")
	bare, err := sql.Open("mysql", admin+"/")
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	sqltablestest.Exec(t, bare, "CREATE DATABASE fantail_test")
	return server, farAt(t, admin+"/fantail_test")
}

func TestRowsAreTheEventsWhateverHappens(t *testing.T) {
	server, f := private(t)
	proxy := faults.New(t, f.conf.Host)
	d := f.open(t, func(c *Config) { c.Host = proxy.Addr })
	for n, fault := range []struct {
		name string
		f    func()
	}{
		{"killed and started again", func() { server.Kill(); server.Start() }},
		{"stopped and started again", func() { server.Stop(); server.Start() }},
		{"connections cut", func() { f.cut(t); f.cut(t) }},
		{"rights revoked and granted", func() { f.revoke(t, "INSERT"); f.grant(t, "INSERT") }},
		{"latency", func() { proxy.Latency(50 * time.Millisecond) }},
		{"resets", func() { proxy.Reset(); proxy.Heal() }},
		{"answers lost", func() { proxy.LoseAnswers(); proxy.Heal() }},
		{"down and up", func() { proxy.Down(); proxy.Up() }},
	} {
		t.Run(fault.name, func(t *testing.T) {
			if _, err := d.Send(t.Context(), plain(t, 90000+n)); err != nil {
				t.Logf("the first of all: %v", err)
			}
			f.shared().Empty(t)
			sqltablestest.Load(t, f.shared(), d, 2000*(n+1), 300, fault.f)
			proxy.Heal()
		})
	}
	t.Run("table dropped", func(t *testing.T) { // before the load: what a drop takes later is gone
		f.shared().Empty(t)
		f.exec(t, "DROP TABLE terra_users")
		sqltablestest.Load(t, f.shared(), d, 50000, 300, func() {})
	})
}

func TestADeadConnectionThatWasKeptCostsNoAttempt(t *testing.T) {
	f := newFar(t)
	m := f.open(t)
	for n := range 3 {
		if _, err := m.Send(t.Context(), plain(t, n)); err != nil {
			t.Fatal(err)
		}
		f.cut(t)
	}
}

func TestACancelledAttemptLeavesNothingInTheWay(t *testing.T) {
	f := newFar(t)
	m := f.open(t)
	if _, err := m.Send(t.Context(), plain(t, 1)); err != nil {
		t.Fatal(err)
	}
	tx, err := f.admin.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "UPDATE terra_users SET provider = 'x'"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := m.Send(ctx, plain(t, 1)); err == nil || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("while locked: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Send(t.Context(), plain(t, 1)); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

func TestAServerThatTakesNoWrites(t *testing.T) {
	_, f := private(t)
	m := f.open(t)
	if _, err := m.Send(t.Context(), plain(t, 1)); err != nil {
		t.Fatal(err)
	}
	f.exec(t, "SET GLOBAL read_only = ON")
	_, err := m.Send(t.Context(), plain(t, 2))
	if class, _ := destination.ClassOf(err); err == nil || class != destination.Transient || !strings.Contains(err.Error(), "takes no writes") {
		t.Errorf("send: %v", err)
	}
	if err := m.Check(t.Context()); err == nil {
		t.Error("the check finds nothing")
	}
	f.exec(t, "SET GLOBAL read_only = OFF")
	if _, err := m.Send(t.Context(), plain(t, 2)); err != nil {
		t.Error(err)
	}
	f.exec(t, "ALTER USER "+f.user+" WITH MAX_USER_CONNECTIONS 1")
	if _, err := f.open(t).Send(t.Context(), plain(t, 3)); err != nil {
		t.Error(err)
	}
	_, err = f.open(t).Send(t.Context(), plain(t, 3))
	if class, _ := destination.ClassOf(err); err == nil || class != destination.Transient {
		t.Errorf("no more connections: %v", err)
	}
}

func TestModesOfTLS(t *testing.T) {
	server, f := private(t)
	other := servers.PrivateMySQL(t)
	_, port, _ := net.SplitHostPort(f.conf.Host)
	ca, cert, key := secret.New(string(server.TLS.CA)), secret.New(string(server.TLS.ClientCert)), secret.New(string(server.TLS.ClientKey))
	wrong := secret.New(string(other.TLS.CA))
	f.exec(t, "ALTER USER "+f.user+" REQUIRE NONE")
	tls := func(mode, name string, ca secret.Value) func(*Config) {
		return func(c *Config) { c.TLS = farside.TLS{Mode: mode, CA: ca, ServerName: name} }
	}
	for _, tt := range []struct {
		name, host, require string
		change              func(*Config)
		says                string
	}{
		{"verify-full by default", "localhost", "SSL", tls("", "", ca), ""},
		{"verify-full, nobody trusted", "localhost", "NONE", tls("", "", secret.Value{}), "signed by nobody we trust"},
		{"verify-full, another trusted", "localhost", "NONE", tls("", "", wrong), "signed by nobody we trust"},
		{"verify-full, another name", "localhost", "NONE", tls("", "other.example", ca), "for another name"},
		{"verify-full, an address", "127.0.0.1", "NONE", tls("", "", ca), ""},
		{"verify-ca, another name", "localhost", "NONE", tls(farside.VerifyCA, "other.example", ca), ""},
		{"verify-ca, another trusted", "localhost", "NONE", tls(farside.VerifyCA, "", wrong), "signed by nobody we trust"},
		{"require", "localhost", "SSL", tls(farside.Require, "", secret.Value{}), ""},
		{"disable", "localhost", "NONE", tls(farside.Disable, "", secret.Value{}), ""},
		{"disable where TLS is a must", "localhost", "SSL", tls(farside.Disable, "", secret.Value{}), "1045"},
		{"client certificate", "localhost", "X509", func(c *Config) { c.TLS = farside.TLS{CA: ca, Cert: cert, Key: key} }, ""},
		{"client certificate missing", "localhost", "X509", tls("", "", ca), "1045"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f.exec(t, "ALTER USER "+f.user+" REQUIRE "+tt.require)
			open := func() *mysql { return f.open(t, func(c *Config) { c.Host = tt.host + ":" + port }, tt.change) }
			_, err := open().Send(t.Context(), plain(t, 1))
			if (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %q", err, tt.says)
			}
			if class, _ := destination.ClassOf(err); err != nil && class != destination.Misconfigured {
				t.Errorf("%v is %v", err, class)
			}
			sqltablestest.ShowsCertificate(t, open(), tt.says, strings.Contains(tt.name, "disable"), tt.name == "client certificate")
		})
	}
	t.Run("a server without TLS", func(t *testing.T) {
		m := f.open(t, func(c *Config) { c.Host = withoutTLS(t, f.conf.Host) }, tls(farside.VerifyFull, "", ca))
		_, err := m.Send(t.Context(), plain(t, 1))
		if class, _ := destination.ClassOf(err); class != destination.Misconfigured || !strings.Contains(err.Error(), "takes no TLS") {
			t.Errorf("%v", err)
		}
	})
}

// TestAServerThatTakesNoWritesIsLeft: after a failover, connections that were
// kept lead to what is a replica now, and only new ones follow the name.
func TestAServerThatTakesNoWritesIsLeft(t *testing.T) {
	_, f := private(t)
	deps := sqltablestest.Deps(f.store)
	dial, dials := deps.Dial, 0
	deps.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		dials++
		return dial(ctx, network, address)
	}
	m := openWith(t, f.conf, deps)
	defer m.Close()
	if _, err := m.Send(t.Context(), plain(t, 1)); err != nil || dials != 1 {
		t.Fatalf("%d connections: %v", dials, err)
	}
	f.exec(t, "SET GLOBAL read_only = ON")
	if _, err := m.Send(t.Context(), plain(t, 2)); err == nil {
		t.Fatal("a server that takes no writes has taken one")
	}
	f.exec(t, "SET GLOBAL read_only = OFF")
	if _, err := m.Send(t.Context(), plain(t, 2)); err != nil || dials != 2 {
		t.Errorf("%d connections: %v", dials, err)
	}
}
