// Package supabase stands in for a Supabase project in tests. The gateway, the storage API and
// PostgREST are our own, because no binary of theirs can be had outside of containers. They are as
// strict as the real ones were seen to be, or as their source says. Behind them are a real PostgreSQL
// with the roles, rights and row level security of a project, and the real postgres-meta at /pg.
package supabase

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/seed-51f8da91/fantail/test/servers"
)

// Project is a project of one test. Its methods may be called at any time.
type Project struct {
	URL         string  // of the gateway
	Key         string  // the service_role key, the same in every project
	Anon        string  // the anon key
	SecretKey   string  // a key of the newer kind, sb_secret_...
	API         string  // of the Management API
	AccessToken string  // for it
	Reference   string  // what it calls the project
	DSN         string  // of the database, as its superuser
	DB          *sql.DB // the same

	cache   cache
	storage storage

	mu          sync.Mutex
	meta        http.Handler // nil: the gateway has no /pg
	fault       func(http.ResponseWriter, *http.Request) bool
	requests    int // that would store something
	keys        map[string]bool
	readOnly    bool
	full        bool
	undescribed bool
	patience    time.Duration // of storage with the database
}

// Start starts a project with an empty database on a shared PostgreSQL and one
// bucket, terra-payloads, which is private.
func Start(tb testing.TB) *Project { return On(tb, servers.StartPostgres(tb).DSN) }

// On starts a project in the database of dsn. It makes the roles of Supabase there, and
// gives them no rights on tables that are made later.
func On(tb testing.TB, dsn string) *Project {
	tb.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	describing := u.Query() // no cached plans: tests change tables
	describing.Set("default_query_exec_mode", "describe_exec")
	u.RawQuery = describing.Encode()
	db, err := sql.Open("pgx", u.String())
	if err != nil {
		tb.Fatal(err)
	}
	db.SetMaxOpenConns(10)
	p := &Project{Key: ServiceKey, SecretKey: "sb_secret_" + servers.Name(), AccessToken: "sbp_" + servers.Name(), Reference: "abcdefghijklmnopqrst", DSN: dsn, DB: db,
		keys: map[string]bool{}, patience: 30 * time.Second}
	p.Anon = p.Issue(Claims{"iss": "supabase", "role": "anon", "exp": 4102444800})
	p.Accept(p.Key)
	p.Accept(p.SecretKey)
	for _, role := range []string{"anon", "authenticated", "service_role", "authenticator"} {
		p.Exec(tb, fmt.Sprintf(`DO $$ BEGIN CREATE ROLE %s NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`, role),
			"GRANT USAGE ON SCHEMA public TO "+role)
	}
	p.Exec(tb, `DO $$ BEGIN ALTER ROLE service_role BYPASSRLS; EXCEPTION WHEN OTHERS THEN NULL; END $$`) // others may do so at once
	p.Exec(tb, storageSchema)

	gateway, api := httptest.NewUnstartedServer(http.HandlerFunc(p.gateway)), httptest.NewServer(http.HandlerFunc(p.manage))
	gateway.Listener = listener{gateway.Listener}
	gateway.Start()
	p.URL, p.API = gateway.URL, api.URL
	ctx, stop := context.WithCancel(context.Background())
	listening := make(chan struct{})
	go func() { defer close(listening); p.cache.listen(ctx, dsn) }()
	tb.Cleanup(func() {
		gateway.CloseClientConnections()
		gateway.Close()
		api.Close()
		stop()
		<-listening
		if err := db.Close(); err != nil {
			tb.Errorf("close the database: %v", err)
		}
	})
	p.cache.await(tb, func(tables) bool { return true })
	return p
}

// SelfHosted puts postgres-meta behind /pg, as self-hosted projects have it.
func (p *Project) SelfHosted(tb testing.TB) {
	tb.Helper()
	meta := servers.StartPostgresMeta(tb)
	u, err := url.Parse(meta.URL)
	if err != nil {
		tb.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.meta = &httputil.ReverseProxy{Transport: &http.Transport{DisableKeepAlives: true}, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(u)
		r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, "/pg")
		meta.Use(r.Out, p.DSN)
	}}
}

// ReadOnly has PostgREST and storage find a database that takes no writes.
func (p *Project) ReadOnly(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.readOnly = on
}

// Full has storage and PostgREST find a database without a connection to spare.
func (p *Project) Full(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.full = on
}

// Patience is how long storage waits for a statement; 30 s, unless it is set.
func (p *Project) Patience(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.patience = d
}

// as runs f in a transaction as a role with claims; "" is the superuser. It is
// rolled back if f fails.
func (p *Project) as(ctx context.Context, role string, claims Claims, f func(*sql.Tx) error) error {
	p.mu.Lock()
	readOnly, full := p.readOnly, p.full
	p.mu.Unlock()
	if full {
		return &pgconn.PgError{Code: "53300", Message: "sorry, too many clients already"}
	}
	tx, err := p.DB.BeginTx(ctx, &sql.TxOptions{ReadOnly: readOnly})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if role != "" {
		said, _ := json.Marshal(claims) // they came from JSON
		if _, err := tx.ExecContext(ctx, "SELECT set_config('role', $1::text, true), set_config('request.jwt.claims', $2::text, true)", role, string(said)); err != nil {
			return err
		}
	}
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// Exec runs SQL as the superuser.
func (p *Project) Exec(tb testing.TB, statements ...string) {
	tb.Helper()
	for _, s := range statements {
		if _, err := p.DB.Exec(s); err != nil {
			tb.Fatalf("%s: %v", s, err)
		}
	}
}

// Rows returns all rows of a table of the schema public, in order of a column,
// as text; what is null is missing.
func (p *Project) Rows(tb testing.TB, table, order string) []map[string]string {
	tb.Helper()
	rows, err := p.DB.Query("SELECT * FROM public." + table + " ORDER BY " + order)
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		tb.Fatal(err)
	}
	var all []map[string]string
	for rows.Next() {
		values, into := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			tb.Fatal(err)
		}
		row := map[string]string{}
		for i, v := range values {
			if v.Valid {
				row[names[i]] = v.String
			}
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return all
}

// Fault is asked first about every request to the gateway; if it returns true,
// it has answered. Nil: no fault.
func (p *Project) Fault(f func(http.ResponseWriter, *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// Requests is how many requests that would store something the gateway had.
func (p *Project) Requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

// gateway stands before all services.
func (p *Project) gateway(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	fault, meta := p.fault, p.meta
	if r.Method != http.MethodGet {
		p.requests++
	}
	p.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	path := r.URL.EscapedPath()
	if r.Header.Get("Authorization") == "Bearer "+p.SecretKey {
		r.Header.Set("Authorization", "Bearer "+p.Key) // no service knows keys of the newer kind
	}
	switch key := r.Header.Get("apikey"); {
	case fault != nil && fault(w, r):
	case strings.HasPrefix(path, "/storage/v1/"): // it looks at keys itself
		p.store(w, r, strings.TrimPrefix(path, "/storage/v1/"), body)
	case key == "":
		write(w, http.StatusUnauthorized, `{"message":"No API key found in request","hint":"No apikey request header or url param was found."}`)
	case !p.accepts(key):
		write(w, http.StatusUnauthorized, `{"message":"Invalid API key","hint":"Double check your Supabase anon or service_role API key."}`)
	case strings.HasPrefix(path, "/rest/v1/"):
		p.rest(w, r, strings.TrimPrefix(path, "/rest/v1/"), body)
	case strings.HasPrefix(path, "/pg/") && meta != nil:
		meta.ServeHTTP(w, r)
	default:
		write(w, http.StatusNotFound, `{"message":"no Route matched with those values"}`)
	}
}

func write(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// BadGateway is the fault of a gateway that reaches none of its services.
func BadGateway(w http.ResponseWriter, _ *http.Request) bool {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(http.StatusBadGateway)
	_, _ = io.WriteString(w, "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>")
	return true
}
