package supabase

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
	"github.com/seed-51f8da91/fantail/pkg/destination/parsing"
	"github.com/seed-51f8da91/fantail/pkg/retryafter"
)

// meaning is what an answer says about the next attempt.
type meaning struct {
	class  destination.Class
	advice string // what to do about it; {bucket}, {schema} and {role} are filled in
	does   part   // which SQL of the table mends it
}

// part is a part of a table that may be missing or wrong.
type part int

const (
	nothing part = iota
	rights
	columns
	unique
	everything
	values // what the columns hold: see blame
)

const (
	badKey = "see that service_role_key is the service_role or secret key of this very project, in Project Settings > API Keys"
	badURL = "see that url is that of the project's API, in Project Settings > Data API"
)

// refusal is what the services say in the body of an error, each in its own way.
type refusal struct{ code, text, details, status string }

func refusalOf(body []byte) (r refusal) {
	var said map[string]any
	if parsing.JSON(body, &said) != nil {
		return r // HTML of the gateway
	}
	text := func(name string) string {
		if v, ok := said[name].(string); ok {
			return v
		}
		return ""
	}
	r = refusal{code: text("code"), text: text("message"), details: text("details"), status: text("statusCode")}
	if r.text == "" {
		r.text = text("error")
	}
	r.text = paths.ReplaceAllString(r.text, "$1")
	return r
}

// paths are those of requests, which frameworks repeat with the query. They name
// users.
var paths = regexp.MustCompile(`(\b(?:GET|HEAD|POST|PUT|PATCH|DELETE)) ?:?/\S*|'/[^']*'`)

// restFault makes of an answer of PostgREST about t what the engine knows, or
// an *incomplete.
func (s *supabase) restFault(ctx context.Context, what string, a answer, t table) error {
	r := refusalOf(a.body)
	m, sure := byStatus(a.status)
	if of, known := ofSQLState(r.code); !sure && known {
		m = of
	} else if !sure && r.code != "" && a.status == http.StatusNotFound {
		m = meaning{} // of PostgREST itself
	}
	if r.code == "0A000" && strings.HasPrefix(r.text, "cached plan") {
		m = meaning{} // PostgREST's own, of before the tables were completed
	}
	constraint := named(r.text)
	switch {
	case m.does == values:
		column := ""
		if found := nullColumn.FindStringSubmatch(r.text); found != nil {
			column = found[1]
		}
		return s.blame(ctx, s.text(what, a.status, r, m), t, column)
	case constraint != "" && strings.HasPrefix(r.code, "23"):
		m.advice += ": ALTER TABLE " + t.name + " DROP CONSTRAINT " + constraint
	}
	return s.word(what, a.status, a, r, m, t)
}

// named is the constraint that PostgreSQL names, quoted as SQL has it; "" if it
// names none.
func named(text string) string {
	found := constraints.FindStringSubmatch(text)
	if found == nil || strings.Contains(found[1], `" on table "`) || strings.ContainsFunc(found[1], unicode.IsControl) {
		return ""
	}
	return pgx.Identifier{found[1]}.Sanitize()
}

// constraints are named at the end; quotes in a name are not escaped.
var constraints = regexp.MustCompile(`constraint "(.{1,63})"$`)

// storageFault does so for storage, which answers 400 for nearly everything and
// says the true status in the body.
func (s *supabase) storageFault(what string, a answer) error {
	r := refusalOf(a.body)
	status := a.status
	if inner, err := strconv.Atoi(r.status); err == nil && status == http.StatusBadRequest && inner >= 400 && inner <= 599 {
		status = inner
	}
	m, sure := byStatus(a.status)
	if !sure {
		m = ofStorage(r, status)
	}
	return s.word(what, status, a, r, m, table{})
}

// text is what is shown of a refusal.
func (s *supabase) text(what string, status int, r refusal, m meaning) string {
	text := fmt.Sprintf("%s: answered %d", what, status)
	if r.code != "" {
		text += " " + farside.Quote(s.service.scrub, r.code)
	}
	if r.text != "" {
		text += ": " + farside.Quote(s.service.scrub, r.text)
	}
	if m.advice != "" {
		text += "; " + strings.NewReplacer("{bucket}", s.bucket, "{schema}", s.tables.schema, "{role}", s.role).Replace(m.advice)
	}
	return text
}

// word is the error of a refusal.
func (s *supabase) word(what string, status int, a answer, r refusal, m meaning, t table) error {
	text := s.text(what, status, r, m)
	switch {
	case m.does == rights && strings.Contains(r.text, "row-level security"):
		return held(text+". The role "+s.role+" does not pass row level security", "ALTER ROLE "+s.role+" BYPASSRLS. Or write policies for it: the documentation of this kind has them")
	case m.does == rights:
		return held(text, "GRANT USAGE ON SCHEMA "+s.tables.schema+" TO "+s.role+"; "+t.grant(s.role)+". If it has these rights: "+badKey)
	case m.does != nothing:
		return &incomplete{text, t.mend(m.does)}
	case m.class == destination.Transient && (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable):
		if wait, asked := retryafter.Parse(a.header.Get("Retry-After"), time.Now()); asked {
			return destination.Throttle(&fault.Safe{Text: text}, wait)
		}
	}
	return &destination.Fault{Class: m.class, Err: &fault.Safe{Text: text}}
}

// mend is the SQL for a part of the table that is missing, on one line: the
// reason of a held destination is shown so.
func (t table) mend(p part) string {
	all := []string{t.index()}
	switch p {
	case columns:
		all = []string{t.add()}
	case everything:
		all = t.create()
	}
	return strings.Join(append(all, reload), "; ")
}

// held holds the destination until somebody has run sql.
func held(text, sql string) error {
	return destination.Misconfigure(&fault.Safe{Text: text + ". Run in the SQL editor: " + sql})
}
