package supabase

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
)

// A check runs what a delivery runs, so that the database itself says what it
// would refuse, and none of it stays: see rehearse.

// checkTable sees whether t takes what deliveries write to it.
func (s *supabase) checkTable(ctx context.Context, t table) error {
	columns := s.written(t)
	names := make([]string, len(columns))
	sample := sampleOf(columns)
	read := url.Values{"limit": {"0"}}
	for i, c := range columns {
		names[i] = c.name
		if c.compared() {
			read.Add(c.name, "eq."+*sample[c.name]) // which is read as the column's type
		}
	}
	read.Set("select", strings.Join(names, ","))
	if _, _, err := s.rest(ctx, http.MethodGet, t, read, "", nil); err != nil {
		return err
	}
	if _, err := s.planInsert(ctx, t, names); err != nil {
		return err
	}
	change := row{}
	for _, name := range names[1:] {
		change[name] = sample[name]
	}
	none := sampleKey
	if _, _, err := s.patch(ctx, t, none, []string{"(" + t.key() + ".is.null)"}, change); err != nil {
		return err
	}
	return s.rehearse(ctx, t, columns, sample)
}

// planInsert has the database plan the insert of a delivery, and insert no rows.
func (s *supabase) planInsert(ctx context.Context, t table, columns []string) (answer, error) {
	query := url.Values{"on_conflict": {t.key()}, "select": {t.key()}, "columns": {strings.Join(columns, ",")}}
	_, a, err := s.rest(ctx, http.MethodPost, t, query, insertPrefer, []row{})
	return a, err
}

// rehearse inserts a row twice in one statement. The database does with it all
// that it does with a delivery's, up to the unique key, which the second row
// violates: that takes back the whole statement.
func (s *supabase) rehearse(ctx context.Context, t table, columns []column, sample row) error {
	sparse, other := row{}, sampleKey+"-2"
	for _, c := range columns {
		sparse[c.name] = sample[c.name]
		if c.null {
			sparse[c.name] = nil
		}
	}
	sparse[t.key()] = &other
	all := []row{sample, sparse}
	if t.of == "" { // no two users are one, whatever the collation or type of the key
		for _, like := range []string{strings.ToUpper(sampleKey), sampleKey + " "} {
			one := maps.Clone(sample)
			one[t.key()] = &like
			all = append(all, one)
		}
	}
	rows, a, err := s.rest(ctx, http.MethodPost, t, url.Values{"select": {t.key()}}, "return=representation", append(all, sample))
	switch {
	case err == nil && len(rows) == 0:
		return swallowed("check "+t.bare(), t)
	case err == nil:
		return held("check "+t.bare()+": two rows have one key: a trigger of yours changes it, or the key is not unique",
			"DELETE FROM "+t.name+" WHERE "+t.key()+" LIKE '"+sampleKey+"%'; "+t.index())
	}
	switch r := refusalOf(a.body); r.code {
	case "23505":
		if strings.Contains(r.details, "("+strings.ToUpper(sampleKey)+")") || strings.Contains(r.details, "("+sampleKey+" ") {
			return another("check "+t.bare(), t)
		}
		return nil
	case "23503": // looked at after a key, unless that waits
		return s.word("check "+t.bare(), a.status, a, refusal{text: "the key is DEFERRABLE"}, bySQLState["55000"], t)
	}
	return err
}

// sampleKey is the key of the rows of a check.
const sampleKey = "fantail-check"

// sampleOf is a row as deliveries write it, with a value for each column.
func sampleOf(columns []column) row {
	r := row{}
	at := time.Unix(0, 0).UTC().Format(sqltables.Moment)
	for _, c := range columns {
		text := sampleKey
		switch {
		case c.kind == "TIMESTAMPTZ":
			text = at
		case c.name == "updated_at" || strings.HasSuffix(c.name, "_at"):
			text = at + " 00000000-0000-7000-8000-000000000000"
		case c.name == "state":
			text = "connection_error"
		case c.name == "data_type" || c.name == "payload_type":
			text = "lab_report.completed"
		case c.name == "reference_id":
			text = "00000000-0000-7000-8000-000000000000"
		}
		r[c.name] = &text
	}
	return r
}

// checkBucket says what is wrong with the bucket, and remarks upon what is not as
// it had better be. It writes an object, reads it back and removes it.
func (s *supabase) checkBucket(ctx context.Context) (remarks []string, err error) {
	done, err := s.turns.take(ctx, s.probe)
	if err != nil {
		return nil, err
	}
	defer done()
	i := item{object: s.probe, body: []byte(`{"type":"` + sampleKey + `"}`)}
	if a, err := s.upload(ctx, i); err != nil {
		return nil, s.refusedBucket(ctx, refusalOf(a.body).code, err)
	}
	if err := s.readBack(ctx, i); err != nil {
		remarks = append(remarks, err.Error()+". Deliveries can be made, but nobody can see with this key that they arrived")
	}
	if err := s.remove(ctx, i); err != nil {
		remarks = append(remarks, err.Error()+". Remove "+i.object+" from the bucket by hand, or give the role the right to DELETE")
	}
	more, err := s.describeBucket(ctx)
	return append(remarks, more...), err
}

// refusedBucket adds to the refusal of an object what a look at the bucket tells.
func (s *supabase) refusedBucket(ctx context.Context, code string, err error) error {
	class, _ := destination.ClassOf(err)
	more := ""
	switch code {
	case "NoSuchBucket":
		more = s.buckets(ctx)
	case "InvalidMimeType", "EntityTooLarge":
		if remarks, unseen := s.describeBucket(ctx); unseen == nil {
			more = strings.Join(remarks, "; ")
		}
	}
	if more == "" {
		return err
	}
	return &destination.Fault{Class: class, Err: fault.Of(err, err.Error()+". "+more)}
}

// another holds the destination for a table whose row is that of another key than
// the one that was asked for.
func another(what string, t table) error {
	return held(what+": the table takes different users or payloads for one, by the type or the collation of "+t.key()+", or a trigger changes it",
		"ALTER TABLE "+t.name+" ALTER COLUMN "+t.key()+` TYPE TEXT COLLATE "C"; `+reload)
}

// swallowed holds the destination for a table that keeps no rows.
func swallowed(what string, t table) error {
	return held(what+": the table takes rows and keeps none: a trigger or a rule of yours swallows them. To see which",
		t.triggers())
}

// triggers is the SQL that shows the triggers of t.
func (t table) triggers() string {
	return "SELECT tgname FROM pg_trigger WHERE tgrelid = '" + t.name + "'::regclass AND NOT tgisinternal"
}
