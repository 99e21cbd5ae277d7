package supabase

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
	"github.com/seed-51f8da91/fantail/pkg/destination/parsing"
)

// row is a row as PostgREST takes and gives it; nil is null.
type row map[string]*string

// rest makes one request to PostgREST about a table and returns the rows that it
// answers. A row with no columns but the key stands for one that was written.
func (s *supabase) rest(ctx context.Context, method string, t table, query url.Values, prefer string, body any) (rows []row, a answer, err error) {
	what := doing(t, body)
	if rows, a, err = s.ask(ctx, method, t, query, prefer, body); err != nil {
		return nil, a, err
	}
	switch {
	case a.status >= 200 && a.status <= 299 && rows == nil:
		// Whatever this is, it is not PostgREST: nothing was stored.
		return nil, a, &fault.Safe{Text: fmt.Sprintf("%s: answered %d, but no rows: %s", what, a.status, a.receipt.Answer)}
	case a.status == http.StatusNotFound && rows != nil && method == http.MethodPatch:
		return rows, a, nil // PostgREST before version 10, when no row matched
	case a.status < 200 || a.status > 299:
		return nil, a, s.restFault(ctx, what, a, t)
	}
	return rows, a, nil
}

// doing says in errors what a request does.
func doing(t table, body any) string {
	if body == nil {
		return "read " + t.bare()
	}
	return "write " + t.bare()
}

// ask makes one request to PostgREST about a table. Whatever it answers is no
// error here; rows are nil where there are none.
func (s *supabase) ask(ctx context.Context, method string, t table, query url.Values, prefer string, body any) (rows []row, a answer, err error) {
	q := request{method: method, path: "/rest/v1/" + url.PathEscape(t.bare()), query: query, what: doing(t, body),
		header: map[string]string{"Accept": "application/json", "Accept-Profile": s.tables.schema}}
	if body != nil {
		q.header["Content-Type"], q.header["Content-Profile"], q.header["Prefer"] = "application/json", s.tables.schema, prefer
		if q.body, err = json.Marshal(body); err != nil {
			return nil, a, fmt.Errorf("%s: %w", q.what, err)
		}
	}
	if a, err = s.service.call(ctx, q); err == nil && parsing.JSON(a.body, &rows) != nil {
		rows = nil
	}
	return rows, a, err
}

// insertPrefer has an insert leave rows alone whose keys are there.
const insertPrefer = "resolution=ignore-duplicates,return=representation"

// insert adds rows whose keys are new and leaves the others alone. It returns
// how many were new.
func (s *supabase) insert(ctx context.Context, t table, rows []row) (int, answer, error) {
	added, a, err := s.insertAll(ctx, t, rows)
	return len(added), a, err
}

// insertAll is insert, and returns the keys that were new.
func (s *supabase) insertAll(ctx context.Context, t table, rows []row) ([]row, answer, error) {
	query := url.Values{"on_conflict": {t.key()}, "select": {t.key()}}
	added, a, err := s.rest(ctx, http.MethodPost, t, query, insertPrefer, rows)
	if err == nil && slices.ContainsFunc(added, func(one row) bool {
		return !slices.ContainsFunc(rows, func(r row) bool { return one.has(t.key(), *r[t.key()]) })
	}) {
		err = another(doing(t, rows), t)
	}
	return added, a, err
}

// has tells whether a column of r is value. A row that does not name it says nothing.
func (r row) has(column, value string) bool {
	is, named := r[column]
	return !named || is != nil && *is == value
}

// patch changes the row of key if all guards hold. It returns how many rows it
// changed: 1 or 0.
func (s *supabase) patch(ctx context.Context, t table, key string, guards []string, change row) (int, answer, error) {
	query := url.Values{t.key(): {"eq." + key}, "select": {t.key()}}
	if len(guards) > 0 {
		query["or"] = guards // each is one more condition
	}
	changed, a, err := s.rest(ctx, http.MethodPatch, t, query, "return=representation", change)
	if err == nil && slices.ContainsFunc(changed, func(r row) bool { return !r.has(t.key(), key) }) {
		err = another(doing(t, change), t) // it is too late for this one, and the last
	}
	return len(changed), a, err
}

// find reads columns of the row of key, nil if there is none.
func (s *supabase) find(ctx context.Context, t table, key string, columns ...string) (row, answer, error) {
	rows, a, err := s.rest(ctx, http.MethodGet, t, url.Values{t.key(): {"eq." + key}, "select": {strings.Join(append(columns, t.key()), ",")}}, "", nil)
	if err != nil || len(rows) == 0 {
		return nil, a, err
	}
	if !rows[0].has(t.key(), key) {
		return nil, a, another("read "+t.bare(), t)
	}
	return rows[0], a, nil
}

// guard is the condition that a column is null or compares so to a value, which
// is quoted as a list of conditions needs it. Values here have no quotes.
func guard(column, compare, value string) string {
	return fmt.Sprintf(`(%s.is.null,%s.%s."%s")`, column, column, compare, value)
}
