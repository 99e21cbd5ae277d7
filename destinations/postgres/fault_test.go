package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
	"github.com/seed-51f8da91/fantail/test/servers/faults"
)

func plain(tb testing.TB, n int) destination.Delivery {
	return destinationtest.Delivery(tb, n, fmt.Appendf(nil, `{"type":"daily","user":{"user_id":"u%d"},"data":[{}]}`, n))
}

// via is the DSN with other hosts.
func (f *far) via(hosts, query string) func(*Config) {
	return func(c *Config) {
		u, _ := url.Parse(f.conf.DSN.Reveal())
		c.DSN = secret.New(fmt.Sprintf("postgres://%s@%s%s?%s", u.User, hosts, u.Path, query))
	}
}

func address(f *far) string {
	u, _ := url.Parse(f.conf.DSN.Reveal())
	return u.Host
}

func TestRowsAreTheEventsWhateverHappens(t *testing.T) {
	server := servers.PrivatePostgres(t)
	f := farAt(t, server.DSN)
	proxy := faults.New(t, address(f))
	d := f.open(t, f.via(proxy.Addr, "sslmode=disable"))
	for n, fault := range []struct {
		name string
		f    func()
	}{
		{"killed and started again", func() { server.Kill(); server.Start() }},
		{"stopped and started again", func() { server.Stop(); server.Start() }},
		{"connections cut", func() { f.cut(t); f.cut(t) }},
		{"rights revoked and granted", func() {
			f.exec(t, "REVOKE ALL ON terra_users FROM "+quoted(f.role))
			f.exec(t, "GRANT ALL ON terra_users TO "+quoted(f.role))
		}},
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
	p := f.open(t)
	for n := range 3 {
		if _, err := p.Send(t.Context(), plain(t, n)); err != nil {
			t.Fatal(err)
		}
		f.cut(t)
	}
}

func TestConnectionsAreFewAndClosedWhenIdle(t *testing.T) {
	f := newFar(t)
	p := f.open(t, func(c *Config) { c.MaxConnections = 2 })
	count := func() (n int) {
		t.Helper()
		if err := f.admin.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE usename = $1", f.role).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	sqltablestest.Load(t, f.shared(), p, 1, 100, func() {})
	if n := count(); n < 1 || n > 2 {
		t.Errorf("%d connections, want 1 or 2", n)
	}
	p.pool.drop(time.Now()) // what sweep does after a while
	for n := count(); n > 0; n = count() {
		if t.Context().Err() != nil {
			t.Fatalf("%d connections are left", n)
		}
	}
	if _, err := p.Send(t.Context(), plain(t, 1)); err != nil {
		t.Error(err)
	}
}

// TestACancelledAttemptLeavesNothingRunning: neither at the server, nor a
// connection that the next attempt would trip over.
func TestACancelledAttemptLeavesNothingRunning(t *testing.T) {
	f := newFar(t)
	p := f.open(t)
	if _, err := p.Send(t.Context(), plain(t, 1)); err != nil {
		t.Fatal(err)
	}
	tx, err := f.admin.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "LOCK TABLE terra_users"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := p.Send(ctx, plain(t, 1)); err == nil || !strings.Contains(err.Error(), "no answer in time") && !strings.Contains(err.Error(), "57014") {
		t.Errorf("while locked: %v", err)
	}
	waiting := 1
	for deadline := time.Now().Add(time.Minute); waiting > 0 && time.Now().Before(deadline); {
		if err := tx.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted").Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	if waiting > 0 {
		t.Error("the server still waits for the lock")
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Send(t.Context(), plain(t, 1)); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

func TestAReplicaIsPassedOverForThePrimary(t *testing.T) {
	primary, replica := newFar(t), newFar(t)
	replica.exec(t, "ALTER ROLE "+quoted(replica.role)+" SET default_transaction_read_only = on")
	// The replica plays the first host: same role, another name of the machine.
	primary.exec(t, "ALTER ROLE "+quoted(primary.role)+" SET default_transaction_read_only = off")
	p := primary.open(t, primary.via("127.0.0.1:1,"+address(primary), "sslmode=disable"))
	if p.target.Session != "read-write" {
		t.Errorf("several hosts and %q", p.target.Session)
	}
	if _, err := p.Send(t.Context(), plain(t, 1)); err != nil {
		t.Errorf("the first host is down: %v", err)
	}
	r := replica.open(t, replica.via(address(replica), "sslmode=disable&target_session_attrs=read-write"))
	_, err := r.Send(t.Context(), plain(t, 1))
	if class, _ := destination.ClassOf(err); err == nil || class != destination.Transient || !strings.Contains(err.Error(), "read only") {
		t.Errorf("only a replica: %v", err)
	}
}

func TestEveryHostPassesTheGuard(t *testing.T) {
	f := newFar(t)
	var asked []string
	deps := sqltablestest.Deps(f.store)
	dial := deps.Dial
	refusal := destination.Misconfigure(errors.New("the guard refuses it"))
	c := f.conf
	f.via("one.example:1,two.example:2,"+address(f), "sslmode=disable")(&c)
	deps.Dial = func(ctx context.Context, network, to string) (net.Conn, error) {
		asked = append(asked, to)
		if strings.HasPrefix(to, "one") || strings.HasPrefix(to, "two") {
			return nil, refusal
		}
		return dial(ctx, network, to)
	}
	p := openWith(t, c, deps)
	defer p.Close()
	if _, err := p.Send(t.Context(), plain(t, 1)); err != nil {
		t.Error(err)
	}
	if got := strings.Join(asked[:3], " "); got != "one.example:1 two.example:2 "+address(f) {
		t.Errorf("asked for %s", got)
	}
	f.via("one.example:1", "sslmode=disable")(&c)
	q := openWith(t, c, deps)
	defer q.Close()
	if _, err := q.Send(t.Context(), plain(t, 1)); !errors.Is(err, refusal) {
		t.Errorf("%v, want the guard's own words", err)
	}
}

func TestModesOfTLS(t *testing.T) {
	server := servers.PrivatePostgres(t)
	f := farAt(t, server.DSN)
	_, port, _ := strings.Cut(address(f), ":")
	other := servers.PrivatePostgres(t)
	ca, cert, key := secret.New(string(server.TLS.CA)), secret.New(string(server.TLS.ClientCert)), secret.New(string(server.TLS.ClientKey))
	wrong := secret.New(string(other.TLS.CA))
	f.exec(t, "CREATE ROLE "+servers.ClientName+" LOGIN IN ROLE "+quoted(f.role))
	t.Cleanup(func() { f.exec(t, "DROP OWNED BY "+servers.ClientName+" CASCADE", "DROP ROLE "+servers.ClientName) })
	withCert := func(c *Config) {
		c.User, c.TLS.CA, c.TLS.Cert, c.TLS.Key = servers.ClientName, ca, cert, key
		c.DSN = secret.New(strings.Replace(c.DSN.Reveal(), rolePassword, "", 1))
		c.Schema = f.role
	}
	for _, tt := range []struct {
		name, host, query string
		change            func(*Config)
		says              string
	}{
		{"verify-full by default", "localhost", "", func(c *Config) { c.TLS.CA = ca }, ""},
		{"verify-full, nobody trusted", "localhost", "", func(c *Config) {}, "signed by nobody we trust"},
		{"verify-full, another trusted", "localhost", "", func(c *Config) { c.TLS.CA = wrong }, "signed by nobody we trust"},
		{"verify-full, another name", "localhost", "", func(c *Config) { c.TLS.CA, c.TLS.ServerName = ca, "other.example" }, "for another name"},
		{"verify-full, an address", "127.0.0.1", "", func(c *Config) { c.TLS.CA = ca }, ""},
		{"verify-ca, another name", "localhost", "sslmode=verify-ca", func(c *Config) { c.TLS.CA, c.TLS.ServerName = ca, "other.example" }, ""},
		{"verify-ca, another trusted", "localhost", "sslmode=verify-ca", func(c *Config) { c.TLS.CA = wrong }, "signed by nobody we trust"},
		{"require", "localhost", "sslmode=require", func(c *Config) {}, ""},
		{"disable", "localhost", "sslmode=disable", func(c *Config) {}, ""},
		{"client certificate", "localhost", "", withCert, ""},
		{"client certificate missing", "localhost", "", func(c *Config) { withCert(c); c.TLS.Cert, c.TLS.Key = secret.Value{}, secret.Value{} }, "set tls.cert and tls.key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			open := func() *postgres { return f.open(t, f.via(tt.host+":"+port, tt.query), tt.change) }
			_, err := open().Send(t.Context(), plain(t, 1))
			if (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %q", err, tt.says)
			}
			if class, _ := destination.ClassOf(err); err != nil && class != destination.Misconfigured {
				t.Errorf("%v is %v", err, class)
			}
			sqltablestest.ShowsCertificate(t, open(), tt.says, strings.Contains(tt.query, farside.Disable), tt.name == "client certificate")
		})
	}
	t.Run("a server without TLS", func(t *testing.T) {
		plainFar := newFar(t)
		p := plainFar.open(t, func(c *Config) { c.TLS = farside.TLS{Mode: farside.VerifyFull} })
		_, err := p.Send(t.Context(), plain(t, 1))
		if class, _ := destination.ClassOf(err); class != destination.Misconfigured || !strings.Contains(err.Error(), "takes no TLS") {
			t.Errorf("%v", err)
		}
	})
}

// TestASessionThatCannotBeginCostsNoEvent: no event is at fault for the
// parameters of a session, whatever the class of the code.
func TestASessionThatCannotBeginCostsNoEvent(t *testing.T) {
	f := newFar(t)
	for _, options := range []string{"-c timezone=Nowhere", "-c nonsense=1"} {
		p := f.open(t, func(c *Config) { c.DSN = secret.New(c.DSN.Reveal() + "&options=" + url.QueryEscape(options)) })
		_, err := p.Send(t.Context(), plain(t, 1))
		if class, _ := destination.ClassOf(err); err == nil || class != destination.Misconfigured || !strings.Contains(err.Error(), "mend options") {
			t.Errorf("%s: %v, %v", options, class, err)
		}
	}
}

// TestTextIsUTF8WhateverTheDatabaseIs: a server takes what it gets for its
// database's own encoding unless the session says otherwise.
func TestTextIsUTF8WhateverTheDatabaseIs(t *testing.T) {
	server := servers.StartPostgres(t)
	near := farAt(t, server.DSN)
	name := "latin_" + strings.ReplaceAll(servers.Name(), "-", "_")
	near.exec(t, "CREATE DATABASE "+name+" ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
	t.Cleanup(func() { near.exec(t, "DROP DATABASE "+name) })
	u, err := url.Parse(server.DSN)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	f := farAt(t, u.String())
	p := f.open(t)
	for n, want := range map[int]destination.Class{0: destination.Transient, 1: destination.Rejected} {
		body := `{"type":"auth","user":{"user_id":"` + strings.Repeat([]string{"ü", "日"}[n], 36) + `"}}`
		_, err := p.Send(t.Context(), destinationtest.Delivery(t, n, []byte(body)))
		if class, _ := destination.ClassOf(err); class != want || (err != nil) != (n == 1) {
			t.Errorf("%s: %v, %v", body, class, err)
		}
	}
	var length int
	if err := f.admin.QueryRowContext(t.Context(), "SELECT length(user_id) FROM terra_users").Scan(&length); err != nil || length != 36 {
		t.Errorf("%d characters, want 36: %v", length, err)
	}
}
