package supabase

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

// storageSchema is the part of storage-api's migrations that matters here. An
// index of the real one names objects by bucket alone; renaming a bucket is ours.
const storageSchema = `DROP SCHEMA IF EXISTS storage CASCADE;
CREATE SCHEMA storage;
GRANT USAGE ON SCHEMA storage TO anon, authenticated, service_role;
CREATE TABLE storage.buckets (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, owner UUID, created_at TIMESTAMPTZ DEFAULT now(), updated_at TIMESTAMPTZ DEFAULT now(),
	public BOOLEAN DEFAULT false, file_size_limit BIGINT, allowed_mime_types TEXT[]);
CREATE TABLE storage.objects (id UUID PRIMARY KEY DEFAULT gen_random_uuid(), bucket_id TEXT REFERENCES storage.buckets (id) ON UPDATE CASCADE, name TEXT COLLATE "C",
	created_at TIMESTAMPTZ DEFAULT now(), updated_at TIMESTAMPTZ DEFAULT now(), metadata JSONB, version TEXT, UNIQUE (bucket_id, name));
ALTER TABLE storage.buckets ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
GRANT ALL ON storage.buckets, storage.objects TO anon, authenticated, service_role;
INSERT INTO storage.buckets (id, name) VALUES ('terra-payloads', 'terra-payloads');`

// storage keeps the bodies of objects, by the version that the database names.
type storage struct {
	mu     sync.Mutex
	bodies map[string][]byte
}

// Objects returns what a bucket holds, nil if there is no such bucket.
func (p *Project) Objects(name string) map[string][]byte {
	var there bool
	if p.DB.QueryRow("SELECT EXISTS (SELECT FROM storage.buckets WHERE id = $1::text)", name).Scan(&there) != nil || !there {
		return nil
	}
	rows, err := p.DB.Query("SELECT name, version FROM storage.objects WHERE bucket_id = $1::text", name)
	if err != nil {
		return nil
	}
	defer rows.Close()
	all := map[string][]byte{}
	for rows.Next() {
		var key, version string
		if rows.Scan(&key, &version) != nil {
			return nil
		}
		all[key] = p.storage.body(version)
	}
	return all
}

func (s *storage) body(version string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies[version]
}

func (s *storage) keep(version string, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bodies == nil {
		s.bodies = map[string][]byte{}
	}
	s.bodies[version] = bytes.Clone(body)
}

// RenameBucket takes a bucket away, or brings it back.
func (p *Project) RenameBucket(from, to string) {
	if _, err := p.DB.Exec("UPDATE storage.buckets SET id = $2::text, name = $2::text WHERE id = $1::text", from, to); err != nil {
		panic(err) // of a test
	}
}

// Restrict sets what a bucket takes, and who may read it; limit is in bytes.
func (p *Project) Restrict(name string, public bool, limit int, types ...string) {
	list := "NULL"
	if len(types) > 0 {
		list = "ARRAY['" + strings.Join(types, "', '") + "']"
	}
	if _, err := p.DB.Exec("UPDATE storage.buckets SET public = $2::boolean, file_size_limit = nullif($3::bigint, 0), allowed_mime_types = "+list+" WHERE id = $1::text", name, public, limit); err != nil {
		panic(err) // of a test
	}
}

// mostBytes is the limit of a project that nobody has changed.
const mostBytes = 50 << 20

var (
	validKey    = regexp.MustCompile(`^[A-Za-z0-9_/!.*'() &$=@;:+,?-]*$`)
	validBucket = regexp.MustCompile(`^[A-Za-z0-9_!.*'() &$=@;:+,?-]{1,100}$`)
)

// call is a request to storage.
type call struct {
	*Project
	r           *http.Request
	claims      Claims
	anybody     bool // without a key that holds
	bucket, key string
	body        []byte
}

// store answers as storage-api 1.11.2 does: HTTP 400 for nearly every error, whose true status is a text
// in the body.
func (p *Project) store(w http.ResponseWriter, r *http.Request, path string, body []byte) {
	answer, err := p.route(r, path, body)
	if err != nil {
		refusalOfStorage(err).write(w)
		return
	}
	if o, ok := answer.(*object); ok {
		o.write(w, r.Method)
		return
	}
	write(w, http.StatusOK, plain(answer))
}

// plain is JSON as JavaScript writes it: & < > are not escaped.
func plain(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // always encodes
	return strings.TrimSuffix(b.String(), "\n")
}

func (p *Project) route(r *http.Request, path string, body []byte) (any, error) {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i], _ = url.PathUnescape(part) // net/http has refused what cannot be
	}
	at := func(n int) string {
		if n < len(parts) {
			return parts[n]
		}
		return ""
	}
	c := &call{Project: p, r: r, body: body}
	kind, what := parts[0], r.Method
	rest := 2
	switch {
	case kind == "object" && (at(1) == "info" || at(1) == "sign" || at(1) == "list" || at(1) == "authenticated"):
		what, rest = what+" "+at(1), 3
	case kind == "bucket" && len(parts) == 1 && what == "GET":
		what = "GET buckets"
	case kind == "bucket" && len(parts) == 2 && what == "GET" && at(1) != "":
		what = "GET bucket"
	case kind == "bucket":
		what = "none"
	}
	c.bucket = at(rest - 1)
	c.key = strings.Join(parts[min(rest, len(parts)):], "/")
	if what == "GET sign" {
		return c.signed()
	}
	does, ok := map[string]func() (any, error){
		"GET bucket": c.describeBucket, "GET buckets": c.buckets, "POST": c.upload, "PUT": c.upload, "GET": c.download, "HEAD": c.download, "GET authenticated": c.download,
		"DELETE": c.remove, "GET info": c.info, "POST sign": c.sign, "POST list": c.list,
	}[what]
	if !ok || kind != "object" && kind != "bucket" || kind == "object" && c.key == "" && what != "POST list" {
		return nil, &storageRefusal{http: http.StatusNotFound, raw: plain(map[string]any{"message": "Route " + r.Method + ":/" + path + " not found", "error": "Not Found", "statusCode": 404})}
	}
	if what == "POST" || what == "PUT" {
		if t := r.Header.Get("Content-Type"); t != "" && !strings.Contains(t, "/") {
			return nil, refuseStorage("415", "invalid_mime_type", "Invalid Content-Type header", "InvalidMimeType")
		}
	}
	var wrong flaw
	c.claims, wrong = read(bearer(r.Header.Get("Authorization")), time.Now())
	switch {
	case wrong != sound && (what == "GET" || what == "HEAD" || what == "GET info"):
		c.claims, c.anybody = Claims{"role": "anon"}, true // they serve public buckets to everybody
	case r.Header.Get("Authorization") == "":
		return nil, refuseStorage("400", "Error", "headers must have required property 'authorization'", "InvalidRequest")
	case wrong != sound:
		return nil, refuseStorage("403", "Unauthorized", map[flaw]string{noJWT: "Invalid Compact JWS", forged: "signature verification failed",
			expired: `"exp" claim timestamp check failed`, early: `"nbf" claim timestamp check failed`}[wrong], "AccessDenied")
	}
	if c.bucket != "" && kind == "object" && !validBucket.MatchString(c.bucket) {
		return nil, refuseStorage("400", "Invalid Input", "Bucket name invalid", "InvalidBucketName")
	}
	return does()
}

// bucketRow is a bucket as storage describes it.
type bucketRow struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Owner   string   `json:"owner"`
	Public  bool     `json:"public"`
	Limit   *int64   `json:"file_size_limit"`
	Types   []string `json:"allowed_mime_types"`
	Created string   `json:"created_at"`
	Updated string   `json:"updated_at"`
}

// find reads buckets as a role; "" is the superuser.
func (c *call) find(role, where string) (all []bucketRow, err error) {
	err = c.within(role, func(tx *sql.Tx) error {
		var text string
		if err := tx.QueryRowContext(c.r.Context(), `SELECT coalesce(json_agg(b ORDER BY b.id), '[]') FROM
			(SELECT id, name, '' AS owner, public, file_size_limit, allowed_mime_types, created_at, updated_at FROM storage.buckets`+where+`) b`).Scan(&text); err != nil {
			return err
		}
		return json.Unmarshal([]byte(text), &all)
	})
	return all, err
}

func (c *call) buckets() (any, error) { return c.find(c.claims.role(), "") }

func (c *call) describeBucket() (any, error) { return c.findOne(c.claims.role()) }

func (c *call) findOne(role string) (*bucketRow, error) {
	all, err := c.find(role, " WHERE id = "+literal(c.bucket))
	if err == nil && len(all) == 0 {
		err = noBucket
	}
	if err != nil {
		return nil, err
	}
	return &all[0], nil
}

// within is Project.as with storage's patience.
func (c *call) within(role string, f func(*sql.Tx) error) error {
	c.mu.Lock()
	patience := c.patience
	c.mu.Unlock()
	return c.as(c.r.Context(), role, c.claims, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(c.r.Context(), fmt.Sprintf("SET LOCAL statement_timeout = %d", patience.Milliseconds())); err != nil {
			return err
		}
		return f(tx)
	})
}

// allows tells whether a bucket's list of types has one.
func allows(types []string, contentType string) bool {
	family, kind, _ := strings.Cut(contentType, "/")
	for _, t := range types {
		f, k, _ := strings.Cut(t, "/")
		if f == family && (k == "*" || k == kind) {
			return true
		}
	}
	return len(types) == 0
}
