package supabase

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	project "github.com/seed-51f8da91/fantail/test/servers/supabase"
)

// ways are those to run SQL, with what a project needs for each.
var ways = map[string]struct {
	prepare func(testing.TB, *project.Project)
	use     func(*project.Project) func(*Config)
}{
	"dsn": {func(testing.TB, *project.Project) {}, func(p *project.Project) func(*Config) {
		return func(c *Config) { c.Complete.DSN = secret.New(p.DSN) }
	}},
	"pg_query": {func(tb testing.TB, p *project.Project) { p.SelfHosted(tb) }, func(*project.Project) func(*Config) {
		return func(c *Config) { c.Complete.PGQuery = true }
	}},
	"rpc": {func(tb testing.TB, p *project.Project) {
		p.Exec(tb, tablesOf("terra", "public").functionScript())
		p.Reload(tb)
	}, func(*project.Project) func(*Config) { return func(c *Config) { c.Complete.RPC = true } }},
	"access_token": {func(testing.TB, *project.Project) {}, func(p *project.Project) func(*Config) {
		return func(c *Config) {
			c.Complete.AccessToken, c.Complete.Project, c.Complete.API = secret.New(p.AccessToken), p.Reference, p.API
		}
	}},
}

func wantClass(tb testing.TB, err error, class destination.Class, says string) {
	tb.Helper()
	if got, _ := destination.ClassOf(err); err == nil || got != class || !strings.Contains(err.Error(), says) {
		tb.Fatalf("%v is %v, want %v that says %q", err, got, class, says)
	}
}

func TestEachWayCompletesTheTables(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			p := project.Start(t)
			way.prepare(t, p)
			d := opened(t, p, way.use(p))
			daily, auth := happened(t, 1, day(1, "00")), happened(t, 2, `{"type":"auth","user":{"user_id":"u"}}`)
			again := func(what string) {
				t.Helper()
				if err := deliver(t, d, daily); err != nil {
					wantClass(t, err, transient, "made just now")
					p.Await(t, "terra_misc_payloads", "updated_at")
					p.Await(t, "terra_users", "state_at")
					p.Reload(t) // Await may have seen what was there before
					send(t, d, daily)
				}
				send(t, d, auth)
				if n := len(bodies(t, p)); n != 2 {
					t.Errorf("%s: %d payloads", what, n)
				}
			}
			err := d.Check(t.Context())
			if _, ok := errors.AsType[destination.Remark](err); !ok || !strings.Contains(err.Error(), "completes") {
				t.Errorf("check: %v, want a remark that the tables are completed", err)
			}
			again("no tables")
			p.Exec(t, "DROP TABLE terra_users CASCADE", "DROP TABLE terra_data_payloads", "DROP TABLE terra_misc_payloads")
			again("dropped, and PostgREST does not know it")
			p.Exec(t, "ALTER TABLE terra_users DROP COLUMN state_at", "ALTER TABLE terra_data_payloads DROP COLUMN start_time")
			p.Reload(t)
			again("columns dropped")
			p.Exec(t, "ALTER TABLE terra_users DROP CONSTRAINT terra_users_pkey CASCADE")
			if err := deliver(t, d, happened(t, 3, `{"type":"auth","user":{"user_id":"v"}}`)); err != nil {
				wantClass(t, err, transient, "made just now")
			}
			send(t, d, happened(t, 3, `{"type":"auth","user":{"user_id":"v"}}`)) // the index needs no cache
			if err := d.Check(t.Context()); err != nil {
				t.Errorf("check: %v", err)
			}
		})
	}
}

func TestAWayThatFailsHoldsWithTheSQL(t *testing.T) {
	p := project.Start(t)
	p.Exec(t, `DO $$ BEGIN CREATE ROLE somebody LOGIN PASSWORD 'hidden-password'; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
	weak, err := url.Parse(p.DSN)
	if err != nil {
		t.Fatal(err)
	}
	wrong := *weak
	weak.User, wrong.User = url.UserPassword("somebody", "hidden-password"), url.UserPassword("somebody", "hidden-wrong")
	for name, c := range map[string]struct {
		way  func(*Config)
		says string
	}{
		"dsn without rights":     {func(c *Config) { c.Complete.DSN = secret.New(weak.String()) }, "42501"},
		"dsn, wrong password":    {func(c *Config) { c.Complete.DSN = secret.New(wrong.String()) }, "28P01"},
		"no /pg":                 {ways["pg_query"].use(p), "self-hosted"},
		"no function":            {ways["rpc"].use(p), "install the function"},
		"another token":          {func(c *Config) { ways["access_token"].use(p)(c); c.Complete.AccessToken = secret.New("hidden-token") }, "complete.access_token"},
		"another project's name": {func(c *Config) { ways["access_token"].use(p)(c); c.Complete.Project = "other" }, "complete.project"},
	} {
		t.Run(name, func(t *testing.T) {
			err := deliver(t, opened(t, p, c.way), happened(t, 1, `{"type":"auth","user":{"user_id":"u"}}`))
			wantClass(t, err, misconfigured, c.says)
			if !strings.Contains(err.Error(), "CREATE TABLE IF NOT EXISTS public.terra_users") || strings.Contains(err.Error(), "hidden") {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestAStaleCacheIsWaitedFor: for some seconds after a change PostgREST need not
// know it. Nothing is made twice meanwhile; when it never comes to know, the
// destination is held, until it does.
func TestAStaleCacheIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &stale{}
		d := over(t, f, func(c *Config) { c.Complete.AccessToken = secret.New("token") })
		e := happened(t, 1, `{"type":"auth","user":{"user_id":"u"}}`)
		wantClass(t, deliver(t, d, e), transient, "made just now")
		time.Sleep(settling - time.Second)
		wantClass(t, deliver(t, d, e), transient, "made just now")
		if f.made != 1 {
			t.Errorf("made %d times, want once", f.made)
		}
		time.Sleep(time.Second)
		wantClass(t, deliver(t, d, e), misconfigured, "reload schema")
		wantClass(t, deliver(t, d, e), misconfigured, "reload schema")
		if f.made != 2 {
			t.Errorf("made %d times, want twice", f.made)
		}
		f.knows = true
		send(t, d, e)
		f.knows = false // dropped
		wantClass(t, deliver(t, d, e), transient, "made just now")
	})
}

// stale is a project whose PostgREST knows the tables or not.
type stale struct {
	made  int
	knows bool
}

func (f *stale) RoundTrip(r *http.Request) (*http.Response, error) {
	a := answers{404, nil, rest("PGRST205")}
	switch {
	case strings.HasSuffix(r.URL.Path, "/database/query"):
		f.made++
		a = answers{201, nil, "[]"}
	case strings.HasPrefix(r.URL.Path, "/storage/"):
		a = stored(r)
	case f.knows:
		a = answers{200, nil, `[{}]`}
	}
	return a.RoundTrip(r)
}

// A database that does not answer holds nothing up beyond the attempt, and
// leaves no connection behind.
func TestADatabaseThatHangsIsLeft(t *testing.T) {
	p := project.Start(t)
	var dialled, open atomic.Int64
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		dialled.Add(1)
		open.Add(1)
		return &counted{Conn: c, open: &open}, nil
	}
	tx, err := p.DB.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec("SELECT pg_advisory_xact_lock(hashtext('fantail'), hashtext('public'))"); err != nil {
		t.Fatal(err)
	}
	target, err := readDSN(secret.New(p.DSN), secret.Value{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begun := time.Now()
	err = target.run(ctx, dial, tablesOf("terra", "public").script())
	if took := time.Since(begun); took > 8*time.Second { // the driver's own tidying up takes 15
		t.Errorf("it took %v", took)
	}
	wantClass(t, err, transient, "no answer in time")
	if dialled.Load() == 0 || open.Load() != 0 {
		t.Errorf("%d connections by the network of the engine, %d left open", dialled.Load(), open.Load())
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := target.run(t.Context(), dial, tablesOf("terra", "public").script()); err != nil || open.Load() != 0 {
		t.Errorf("%v, %d left open", err, open.Load())
	}
	wantClass(t, target.run(t.Context(), func(context.Context, string, string) (net.Conn, error) {
		return nil, destination.Misconfigure(errors.New("the guard refuses it"))
	}, ""), misconfigured, "the guard refuses it")
}

type counted struct {
	net.Conn
	open   *atomic.Int64
	closed atomic.Bool
}

func (c *counted) Close() error {
	if !c.closed.Swap(true) {
		c.open.Add(-1)
	}
	return c.Conn.Close()
}
