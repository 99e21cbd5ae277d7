package supabase

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// refusal is an error as PostgREST writes it.
type refusal struct {
	status  int
	Code    string  `json:"code"`
	Details *string `json:"details"`
	Hint    *string `json:"hint"`
	Message string  `json:"message"`
}

func (r *refusal) Error() string { return r.Message }

func refuse(status int, code, format string, args ...any) error {
	return &refusal{status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// rest answers as PostgREST does, for the forms of requests that are listed in
// query.go. What it does not know it refuses.
func (p *Project) rest(w http.ResponseWriter, r *http.Request, path string, body []byte) {
	status, answer, err := p.handle(r, path, body)
	if err != nil {
		var f *refusal
		if !errors.As(err, &f) {
			f = ofDatabase(err)
		}
		text, _ := json.Marshal(f) // always encodes
		write(w, f.status, string(text))
		return
	}
	write(w, status, answer)
}

// ofDatabase is an error of PostgreSQL as PostgREST passes it on.
func ofDatabase(err error) *refusal {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return &refusal{status: http.StatusServiceUnavailable, Code: "PGRST001", Message: "Could not query the database for the schema cache. Retrying."}
	}
	f := &refusal{status: http.StatusBadRequest, Code: e.Code, Message: e.Message}
	if e.Detail != "" {
		f.Details = &e.Detail
	}
	switch {
	case e.Code == "23505" || e.Code == "23503":
		f.status = http.StatusConflict
	case e.Code == "42501":
		f.status = http.StatusForbidden
	case e.Code == "42P01" || e.Code == "42883":
		f.status = http.StatusNotFound
	case strings.HasPrefix(e.Code, "08"), strings.HasPrefix(e.Code, "53"):
		f.status = http.StatusServiceUnavailable
	case strings.HasPrefix(e.Code, "40"), strings.HasPrefix(e.Code, "57"), strings.HasPrefix(e.Code, "55"), strings.HasPrefix(e.Code, "XX"):
		f.status = http.StatusInternalServerError
	}
	return f
}

func (p *Project) handle(r *http.Request, path string, body []byte) (status int, answer string, err error) {
	if r.Header.Get("Authorization") != "Bearer "+p.Key {
		return 0, "", refuse(http.StatusUnauthorized, "PGRST301", "JWSError JWSInvalidSignature")
	}
	header := "Content-Profile"
	if r.Method == http.MethodGet {
		header = "Accept-Profile"
	}
	schema := r.Header.Get(header)
	switch schema {
	case "":
		schema = "public"
	case "public", "api":
	default:
		return 0, "", refuse(http.StatusNotAcceptable, "PGRST106", "The schema must be one of the following: public, api")
	}
	known := p.cache.snapshot()
	if name, ok := strings.CutPrefix(path, "rpc/"); ok {
		return p.rpc(r, schema+"."+name+"()", known, body)
	}
	table := schema + "." + path
	columns := known[table]
	if columns == nil {
		return 0, "", refuse(http.StatusNotFound, "PGRST205", "Could not find the table '%s' in the schema cache", table)
	}
	q, err := parse(r.URL.Query())
	if err != nil {
		return 0, "", err
	}
	target := pgx.Identifier{schema, path}.Sanitize()
	selected := q.selected()
	switch r.Method {
	case http.MethodGet:
		limit := "ALL"
		if q.limit >= 0 {
			limit = strconv.Itoa(q.limit)
		}
		order := ""
		if len(q.order) > 0 {
			order = " ORDER BY " + strings.Join(q.order, ", ")
		}
		answer, err = p.query(r.Context(), fmt.Sprintf("SELECT coalesce(json_agg(t), '[]') FROM (SELECT %s FROM %s AS t%s%s LIMIT %s) t", selected, target, q.where("t"), order, limit), q.args)
		return http.StatusOK, answer, err
	case http.MethodPost:
		sql, err := p.insertion(r, q, path, target, columns, body)
		if err != nil {
			return 0, "", err
		}
		answer, err = p.query(r.Context(), fmt.Sprintf("WITH t AS (%s RETURNING %s) SELECT coalesce(json_agg(t), '[]') FROM t", sql, selected), []any{string(body)})
		return representation(r, http.StatusCreated, answer, err)
	case http.MethodPatch:
		names, err := keysOf([][]byte{body}, path, columns)
		if err != nil {
			return 0, "", err
		}
		var sets []string
		for _, n := range names {
			n = pgx.Identifier{n}.Sanitize()
			sets = append(sets, n+" = r."+n)
		}
		q.args = append(q.args, string(body))
		answer, err = p.query(r.Context(), fmt.Sprintf("WITH t AS (UPDATE %[1]s AS t SET %[2]s FROM json_populate_record(NULL::%[1]s, $%[3]d::json) r%[4]s RETURNING %[5]s) SELECT coalesce(json_agg(t), '[]') FROM t",
			target, strings.Join(sets, ", "), len(q.args), q.where("t"), q.selectedOf("t")), q.args)
		return representation(r, http.StatusOK, answer, err)
	}
	return 0, "", refuse(http.StatusMethodNotAllowed, "PGRST117", "Unsupported HTTP method: %s", r.Method)
}

// representation leaves out the rows unless they were asked for.
func representation(r *http.Request, status int, answer string, err error) (int, string, error) {
	if !strings.Contains(r.Header.Get("Prefer"), "return=representation") {
		answer = ""
		if status == http.StatusOK {
			status = http.StatusNoContent
		}
	}
	return status, answer, err
}

// insertion is the INSERT of a POST, of no rows if it brings none.
func (p *Project) insertion(r *http.Request, q *query, table, target string, columns map[string]bool, body []byte) (string, error) {
	var rows []json.RawMessage
	if err := json.Unmarshal(body, &rows); err != nil {
		return "", refuse(http.StatusBadRequest, "PGRST102", "Empty or invalid json")
	}
	prefer := r.Header.Get("Prefer")
	objects := make([][]byte, len(rows))
	for i, row := range rows {
		objects[i] = row
	}
	if len(rows) == 0 {
		return "INSERT INTO " + target + " SELECT FROM json_each($1::json) WHERE false", nil
	}
	names, err := keysOf(objects, table, columns)
	if err != nil {
		return "", err
	}
	for i, n := range names {
		names[i] = pgx.Identifier{n}.Sanitize()
	}
	list := strings.Join(names, ", ")
	sql := fmt.Sprintf("INSERT INTO %[1]s (%[2]s) SELECT %[2]s FROM json_populate_recordset(NULL::%[1]s, $1::json)", target, list)
	if q.conflict == "" {
		return sql, nil
	}
	sql += " ON CONFLICT (" + pgx.Identifier{q.conflict}.Sanitize() + ") DO "
	switch {
	case strings.Contains(prefer, "resolution=ignore-duplicates"):
		return sql + "NOTHING", nil
	case strings.Contains(prefer, "resolution=merge-duplicates"):
		for i, n := range names {
			names[i] = n + " = excluded." + n
		}
		return sql + "UPDATE SET " + strings.Join(names, ", "), nil
	}
	return sql[:strings.Index(sql, " ON CONFLICT")], nil
}

// keysOf returns the columns of rows, which all must have the same, and be in
// the cache.
func keysOf(rows [][]byte, table string, columns map[string]bool) ([]string, error) {
	var names []string
	for i, text := range rows {
		var row map[string]json.RawMessage
		if err := json.Unmarshal(text, &row); err != nil {
			return nil, refuse(http.StatusBadRequest, "PGRST102", "Empty or invalid json")
		}
		keys := slices.Sorted(maps.Keys(row))
		if i > 0 && !slices.Equal(keys, names) {
			return nil, refuse(http.StatusBadRequest, "PGRST102", "All object keys must match")
		}
		names = keys
	}
	for _, n := range names {
		if !columns[n] {
			return nil, refuse(http.StatusBadRequest, "PGRST204", "Could not find the '%s' column of '%s' in the schema cache", n, table)
		}
	}
	return names, nil
}

func (p *Project) rpc(r *http.Request, function string, known tables, body []byte) (int, string, error) {
	if known[function] == nil || r.Method != http.MethodPost || string(body) != "{}" {
		return 0, "", refuse(http.StatusNotFound, "PGRST202", "Could not find the function %s in the schema cache", function)
	}
	if _, err := p.query(r.Context(), "SELECT "+function+"::text", nil); err != nil {
		return 0, "", err
	}
	return http.StatusNoContent, "", nil
}

// query runs SQL as the role of the service_role key, with its rights.
func (p *Project) query(ctx context.Context, text string, args []any) (string, error) {
	tx, err := p.DB.BeginTx(ctx, nil)
	if err != nil {
		return "", err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, "SET LOCAL ROLE service_role"); err != nil {
		return "", err
	}
	var answer sql.NullString
	if err := tx.QueryRowContext(ctx, text, args...).Scan(&answer); err != nil {
		return "", err
	}
	return answer.String, tx.Commit()
}
