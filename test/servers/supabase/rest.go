package supabase

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// exposed are the schemas of PGRST_DB_SCHEMAS.
var exposed = []string{"public", "api"}

// rest answers as PostgREST does, for the forms of requests that query.go lists. It refuses any other.
func (p *Project) rest(w http.ResponseWriter, r *http.Request, path string, body []byte) {
	status, answer, err := p.handle(r, path, body)
	if err != nil {
		refusalOf(err, r.Header.Get("Authorization") != "").write(w)
		return
	}
	write(w, status, answer)
}

func (p *Project) handle(r *http.Request, path string, body []byte) (status int, answer string, err error) {
	claims, err := authenticated(r.Header.Get("Authorization"))
	if err != nil {
		return 0, "", err
	}
	header := "Content-Profile"
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		header = "Accept-Profile"
	}
	schema := r.Header.Get(header)
	if schema == "" {
		schema = exposed[0]
	}
	if !slices.Contains(exposed, schema) {
		f := refuse(http.StatusNotAcceptable, "PGRST106", "Invalid schema: %s", schema)
		f.hint("Only the following schemas are exposed: " + strings.Join(exposed, ", "))
		return 0, "", f
	}
	cached := p.cache.snapshot()
	name, function := strings.CutPrefix(path, "rpc/")
	switch {
	case strings.Contains(name, "/"):
		return 0, "", refuse(http.StatusNotFound, "PGRST125", "Invalid path specified in request URL")
	case function:
		return p.rpc(r, claims, schema+"."+name+"()", cached, body)
	case name == "":
		return p.describe(r, claims, schema, cached)
	}
	table := schema + "." + path
	columns := cached[table]
	if columns == nil {
		return 0, "", refuse(http.StatusNotFound, "PGRST205", "Could not find the table '%s' in the schema cache", table)
	}
	q, err := parse(r.URL.Query())
	if err != nil {
		return 0, "", err
	}
	target := pgx.Identifier{schema, path}.Sanitize()
	returning := "1"
	if strings.Contains(r.Header.Get("Prefer"), "return=representation") {
		returning = q.selected()
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		limit, order := "ALL", ""
		if q.limit >= 0 {
			limit = strconv.Itoa(q.limit)
		}
		if len(q.order) > 0 {
			order = " ORDER BY " + strings.Join(q.order, ", ")
		}
		answer, err = p.query(r, claims, fmt.Sprintf("SELECT coalesce(json_agg(t), '[]') FROM (SELECT %s FROM %s AS t%s%s LIMIT %s) t", q.selected(), target, q.where(), order, limit))
		return http.StatusOK, answer, err
	case http.MethodPost:
		insert, err := insertion(r.Header.Get("Prefer"), q, path, target, columns, body)
		if err != nil {
			return 0, "", err
		}
		answer, err = p.query(r, claims, fmt.Sprintf("WITH t AS (%s RETURNING %s) SELECT coalesce(json_agg(t), '[]') FROM t", insert, returning))
		return representation(r, http.StatusCreated, answer, err)
	case http.MethodPatch:
		from, names, err := source("json_to_record", [][]byte{body}, body, q.writes, path, columns)
		if err != nil {
			return 0, "", err
		}
		for i, n := range names {
			names[i] = n + " = pgrst_body." + n
		}
		answer, err = p.query(r, claims, fmt.Sprintf("WITH t AS (UPDATE %s AS t SET %s FROM %s pgrst_body%s RETURNING %s) SELECT coalesce(json_agg(t), '[]') FROM t",
			target, strings.Join(names, ", "), from, q.where(), returning))
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

// insertion is the INSERT of a POST, which may have no rows.
func insertion(prefer string, q *query, table, target string, columns []known, body []byte) (string, error) {
	var rows []json.RawMessage
	if err := json.Unmarshal(body, &rows); err != nil {
		return "", refuse(http.StatusBadRequest, "PGRST102", "Empty or invalid json")
	}
	objects := make([][]byte, len(rows))
	for i, row := range rows {
		objects[i] = row
	}
	from, names, err := source("json_to_recordset", objects, body, q.writes, table, columns)
	if err != nil {
		return "", err
	}
	list := ""
	if len(names) > 0 {
		list = " (" + strings.Join(names, ", ") + ")"
	}
	sql := fmt.Sprintf("INSERT INTO %s AS t%s SELECT %s FROM %s pgrst_body", target, list, strings.Join(names, ", "), from)
	if q.conflict == "" {
		return sql, nil
	}
	conflict := " ON CONFLICT (" + pgx.Identifier{q.conflict}.Sanitize() + ") DO "
	switch {
	case strings.Contains(prefer, "resolution=ignore-duplicates"), strings.Contains(prefer, "resolution=merge-duplicates") && len(names) == 0:
		return sql + conflict + "NOTHING", nil
	case strings.Contains(prefer, "resolution=merge-duplicates"):
		for i, n := range names {
			names[i] = n + " = excluded." + n
		}
		return sql + conflict + "UPDATE SET " + strings.Join(names, ", "), nil
	}
	return sql, nil
}

// source is what a body writes: where the rows come from, each value read as the
// type of its column, and the columns.
func source(function string, rows [][]byte, body []byte, columns []string, table string, have []known) (from string, names []string, err error) {
	if columns == nil {
		if columns, err = keysOf(rows); err != nil {
			return "", nil, err
		}
	}
	if len(columns) == 0 {
		return "(SELECT FROM json_array_elements(" + literal(string(body)) + "::json))", nil, nil
	}
	var typed []string
	for _, n := range columns {
		i := slices.IndexFunc(have, func(k known) bool { return k.name == n })
		if i < 0 {
			return "", nil, refuse(http.StatusBadRequest, "PGRST204", "Could not find the '%s' column of '%s' in the schema cache", n, table)
		}
		name := pgx.Identifier{n}.Sanitize()
		names = append(names, name)
		typed = append(typed, name+" "+have[i].nominal)
	}
	return fmt.Sprintf("(SELECT %s FROM %s(%s::json) AS _(%s))", strings.Join(names, ", "), function, literal(string(body)), strings.Join(typed, ", ")), names, nil
}

// keysOf returns the columns of rows, which all must have the same.
func keysOf(rows [][]byte) (names []string, err error) {
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
	return names, nil
}

func (p *Project) rpc(r *http.Request, claims Claims, function string, cached tables, body []byte) (int, string, error) {
	if cached[function] == nil || r.Method != http.MethodPost || string(body) != "{}" {
		f := refuse(http.StatusNotFound, "PGRST202", "Could not find the function %s without parameters in the schema cache", strings.TrimSuffix(function, "()"))
		f.details("Searched for the function " + strings.TrimSuffix(function, "()") + " without parameters or with a single unnamed json/jsonb parameter, but no matches were found in the schema cache.")
		return 0, "", f
	}
	if _, err := p.query(r, claims, "SELECT "+function+"::text"); err != nil {
		return 0, "", err
	}
	return http.StatusNoContent, "", nil
}

// query runs SQL as the role of the key, with its rights.
func (p *Project) query(r *http.Request, claims Claims, text string) (string, error) {
	var answer sql.NullString
	err := p.as(r.Context(), claims.role(), claims, func(tx *sql.Tx) error { return tx.QueryRowContext(r.Context(), text).Scan(&answer) })
	return answer.String, err
}
