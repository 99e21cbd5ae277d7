package fault

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/test/servers"
	"github.com/seed-51f8da91/fantail/test/servers/hostile"
	"github.com/seed-51f8da91/fantail/test/servers/strictaws"
	"github.com/seed-51f8da91/fantail/test/servers/supabase"
)

// growth is how much memory all hostile servers together may cost the daemon.
const growth = 64 << 20

// attacked is a destination whose server is hostile, and later forwards to a sound one.
type attacked struct {
	name, kind, settings string // settings with %s for the server's address
	script, sound        hostile.Script
	server               *hostile.Server
}

// TestHostileServers: whatever servers say, the daemon lives, does not grow, and serves others
// meanwhile. A destination whose server is sound again is served without a restart.
func TestHostileServers(t *testing.T) {
	for name, far := range map[string]func(*testing.T) []*attacked{"mysql": hostileMySQL, "postgres": hostilePostgres, "web": hostileWeb} {
		t.Run(name, func(t *testing.T) { survives(t, far(t)) })
	}
}

func survives(t *testing.T, all []*attacked) {
	healthy, arrived := counter(t, 0)
	dir := t.TempDir()
	listen := settings(t, dir)
	daemonFile := filepath.Join(dir, "fantail.yaml")
	text, err := os.ReadFile(daemonFile)
	if err != nil {
		t.Fatal(err)
	}
	acme := "developer: acme\ndestinations:\n"
	for _, a := range all {
		a.server = hostile.New(t, a.script)
		acme += fmt.Sprintf("  - { name: %s, kind: %s, timeout: 4s, retry: { waits: [100ms%s], jitter: 0 }, settings: { %s } }\n",
			a.name, a.kind, strings.Repeat(", 500ms", 99), strings.ReplaceAll(a.settings, "ADDRESS", a.server.Addr))
	}
	good := fmt.Sprintf("developer: good\ndestinations:\n  - { name: app, kind: webhook, settings: { url: %q, secret: a-secret-of-good, allow_http: true } }\n", healthy)
	if err := errors.Join(
		os.WriteFile(daemonFile, append(text, "payloads: { dir: { path: payloads, public_url: 'http://events.example' } }\n"...), 0o600),
		os.WriteFile(filepath.Join(dir, "developers", "acme.yaml"), []byte(acme), 0o600),
		os.WriteFile(filepath.Join(dir, "developers", "good.yaml"), []byte(good), 0o600)); err != nil {
		t.Fatal(err)
	}
	d := start(t, dir, listen)
	t.Cleanup(func() {
		if t.Failed() {
			d.kill()
			t.Logf("%s", tail(d.log.Bytes(), 8000))
		}
	})
	serves := func() {
		t.Helper()
		if _, err := d.Send(t.Context(), client.SendRequest{Developer: "good", Body: []byte(`{"type":"x"}`)}); err != nil {
			t.Fatalf("send: %v\n%s", err, tail(d.log.Bytes(), 8000))
		}
		await(t, arrived)
	}
	for range 20 {
		serves()
	}
	before := memory(t, d, "VmRSS")
	const events = 3 // more than they have connections, so that some wait for one
	for n := range events {
		body := fmt.Sprintf(`{"type":"daily","version":"2022-03-16","user":{"user_id":"u-%d"},"data":[{"metadata":{"start_time":"2026-07-01T00:00:00Z"}},{"metadata":{"start_time":"2026-07-02T00:00:00Z"}}]}`, n)
		if _, err := d.Send(t.Context(), client.SendRequest{Developer: "acme", Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	limit := time.Now().Add(patience)
	for {
		serves()
		resumeHeld(t, d)
		i := slices.IndexFunc(all, func(a *attacked) bool { return a.server.Served.Load() < 2*events })
		if i < 0 {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("%s was connected to %d times only", all[i].name, all[i].server.Served.Load())
		}
	}
	if grown := memory(t, d, "VmHWM") - before; grown > growth {
		t.Errorf("the daemon grew by %d MiB", grown>>20)
	} else {
		t.Logf("%d hostile servers: %d MiB at the beginning, %d more at the most", len(all), before>>20, grown>>20)
	}
	for _, a := range all {
		a.server.Play(a.sound)
	}
	for limit := time.Now().Add(patience); time.Now().Before(limit) && pending(t, d) > 0; {
		resumeHeld(t, d) // also what an attempt from before has held; a hold ends by itself, too, at its next probe
		<-time.After(100 * time.Millisecond)
	}
	d.settled(t)
	rows, err := d.Audit(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Developer == "acme" && r.Delivered != events {
			t.Errorf("%s: %+v", r.Destination, r)
		}
	}
	serves()
	d.stop(t)
}

// pending is how many deliveries are.
func pending(t *testing.T, d *daemon) (n int64) {
	t.Helper()
	rows, err := d.Audit(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		n += r.Pending
	}
	return n
}

// resumeHeld has destinations tried again that their servers' answers have held.
func resumeHeld(t *testing.T, d *daemon) {
	t.Helper()
	for held, err := range d.Destinations(t.Context(), "acme", "held") {
		if err == nil {
			err = d.Resume(t.Context(), held.Developer, held.Name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// memory reads a figure of /proc in bytes.
func memory(t *testing.T, d *daemon, what string) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(what + `:\s+(\d+) kB`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("the system does not tell %s", what)
	}
	kb, err := strconv.ParseInt(string(found[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

// cases makes a destination of every script, without TLS and with it.
func cases(t *testing.T, kind, sound, trusted, common string, scripts func(*tls.Config) map[string]hostile.Script) (all []*attacked) {
	t.Helper()
	config, authority := hostile.TLS(t)
	for mode, with := range map[string]*tls.Config{"mode: disable": nil, fmt.Sprintf("mode: verify-full, ca: %q", authority+trusted): config} {
		of := scripts(with)
		for i, name := range slices.Sorted(maps.Keys(of)) {
			all = append(all, &attacked{
				name: fmt.Sprintf("%s-%d-%t-%.40s", kind, i, with != nil, regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(name), "-")),
				kind: kind, sound: hostile.Forward(sound), script: of[name],
				settings: fmt.Sprintf("host: 'ADDRESS', %s, max_connections: 1, tls: { %s }", common, mode),
			})
		}
	}
	return all
}

func execute(t *testing.T, driver, dsn string, statements ...string) {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(context.Background(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func hostileMySQL(t *testing.T) []*attacked {
	server := servers.PrivateMySQL(t)
	c, err := mysqldriver.ParseDSN(server.DSN)
	if err != nil {
		t.Fatal(err)
	}
	execute(t, "mysql", server.DSN, "CREATE DATABASE customer", "CREATE USER customer@'%' IDENTIFIED BY 'secret-of-the-tables'", "GRANT SELECT, INSERT, UPDATE, CREATE ON customer.* TO customer@'%'")
	return cases(t, "mysql", c.Addr, string(server.TLS.CA), "database: customer, user: customer, password: secret-of-the-tables", hostile.MySQL)
}

func hostilePostgres(t *testing.T) []*attacked {
	server := servers.PrivatePostgres(t)
	u, err := url.Parse(server.DSN)
	if err != nil {
		t.Fatal(err)
	}
	execute(t, "pgx", server.DSN, "CREATE ROLE customer LOGIN PASSWORD 'secret-of-the-tables'", "CREATE SCHEMA customer", "GRANT USAGE, CREATE ON SCHEMA customer TO customer")
	return cases(t, "postgres", u.Host, string(server.TLS.CA), "database: "+strings.TrimPrefix(u.Path, "/")+", user: customer, password: secret-of-the-tables", hostile.PostgreSQL)
}

func hostileWeb(t *testing.T) (all []*attacked) {
	cloud := strictaws.New(t)
	cloud.AddBucket(strictaws.Bucket{Name: "bucket"})
	cloud.AddQueue(strictaws.Queue{Name: "queue"})
	gcs := servers.StartGCS(t)
	database := servers.PrivatePostgres(t)
	project := supabase.On(t, database.DSN)
	config, authority := hostile.TLS(t)
	trusted := filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(trusted, []byte(authority), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", trusted) // of the daemon, for whose endpoints no setting names an authority
	keys := fmt.Sprintf("endpoint: 'SCHEME://ADDRESS', allow_http: true, region: %s, access_key_id: %s, secret_access_key: %q", cloud.Region, strictaws.AccessKey, strictaws.SecretKey)
	of := hostile.Web()
	for i, name := range slices.Sorted(maps.Keys(of)) {
		for kind, far := range map[string]struct{ sound, settings string }{
			"s3":       {cloud.URL, "bucket: bucket, " + keys},
			"sqs":      {cloud.URL, "queue: queue, " + keys},
			"gcs":      {gcs.Endpoint, fmt.Sprintf("bucket: %s, endpoint: 'SCHEME://ADDRESS', allow_http: true, anonymous: true", gcs.Bucket(t))},
			"supabase": {project.URL, fmt.Sprintf("url: 'SCHEME://ADDRESS', allow_http: true, service_role_key: '%s', complete: { dsn: '%s' }", project.Key, database.DSN)},
		} {
			sound := hostile.Forward(strings.TrimPrefix(far.sound, "http://"))
			all = append(all,
				&attacked{name: fmt.Sprintf("%s-%d-http", kind, i), kind: kind, settings: strings.ReplaceAll(far.settings, "SCHEME", "http"), script: of[name], sound: sound},
				&attacked{name: fmt.Sprintf("%s-%d-https", kind, i), kind: kind, settings: strings.ReplaceAll(far.settings, "SCHEME", "https"),
					script: hostile.Within(config, of[name]), sound: hostile.Within(config, sound)})
		}
	}
	return all
}
