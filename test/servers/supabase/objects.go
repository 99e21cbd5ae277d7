package supabase

import (
	"crypto/md5" //nolint:gosec // the ETag is one
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-51f8da91/fantail/test/servers"
)

// storageRefusal is an error as storage writes it.
type storageRefusal struct {
	http int
	raw  string // of the framework beneath it, which has another form

	Status  string `json:"statusCode"`
	Kind    string `json:"error"`
	Message string `json:"message"`
	Code    string `json:"code"`
}

func (r *storageRefusal) Error() string { return r.Message }

func (r *storageRefusal) write(w http.ResponseWriter) {
	if r.raw == "" {
		r.raw = plain(r)
	}
	write(w, r.http, r.raw)
}

func refuseStorage(status, kind, message, code string) *storageRefusal {
	r := &storageRefusal{http: http.StatusBadRequest, Status: status, Kind: kind, Message: message, Code: code}
	if status == "500" {
		r.http = http.StatusInternalServerError
	}
	return r
}

var (
	noBucket = refuseStorage("404", "Bucket not found", "Bucket not found", "NoSuchBucket")
	noKey    = refuseStorage("404", "not_found", "Object not found", "NoSuchKey")
)

// refusalOfStorage is what storage makes of an error of its database.
func refusalOfStorage(err error) *storageRefusal {
	if own, ok := errors.AsType[*storageRefusal](err); ok {
		same := *own
		return &same
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	if _, unconnected := errors.AsType[*pgconn.ConnectError](err); unconnected || !ok {
		return refuseStorage("500", "Internal", "Internal Server Error", "InternalError")
	}
	with := func(r *storageRefusal, status int) *storageRefusal { r.http = status; return r }
	switch e.Code {
	case "53300":
		return with(refuseStorage("429", "too_many_connections", "Too many connections issued to the database", "SlowDown"), http.StatusTooManyRequests)
	case "42501":
		if strings.Contains(e.Message, "row-level security") {
			return refuseStorage("403", "Unauthorized", "new row violates row-level security policy", "AccessDenied")
		}
		return refuseStorage("403", "Unauthorized", e.Message, "AccessDenied")
	case "23505":
		return refuseStorage("409", "Duplicate", "The resource already exists", "KeyAlreadyExists")
	case "23503":
		return refuseStorage("404", "InvalidRequest", "The related resource does not exist", "InvalidRequest")
	case "55P03":
		return refuseStorage("423", "ResourceLocked", "The resource is locked", "ResourceLocked")
	case "57014":
		return with(refuseStorage("544", "DatabaseTimeout", "The connection to the database timed out", "DatabaseTimeout"), 544)
	case "25006":
		return refuseStorage("503", "DatabaseReadOnly", "The database is currently in read-only mode. Please try again later.", "DatabaseReadOnly")
	case "42P17":
		return refuseStorage("503", "DatabaseInvalidObjectDefinition", "The database schema is invalid or incompatible.", "DatabaseInvalidObjectDefinition")
	case "42703", "42P01":
		return refuseStorage("503", "DatabaseSchemaMismatch", "The database schema is out of sync. Please run migrations or contact support.", "DatabaseSchemaMismatch")
	}
	return refuseStorage("500", "DatabaseError", "database error, code: "+e.Code, "DatabaseError")
}

// object is an answer with the body of one.
type object struct {
	kind, tag string
	changed   time.Time
	body      []byte
}

func (o *object) write(w http.ResponseWriter, method string) {
	h := w.Header()
	h.Set("Content-Type", o.kind)
	h.Set("ETag", o.tag)
	h.Set("Cache-Control", "no-cache")
	h.Set("Last-Modified", o.changed.UTC().Format(http.TimeFormat))
	h.Set("Content-Length", fmt.Sprint(len(o.body)))
	w.WriteHeader(http.StatusOK)
	if method != http.MethodHead {
		_, _ = w.Write(o.body)
	}
}

// upload takes an object: type, then size, then name, then rights.
func (c *call) upload() (any, error) {
	b, err := c.findOne("")
	if err != nil {
		return nil, err
	}
	kind := c.r.Header.Get("Content-Type")
	if kind == "" {
		kind = "application/octet-stream"
	}
	limit := int64(mostBytes)
	if b.Limit != nil {
		limit = min(limit, *b.Limit)
	}
	switch {
	case !allows(b.Types, kind):
		return nil, refuseStorage("415", "invalid_mime_type", "mime type "+kind+" is not supported", "InvalidMimeType")
	case int64(len(c.body)) > limit:
		return nil, refuseStorage("413", "Payload too large", "The object exceeded the maximum allowed size", "EntityTooLarge")
	case !validKey.MatchString(c.key):
		return nil, refuseStorage("400", "InvalidKey", "Invalid key: "+c.key, "InvalidKey")
	}
	upsert := c.r.Header.Get("x-upsert") == "true" || c.r.Method == http.MethodPut
	version := servers.Name()
	meta, _ := json.Marshal(map[string]any{"mimetype": kind, "size": len(c.body), "eTag": fmt.Sprintf("%q", fmt.Sprintf("%x", md5.Sum(c.body)))}) //nolint:gosec // as above
	insert := fmt.Sprintf("INSERT INTO storage.objects (bucket_id, name, version, metadata) VALUES (%s, %s, '%s', %s)", literal(c.bucket), literal(c.key), version, literal(string(meta)))
	over := " ON CONFLICT (bucket_id, name) DO UPDATE SET version = excluded.version, metadata = excluded.metadata, updated_at = now()"
	tried := insert
	if upsert {
		tried += over
	}
	rights := errors.New("tried, not done")
	if err := c.within(c.claims.role(), func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(c.r.Context(), tried); err != nil {
			return err
		}
		return rights
	}); !errors.Is(err, rights) {
		return nil, err
	}
	for part := range strings.SplitSeq(c.key, "/") {
		switch {
		case part == "." || part == "..":
			return nil, refuseStorage("400", "InvalidKey", "Invalid key: "+c.key+" contains dot path segment", "InvalidKey")
		case len(part) > 255: // of file systems
			return nil, refuseStorage("500", "Internal", "Internal Server Error", "InternalError")
		}
	}
	c.storage.keep(version, c.body)
	var id string
	err = c.within("", func(tx *sql.Tx) error {
		return tx.QueryRowContext(c.r.Context(), insert+over+" RETURNING id").Scan(&id)
	})
	return struct{ Key, Id string }{c.bucket + "/" + c.key, id}, err //nolint:revive,staticcheck // as storage writes it
}

// entry is the row of an object.
type entry struct {
	id, version string
	meta        struct {
		Kind string `json:"mimetype"`
		Size int    `json:"size"`
		Tag  string `json:"eTag"`
	}
	changed time.Time
}

func (c *call) entry(role string) (e entry, err error) {
	err = c.within(role, func(tx *sql.Tx) error {
		var meta string
		if err := tx.QueryRowContext(c.r.Context(), "SELECT id, version, metadata::text, updated_at FROM storage.objects WHERE bucket_id = "+literal(c.bucket)+" AND name = "+literal(c.key)).
			Scan(&e.id, &e.version, &meta, &e.changed); err != nil {
			return err
		}
		return json.Unmarshal([]byte(meta), &e.meta)
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = noKey
	}
	return e, err
}

// open is an object as the role sees it; in a public bucket everybody sees all.
func (c *call) open() (entry, error) {
	b, err := c.findOne("")
	if err != nil {
		return entry{}, err
	}
	role := c.claims.role()
	if b.Public {
		role = ""
	} else if c.anybody {
		return entry{}, noBucket
	}
	return c.entry(role)
}

func (c *call) download() (any, error) {
	e, err := c.open()
	if err != nil {
		return nil, err
	}
	return &object{e.meta.Kind, e.meta.Tag, e.changed, c.storage.body(e.version)}, nil
}

func (c *call) info() (any, error) {
	e, err := c.open()
	if err != nil {
		return nil, err
	}
	return map[string]any{"id": e.id, "name": c.key, "version": e.version, "bucket_id": c.bucket, "size": e.meta.Size, "content_type": e.meta.Kind,
		"cache_control": "no-cache", "etag": e.meta.Tag, "last_modified": e.changed}, nil
}

func (c *call) remove() (any, error) {
	if _, err := c.entry(""); err != nil {
		return nil, err
	}
	err := c.within(c.claims.role(), func(tx *sql.Tx) error {
		done, err := tx.ExecContext(c.r.Context(), "DELETE FROM storage.objects WHERE bucket_id = "+literal(c.bucket)+" AND name = "+literal(c.key))
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return refuseStorage("403", "Unauthorized", "Access denied", "AccessDenied")
		}
		return nil
	})
	return map[string]string{"message": "Successfully deleted"}, err
}

// sign makes a link that needs no key.
func (c *call) sign() (any, error) {
	var q struct{ ExpiresIn int }
	if json.Unmarshal(c.body, &q) != nil || q.ExpiresIn < 1 {
		return nil, refuseStorage("400", "Error", "body must have required property 'expiresIn'", "InvalidRequest")
	}
	if _, err := c.entry(c.claims.role()); err != nil {
		return nil, err
	}
	name := c.bucket + "/" + c.key
	token := Sign(Claims{"url": name, "exp": time.Now().Unix() + int64(q.ExpiresIn)}, jwtSecret)
	return map[string]string{"signedURL": "/object/sign/" + strings.TrimPrefix(c.r.URL.EscapedPath(), "/storage/v1/object/sign/") + "?token=" + token}, nil
}

func (c *call) signed() (any, error) {
	claims, wrong := read(c.r.URL.Query().Get("token"), time.Now())
	if wrong != sound || claims["url"] != c.bucket+"/"+c.key {
		return nil, refuseStorage("400", "InvalidJWT", "Invalid JWT", "InvalidJWT")
	}
	e, err := c.entry("")
	if err != nil {
		return nil, err
	}
	return &object{e.meta.Kind, e.meta.Tag, e.changed, c.storage.body(e.version)}, nil
}

// list names the objects of a folder.
func (c *call) list() (any, error) {
	var q struct{ Prefix *string }
	if json.Unmarshal(c.body, &q) != nil || q.Prefix == nil {
		return nil, refuseStorage("400", "Error", "body must have required property 'prefix'", "InvalidRequest")
	}
	prefix := *q.Prefix
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	all := []map[string]any{}
	err := c.within(c.claims.role(), func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(c.r.Context(), "SELECT id, name FROM storage.objects WHERE bucket_id = "+literal(c.bucket)+" AND starts_with(name, "+literal(prefix)+") ORDER BY name")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id, name string
			if err := rows.Scan(&id, &name); err != nil {
				return err
			}
			folder, _, within := strings.Cut(strings.TrimPrefix(name, prefix), "/")
			switch {
			case !within:
				all = append(all, map[string]any{"name": folder, "id": id})
			case len(all) == 0 || all[len(all)-1]["name"] != folder:
				all = append(all, map[string]any{"name": folder, "id": nil})
			}
		}
		return rows.Err()
	})
	return all, err
}
