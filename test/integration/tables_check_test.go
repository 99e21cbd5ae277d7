package integration

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	mysqldriver "github.com/go-sql-driver/mysql"

	"github.com/seed-51f8da91/fantail/test/servers"
	"github.com/seed-51f8da91/fantail/test/servers/supabase"
)

// A check shows when the certificates of databases end, and which are not trusted. Those of the
// servers last a day.
func TestACheckShowsTheCertificatesOfDatabases(t *testing.T) {
	h := newHome(t)
	h.write("fantail.yaml", plain+"payloads: { dir: { path: payloads, public_url: 'http://events.example' } }\n")
	postgres, mysql := servers.PrivatePostgres(t), servers.PrivateMySQL(t)
	h.write("secrets/acme/postgres.pem", string(postgres.TLS.CA))
	h.write("secrets/acme/mysql.pem", string(mysql.TLS.CA))
	h.write("secrets/acme/cert.pem", string(mysql.TLS.ClientCert))
	h.write("secrets/acme/key.pem", string(mysql.TLS.ClientKey))
	u, err := url.Parse(postgres.DSN)
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = ""
	c, err := mysqldriver.ParseDSN(mysql.DSN)
	if err != nil {
		t.Fatal(err)
	}
	run := runner(t, admin(t, "mysql", mysql.DSN))
	run("CREATE DATABASE customer")
	project := supabase.On(t, postgres.DSN)
	var b strings.Builder
	b.WriteString("developer: acme\ndestinations:\n")
	add := func(name, kind, settings string, args ...any) {
		fmt.Fprintf(&b, "  - { name: %s, kind: %s, settings: { %s } }\n", name, kind, fmt.Sprintf(settings, args...))
	}
	for name, ca := range map[string]string{"trusted": "postgres", "stranger": "mysql"} {
		add("postgres-"+name, "postgres", "dsn: '%s', tls: { ca: '${file:secrets/acme/%s.pem}' }", u, ca)
		add("supabase-"+name, "supabase", "url: '%s', allow_http: true, service_role_key: '%s', complete: { dsn: '%s', ca: '${file:secrets/acme/%s.pem}' }", project.URL, project.Key, u, ca)
	}
	for name, ca := range map[string]string{"trusted": "mysql", "stranger": "postgres"} {
		add("mysql-"+name, "mysql", "dsn: 'mysql://%s:%s@%s/customer', tls: { ca: '${file:secrets/acme/%s.pem}', cert: '${file:secrets/acme/cert.pem}', key: '${file:secrets/acme/key.pem}' }", c.User, c.Passwd, c.Addr, ca)
	}
	h.write("developers/acme.yaml", b.String())
	d := h.start()
	for _, kind := range []string{"postgres", "mysql", "supabase"} {
		for name, want := range map[string]struct{ result, says string }{
			"trusted":  {"warn", "in 23 h"},
			"stranger": {"fail", "signed by an authority that is not trusted"},
		} {
			got, err := d.Check(t.Context(), "acme", kind+"-"+name)
			if err != nil {
				t.Fatal(err)
			}
			if f := finding(got, "tls"); f.Result != want.result || !strings.Contains(f.Message, want.says) {
				t.Errorf("%s: %+v, want %v", got.Name, got.Check, want)
			}
			if f := finding(got, "access"); kind == "mysql" && name == "trusted" && !strings.Contains(f.Message, "the client certificate in tls.cert ends on") {
				t.Errorf("%s: %+v", got.Name, f)
			}
		}
	}
	d.wantExpiry(t, "postgres-trusted", "mysql-trusted", "supabase-trusted")
}

// wantExpiry wants the gauge of the certificates of destinations.
func (d *daemon) wantExpiry(t *testing.T, names ...string) {
	t.Helper()
	text := d.metrics(t)
	for _, name := range names {
		if !strings.Contains(text, fmt.Sprintf("fantail_certificate_expiry_seconds{destination=%q,developer=%q} ", name, "acme")) {
			t.Errorf("/metrics tells nothing of the certificate of %s", name)
		}
	}
}
