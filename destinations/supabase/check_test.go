package supabase

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
	project "github.com/seed-51f8da91/fantail/test/servers/supabase"
)

func TestCheckFinds(t *testing.T) {
	for name, c := range map[string]struct {
		sql   string
		class destination.Class
		says  string
	}{
		"no right to read":      {"REVOKE SELECT ON terra_misc_payloads FROM service_role", misconfigured, "GRANT SELECT, INSERT, UPDATE ON TABLE public.terra_misc_payloads"},
		"no right to insert":    {"REVOKE INSERT ON terra_data_payloads FROM service_role", misconfigured, "GRANT SELECT, INSERT, UPDATE ON TABLE public.terra_data_payloads"},
		"no right to update":    {"REVOKE UPDATE ON terra_users FROM service_role", misconfigured, "GRANT SELECT, INSERT, UPDATE ON TABLE public.terra_users"},
		"no table":              {"DROP TABLE terra_data_payloads", misconfigured, "CREATE TABLE public.terra_data_payloads (payload_id TEXT PRIMARY KEY"},
		"no column":             {"ALTER TABLE terra_data_payloads DROP COLUMN end_time", misconfigured, "ALTER TABLE public.terra_data_payloads ADD end_time TIMESTAMPTZ; NOTIFY"},
		"the bucket is missing": {"", misconfigured, "create the private bucket terra-payloads"},
	} {
		t.Run(name, func(t *testing.T) {
			p := settled(t)
			if c.sql == "" {
				p.RenameBucket("terra-payloads", "gone")
			} else {
				p.Exec(t, c.sql)
				p.Reload(t)
			}
			d := opened(t, p)
			wantClass(t, d.Check(t.Context()), c.class, c.says)
		})
	}
}

func TestCheckRemarksOnAPublicBucket(t *testing.T) {
	p := settled(t)
	p.Restrict("terra-payloads", true, 0)
	err := opened(t, p).Check(t.Context())
	if r, ok := errors.AsType[destination.Remark](err); !ok || !strings.Contains(r.Error(), "public") {
		t.Errorf("%v, want a remark", err)
	}
}

// The column of natural identities is asked for only where it is used.
func TestCheckAsksForWhatIsUsed(t *testing.T) {
	p := settled(t)
	p.Exec(t, "ALTER TABLE terra_data_payloads DROP COLUMN updated_at", "ALTER TABLE terra_misc_payloads DROP COLUMN updated_at")
	p.Reload(t)
	if err := opened(t, p).Check(t.Context()); err != nil {
		t.Error(err)
	}
	send(t, opened(t, p), happened(t, 1, day(1, "00")))
	wantClass(t, opened(t, p, natural).Check(t.Context()), misconfigured, "updated_at")
}

func TestCheckLeavesNothing(t *testing.T) {
	p := settled(t)
	d := opened(t, p)
	p.Exec(t, `INSERT INTO terra_users (user_id) VALUES ('none')`)
	before := tableRows(t, p)
	if err := d.Check(t.Context()); err != nil {
		t.Error(err)
	}
	for table, rows := range tableRows(t, p) {
		if len(rows) != len(before[table]) {
			t.Errorf("%s: %v", table, rows)
		}
	}
	if n := len(p.Objects("terra-payloads")); n != 0 {
		t.Errorf("%d objects", n)
	}
}

func TestExplainNamesRowsAndObjects(t *testing.T) {
	d := over(t, refuses{errors.New("no network")})
	e := happened(t, 1, `{"type":"daily","user":{"user_id":"u","provider":"GARMIN"},"data":[{"metadata":{"start_time":"2026-07-01T00:00:00Z"}},{}]}`)
	x, err := d.Explain(destination.Delivery{ID: "x", Attempt: 1, Event: e})
	if err != nil {
		t.Fatal(err)
	}
	id := e.ID.String()
	if x.Target != "Supabase project abc.supabase.co, schema public, bucket terra-payloads" || x.Key != "daily/"+id+"-0.json daily/"+id+"-1.json" {
		t.Errorf("%q, %q", x.Target, x.Key)
	}
	for _, want := range []string{`terra_users {"created_at":`, `"provider":"GARMIN"`, `terra_data_payloads {`, `"start_time":"2026-07-01T00:00:00Z"`, `"payload_id":"` + id + `-1"`} {
		if !strings.Contains(x.Body, want) {
			t.Errorf("it lacks %s: %s", want, x.Body)
		}
	}
	x, err = d.Explain(destination.Delivery{ID: "x", Attempt: 1, Event: happened(t, 1, many(300))})
	if err != nil || strings.Count(x.Body, "\n") > sqltables.MaxExplained+2 {
		t.Errorf("%v, %d lines", err, strings.Count(x.Body, "\n"))
	}
}

// The database of complete.dsn proves who it is, unless told not to.
func TestDSNVerifiesTheServer(t *testing.T) {
	server := servers.PrivatePostgres(t)
	p := project.On(t, server.DSN)
	for mode, c := range map[string]struct {
		ca    string
		class destination.Class
		says  string // "": it succeeds
	}{
		"verify-full": {string(server.TLS.CA), transient, ""},
		"verify-ca":   {string(server.TLS.CA), transient, ""},
		"require":     {"", transient, ""},
		"":            {"", misconfigured, "set complete.ca"},
	} {
		u, err := url.Parse(p.DSN)
		if err != nil {
			t.Fatal(err)
		}
		if u.RawQuery = ""; mode != "" {
			u.RawQuery = "sslmode=" + mode
		}
		target, err := readDSN(secret.New(u.String()), secret.New(c.ca))
		if err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		err = target.run(t.Context(), (&net.Dialer{}).DialContext, tablesOf("terra", "public").script())
		if c.says == "" && err != nil {
			t.Errorf("%s: %v", mode, err)
		} else if c.says != "" {
			wantClass(t, err, c.class, c.says)
		}
	}
}

// What would be needed only when tables are missing is looked at all the same.
func TestCheckLogsInToComplete(t *testing.T) {
	server := servers.PrivatePostgres(t)
	p := project.On(t, server.DSN)
	u, err := url.Parse(p.DSN)
	if err != nil {
		t.Fatal(err)
	}
	dsn := func(host, password string) string {
		v := *u
		v.Host, v.RawQuery, v.User = host+":"+u.Port(), "", url.UserPassword(u.User.Username(), password)
		return v.String()
	}
	password, _ := u.User.Password()
	for _, tt := range []struct {
		name, dsn, ca string
		refused       bool // the certificate
		lacking, says string
	}{
		{"all is well", dsn("localhost", password), string(server.TLS.CA), false, "The first delivery completes the tables", ""},
		{"nobody trusted", dsn("localhost", password), "", true, "set complete.ca", "set complete.ca"},
		{"wrong password", dsn("localhost", "hidden-wrong"), string(server.TLS.CA), false, "28P01", "28P01"},
	} {
		d := opened(t, p, func(c *Config) { c.Complete.DSN, c.Complete.CA = secret.New(tt.dsn), secret.New(tt.ca) })
		p.Exec(t, "DROP TABLE IF EXISTS terra_users, terra_data_payloads, terra_misc_payloads")
		p.Reload(t)
		shaken, err := sqltablestest.Handshakes(t, d)
		if len(shaken) != 1 || (shaken[0].Err != nil) != tt.refused || time.Until(shaken[0].Ends) < 23*time.Hour {
			t.Errorf("%s: the handshakes are %+v", tt.name, shaken)
		}
		_, remarked := errors.AsType[destination.Remark](err)
		if err == nil || !strings.Contains(err.Error(), tt.lacking) || remarked != (tt.says == "") {
			t.Errorf("%s, tables missing: %v", tt.name, err)
		}
		settle(t, p)
		err = d.Check(t.Context())
		if _, remarked = errors.AsType[destination.Remark](err); remarked != (tt.says != "") || err != nil && (!remarked || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s, nothing missing: %v", tt.name, err)
		}
	}
}
