package supabase

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// lacks is what keeps the three tables from taking what we write, and the SQL
// that ends all of it at once.
type lacks struct {
	words  []string // what is wrong with a table, and in sql what ends it
	sql    []string
	made   []string // tables that are made, to which the role needs rights
	addsUp bool     // whether the script of complete ends all of it, which changes no column that is there
}

// maxReason is how much is shown of what holds a destination, in bytes.
const maxReason = destination.MaxAnswer

// all is the SQL that ends all that t lacks.
func (l *lacks) all(role string) string {
	sql := slices.Clone(l.sql)
	if len(l.made) > 0 {
		sql = append(sql, "GRANT SELECT, INSERT, UPDATE ON "+strings.Join(l.made, ", ")+" TO "+role)
	}
	return strings.Join(append(sql, reload), "; ")
}

// hold holds the destination, with all the SQL at once and as much of text and
// words as leaves room for it.
func (l *lacks) hold(role, text string) error {
	if err := l.fitting(role, text+": "+strings.Join(l.words, "; "), strings.Join(l.words, "; "), "the tables are incomplete", "tables missing"); err != nil {
		return err
	}
	// Too long a brand or schema for one script: the tables one after the other.
	return held(l.words[0], l.sql[0]+"; "+reload)
}

// fitting is a hold with the first of texts that leaves room for all the SQL, nil
// if none does.
func (l *lacks) fitting(role string, texts ...string) error {
	for _, text := range texts {
		if err := held(text, l.all(role)); len(err.Error()) <= maxReason {
			return err
		}
	}
	return nil
}

// look describes what the tables lack, nil if PostgREST describes nothing. After a
// refusal every limit of a column counts; before one, only a limit that must refuse
// some of what every developer gets. column is one of theirs, in the table at, that is
// known to be in the way; "" if there is none.
func (s *supabase) look(ctx context.Context, refused bool, at table, column string) (*lacks, error) {
	known := s.describe(ctx)
	if known == nil {
		return nil, nil
	}
	found := &lacks{addsUp: true}
	for _, t := range s.tables.all() {
		d, there := known[t.bare()]
		if !there {
			_, a, err := s.ask(ctx, http.MethodGet, t, url.Values{"select": {t.key()}, "limit": {"0"}}, "", nil)
			if err != nil {
				return nil, err
			}
			switch code := refusalOf(a.body).code; {
			case bySQLState[code].does == everything:
				found.words = append(found.words, t.bare()+" is missing")
				found.sql = append(found.sql, strings.Join(t.make(s.written(t)), "; "))
				found.made = append(found.made, t.name)
			case a.status != http.StatusOK:
				return nil, s.restFault(ctx, "read "+t.bare(), a, t)
			}
			continue
		}
		wrong := ""
		if t.name == at.name {
			wrong = column
		}
		words, clauses := s.misfits(t, d, refused, found)
		keyed := s.keyed(ctx, t, d)
		if !keyed {
			words = append(words, "no unique key")
		}
		if wrong != "" || len(words) > 0 { // else whoever made them knows how they are filled
			more, fills := theirs(t, d, wrong)
			words, clauses = append(words, more...), append(clauses, fills...)
			found.addsUp = found.addsUp && len(more) == 0
		}
		sql := t.uncounted(d)
		if len(clauses) > 0 {
			sql = append(sql, "ALTER TABLE "+t.name+" "+strings.Join(clauses, ", "))
		}
		if !keyed {
			sql = append(sql, t.index())
		}
		if len(sql) > 0 {
			found.sql = append(found.sql, strings.Join(sql, "; "))
			found.words = append(found.words, "in "+t.bare()+" "+strings.Join(words, ", "))
		}
	}
	if slices.Contains(found.made, s.tables.users.name) { // with its primary key
		for i, sql := range found.sql {
			found.sql[i] = strings.Replace(sql, s.tables.users.name+" (user_id),", s.tables.users.name+",", 1)
		}
	}
	return found, nil
}

// keyed tells whether the key of t is unique, as far as it can be told.
func (s *supabase) keyed(ctx context.Context, t table, d definition) bool {
	key, there := d.Properties[t.key()]
	if !there {
		return false
	}
	if strings.Contains(key.Description, "<pk/>") {
		others := 0
		for _, p := range d.Properties {
			if strings.Contains(p.Description, "<pk/>") {
				others++
			}
		}
		if others == 1 {
			return true
		}
	}
	query := url.Values{"on_conflict": {t.key()}, "select": {t.key()}, "columns": {t.key()}}
	_, a, err := s.ask(ctx, http.MethodPost, t, query, insertPrefer, []row{})
	return err != nil || bySQLState[refusalOf(a.body).code].does != unique
}

// misfits holds the columns of a table against what is written to it. It returns
// what is wrong, and the clauses of one ALTER TABLE that end it.
func (s *supabase) misfits(t table, d definition, refused bool, found *lacks) (words, clauses []string) {
	var missing []string
	for _, c := range s.written(t) {
		p, there := d.Properties[c.name]
		if !there {
			missing = append(missing, c.name)
			clauses = append(clauses, "ADD "+c.name+" "+c.kind)
			continue
		}
		if text, clause := c.misfit(p, refused); text != "" {
			words, clauses, found.addsUp = append(words, text), append(clauses, clause), false
		}
		if p.notNull && (c.null || c.unsaid && p.Default == nil) {
			words, clauses, found.addsUp = append(words, c.name+" takes no NULL"), append(clauses, "ALTER COLUMN "+c.name+" DROP NOT NULL"), false
		}
	}
	if len(missing) > 0 {
		words = append([]string{"are missing " + strings.Join(missing, " ")}, words...)
	}
	return words, clauses
}

// theirs are columns that are none of ours and want a value, of which wrong has
// refused a row for want of one, with the clauses that fill them.
func theirs(t table, d definition, wrong string) (words, clauses []string) {
	for _, name := range slices.Sorted(maps.Keys(d.Properties)) {
		p := d.Properties[name]
		// Numbers without a default may count for themselves, and no word tells.
		if !slices.Contains(t.names(), name) && p.notNull && p.Default == nil && (!p.counts() || name == wrong) {
			words, clauses = append(words, name+" of yours takes no NULL and has no default"), append(clauses, fill(name, p))
		}
	}
	return words, clauses
}

// uncounted ends the counting of columns of ours that are identities, which keep
// their type otherwise.
func (t table) uncounted(d definition) (sql []string) {
	for _, c := range t.columns {
		p := d.Properties[c.name]
		if value, ok := p.Default.(string); ok && p.counts() && strings.Contains(value, "nextval") {
			sql = append(sql, "ALTER TABLE "+t.name+" ALTER COLUMN "+c.name+" DROP IDENTITY IF EXISTS")
		}
	}
	return sql
}

func (p described) counts() bool { return p.Format == "int32" || p.Format == "int64" }

// fill has rows that name no value for a column of theirs get one, or NULL.
func fill(name string, p described) string {
	at := "ALTER COLUMN " + pgx.Identifier{name}.Sanitize()
	switch {
	case !strings.Contains(p.Description, "<pk/>"):
		return at + " DROP NOT NULL"
	case p.Format == "uuid":
		return at + " SET DEFAULT gen_random_uuid()"
	case p.counts():
		return at + " ADD GENERATED BY DEFAULT AS IDENTITY"
	}
	return at + " SET DEFAULT gen_random_uuid()::text"
}

// misfit says what is wrong with the type of a column of ours, "" if nothing is.
func (c column) misfit(p described, refused bool) (text, clause string) {
	isText := p.Format == "text" || strings.HasPrefix(p.Format, "character")
	is := p.Format
	switch {
	case p.Enum != nil:
		is = "an enum"
	case p.MaxLength > 0:
		is = fmt.Sprintf("%s(%d)", p.Format, p.MaxLength)
	}
	switch {
	case isText && p.Enum == nil && (p.MaxLength == 0 || p.MaxLength >= c.least && !refused):
		return "", "" // also of times: ours are texts of one width
	case c.kind == "TIMESTAMPTZ" && strings.HasPrefix(p.Format, "timestamp"):
		return "", ""
	case c.kind == "TEXT" && strings.HasSuffix(p.Format, "citext") && !c.key, strings.HasPrefix(p.Format, "json") && !c.compared():
		return "", ""
	}
	clause = "ALTER COLUMN " + c.name + " TYPE " + c.kind
	if c.kind == "TIMESTAMPTZ" {
		switch {
		case p.counts():
			clause += " USING to_timestamp(" + c.name + ")"
		case !isText && p.Format != "date":
			clause += " USING " + c.name + "::TEXT::TIMESTAMPTZ"
		}
		if p.Default != nil {
			clause = "ALTER COLUMN " + c.name + " DROP DEFAULT, " + clause
		}
	}
	return c.name + " is " + is, clause
}

// seen is what PostgREST described last, of which a storm of refusals needs one.
type seen struct {
	at    time.Time
	found *lacks
	err   error
}

// maxLooked bounds how many columns are remembered.
const maxLooked = 64

// blame finds whose fault the refusal of a value is: that of a column that can never
// hold what we write or, where all columns are as they have to be, of a trigger or an
// expression.
func (s *supabase) blame(ctx context.Context, text string, t table, column string) error {
	done, err := s.turns.take(ctx, "columns")
	if err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	defer done()
	key := t.name + " " + column
	last := s.looked[key]
	if time.Since(last.at) > time.Minute {
		last.found, last.err = s.look(ctx, true, t, column)
		last.at = time.Now()
		if len(s.looked) > maxLooked { // the names are what the far side says
			clear(s.looked)
		}
		s.looked[key] = last
	}
	switch {
	case last.err != nil:
		return last.err
	case last.found == nil:
		return held(text+". A column is of another type or too short, or takes no NULL", t.retype(column)+"; "+reload)
	case len(last.found.sql) > 0:
		return last.found.hold(s.role, text)
	case column != "":
		return held(text, "ALTER TABLE "+t.name+" ALTER COLUMN "+pgx.Identifier{column}.Sanitize()+" DROP NOT NULL")
	}
	// No text of an event is refused by a column of texts. Nobody can tell whether what
	// refuses it does so with each: a hold loses nothing.
	return held(text+". The columns are as they have to be: a trigger, a default or an expression of yours fails, mend or drop it. To see which triggers there are", t.triggers())
}

// retype is the SQL for a table of which nobody knows what its columns are.
func (t table) retype(column string) string {
	if column != "" {
		return "ALTER TABLE " + t.name + " ALTER COLUMN " + pgx.Identifier{column}.Sanitize() + " DROP NOT NULL"
	}
	var clauses []string
	for _, c := range t.columns {
		if c.kind == "TEXT" {
			clauses = append(clauses, "ALTER COLUMN "+c.name+" TYPE TEXT")
		}
	}
	return "ALTER TABLE " + t.name + " " + strings.Join(clauses, ", ")
}

var nullColumn = regexp.MustCompile(`^null value in column "([^"]{1,63})"`)

// written are the columns of t that deliveries write.
func (s *supabase) written(t table) []column {
	if !s.natural && t.key() == "payload_id" {
		return t.columns[:len(t.columns)-1] // updated_at is of natural identities
	}
	return t.columns
}
