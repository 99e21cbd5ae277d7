package postgres

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// meaning is what an SQLSTATE says about the next attempt.
type meaning struct {
	class  destination.Class
	advice string // what to do about it
	alone  bool   // one delivery of several may be at fault
}

// meanings are those of appendix A of PostgreSQL's manual that a write can meet,
// by the whole code, else by its class of two characters. What is missing is
// Transient, and each delivery is tried alone: a trigger may refuse one row.
var meanings = map[string]meaning{
	"28": {destination.Misconfigured, "see that user and password are right, and that pg_hba.conf lets them in from here", false},
	"22": {destination.Rejected, "", true},                                         // data exception
	"23": {destination.Rejected, "", true},                                         // a constraint
	"54": {destination.Rejected, "", true},                                         // too large for the server, such as for an index
	"08": {}, "25": {}, "40": {}, "53": {}, "55": {}, "57": {}, "58": {}, "XX": {}, // of the server, not of a row

	"23503": {alone: true}, // what it refers to may still come
	"42501": {destination.Misconfigured, "the user lacks a right", false},
	"42P01": {advice: "the tables are being made or dropped"},
	"42703": {advice: "the tables are being changed"},
	"42P10": {advice: "the tables are being changed"},
	"3F000": {destination.Misconfigured, "the schema does not exist: create it, or set schema to one that does", false},
	"42804": {destination.Misconfigured, "a column is of a type that takes no text: see the table of columns in the documentation of this kind", false},
	"428C9": {destination.Misconfigured, "a column is generated: see the table of columns in the documentation of this kind", false},
	"42809": {destination.Misconfigured, "one of the tables is no ordinary table", false},
	"0A000": {destination.Misconfigured, "the server cannot do this to one of the tables: it must be an ordinary table", false},
	"42P17": {destination.Misconfigured, "a policy or rule of the table is not valid", false},
}

func meaningOf(code string) meaning {
	if m, ok := meanings[code]; ok {
		return m
	}
	if len(code) == 5 {
		if m, ok := meanings[code[:2]]; ok {
			return m
		}
	}
	return meaning{alone: true}
}

// fault makes of an error, met doing what, what the engine knows. Alone: see
// sqltables.Writer.
func (p *postgres) fault(what string, err error) (fault error, alone bool) {
	if f, ok := errors.AsType[*destination.Fault](err); ok {
		return f, false // the guard's, or classified already
	}
	worded := func(m meaning, text string) (error, bool) {
		return sqltables.Fault(m.class, what, text, m.advice, err), m.alone
	}
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		m := meaningOf(pe.Code)
		switch {
		case pe.Code == "3D000":
			m = meaning{class: destination.Misconfigured, advice: "set database to one that exists, or run: CREATE DATABASE " + quoted(p.target.Database) + " OWNER " + quoted(p.target.User)}
		case pe.Code == "23502" && !p.ours(pe.ColumnName):
			m = meaning{class: destination.Misconfigured, advice: "a column of yours must take NULL or have a default"}
		case connecting(err) && (m.class == destination.Rejected || pe.Code == "42704"): // there is no event yet that could be at fault
			m = meaning{class: destination.Misconfigured, advice: "mend options in the dsn, or what ALTER ROLE or ALTER DATABASE has set"}
		case pe.Code == "25006":
			m = meaning{advice: "this server takes no writes: with several hosts, target_session_attrs=read-write finds the one that does"}
		}
		return worded(m, p.said(pe))
	}
	why := sqltables.Untrusted(err)
	switch text := err.Error(); {
	case strings.Contains(text, "server refused TLS connection"):
		why = sqltables.NoTLS
	case strings.Contains(text, "require_auth check failed"):
		why = "the server asks for the password in plain text without TLS: turn on TLS, or SCRAM on the server"
	case strings.Contains(text, "channel binding"):
		why = "the server does not bind its authentication to TLS: set channel_binding to prefer"
	}
	if why != "" {
		return worded(meaning{class: destination.Misconfigured}, why)
	}
	return worded(meaning{}, sqltables.Describe(p.scrub, err))
}

// connecting tells whether an error kept a session from beginning.
func connecting(err error) bool {
	_, ok := errors.AsType[*pgconn.ConnectError](err)
	return ok
}

// said quotes the server. The detail of an error repeats whole rows and stays out.
func (p *postgres) said(e *pgconn.PgError) string {
	return "answered " + sqltables.Quote(p.scrub, e.Code) + ": " + sqltables.Quote(p.scrub, e.Message)
}

// ours tells whether a column is one that we fill.
func (p *postgres) ours(column string) bool {
	for _, t := range p.tables.All() {
		for _, c := range t.Columns {
			if c.Name == column {
				return true
			}
		}
	}
	return column == ""
}

func misconfigured(format string, args ...any) error {
	return destination.Misconfigure(fmt.Errorf(format, args...))
}
