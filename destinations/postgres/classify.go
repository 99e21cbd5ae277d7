package postgres

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/destinations/internal/pgclient"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// refusal makes of an error, met doing what, what the engine knows. At is what the
// catalogue says after it, nil if nobody has asked; rows are those that were to be
// written, nil if none were. Alone: see sqltables.Writer.
func (p *postgres) refusal(what string, err error, at *place, rows *sqltables.Rows) (fault error, alone bool) {
	if f, ok := errors.AsType[*destination.Fault](err); ok {
		return f, false // the guard's, or classified already
	}
	worded := func(m pgclient.Meaning, text string) (error, bool) {
		return farside.Fault(m.Class, what, text, p.shown(m.Advice), err), m.Alone
	}
	if u, ok := errors.AsType[*unwritten](err); ok {
		return worded(pgclient.Meaning{Class: destination.Misconfigured, Advice: p.swallowed(u, at, rows), Alone: true}, u.Error())
	}
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		if connecting(err) {
			return worded(p.unconnected(pe), p.said(pe))
		}
		text := p.said(pe)
		if changesKey(pe) {
			text = "a row would have another key than the one that was sent, so that it might be another's: nothing is written"
		}
		return worded(p.meaning(pe, at, rows), text)
	}
	why := farside.Untrusted(err)
	switch text := err.Error(); {
	case strings.Contains(text, "server refused TLS connection"):
		why = farside.NoTLS
	case strings.Contains(text, "require_auth check failed"):
		why = "the server asks for the password in plain text without TLS: turn on TLS, or SCRAM on the server"
	case strings.Contains(text, "channel binding"):
		why = "the server does not bind its authentication to TLS: set channel_binding to prefer"
	}
	if why != "" {
		return worded(pgclient.Meaning{Class: destination.Misconfigured}, why)
	}
	return worded(pgclient.Meaning{}, farside.Describe(p.scrub, err))
}

// connecting tells whether an error kept a session from beginning.
func connecting(err error) bool {
	_, ok := errors.AsType[*pgconn.ConnectError](err)
	return ok
}

// unconnected is what a refusal means before a session has begun, with names.
func (p *postgres) unconnected(pe *pgconn.PgError) pgclient.Meaning {
	m := pgclient.MeaningWhileConnecting(pe.Code)
	user, database := quoted(p.target.User), quoted(p.target.Database)
	// The routines of PostgreSQL's source that may refuse: its texts are in the
	// language of the server.
	switch {
	case pe.Code == "3D000":
		m.Advice = "set database to one that exists, or run: CREATE DATABASE " + database + " OWNER " + user
	case pe.Code == "42501" && pe.Routine == "CheckMyDatabase":
		m.Advice = "run as the owner of the database: GRANT CONNECT ON DATABASE " + database + " TO " + user
	case pe.Code == "42501" && pe.Routine != "": // a parameter of the superuser's
		m.Advice = pgclient.MeaningWhileConnecting("42704").Advice
	case pe.Code == "55000":
		m.Advice = "run: ALTER DATABASE " + database + " ALLOW_CONNECTIONS true"
	case pe.Code == "28P01":
		m.Advice = "see that user and password are right, or run: ALTER ROLE " + user + " PASSWORD '...'"
	case pe.Code == "28000" && pe.Routine == "InitializeSessionUserId":
		m.Advice = "run: ALTER ROLE " + user + " LOGIN"
	case pe.Code == "28000" && pe.Routine == "ClientAuthentication" && p.target.TLS.Mode == farside.Disable:
		m.Advice = "pg_hba.conf has no line for this: if it wants TLS (hostssl), set tls.mode to verify-full"
	case pe.Code == "28000" && pe.Routine == "ClientAuthentication":
		m.Advice = "pg_hba.conf has no line that lets user, database and this address in; if it wants a client certificate, set tls.cert and tls.key"
	case pe.Code == "28000" && pe.Routine == "auth_failed": // a password that is wrong is 28P01
		m.Advice = "pg_hba.conf refuses this, or wants something else than a password, such as a client certificate for user (tls.cert, tls.key)"
	case pe.Code == "08P01" && poolerRefuses(pe.Message):
		m.Class, m.Advice = destination.Misconfigured, "a pooler says so: let it know database, user and password, and leave out options"
	case pe.Code == "53300":
		m.Advice = "lower max_connections, or run: ALTER ROLE " + user + " CONNECTION LIMIT -1, or raise max_connections of the server"
	}
	return m
}

// poolerRefuses tells whether PgBouncer will say the same to the next: it has one
// code for everything, and one language.
func poolerRefuses(message string) bool {
	for _, text := range []string{"no such database", "no such user", "does not exist", "authentication failed", "unsupported startup parameter", "bouncer config error"} {
		if strings.Contains(message, text) {
			return true
		}
	}
	return false
}

// meaning is what a refusal means in a session. What the catalogue says of the
// tables that were to be written comes first: a column that cannot hold what we
// write is never the event's fault.
func (p *postgres) meaning(pe *pgconn.PgError, at *place, rows *sqltables.Rows) pgclient.Meaning {
	m := pgclient.MeaningOf(pe.Code)
	if at == nil {
		return m
	}
	hold := func(advice string, alone bool) pgclient.Meaning {
		return pgclient.Meaning{Class: destination.Misconfigured, Advice: advice, Alone: alone}
	}
	if f := p.inTheWay(at, rows); f != "" {
		return hold(f, m.Alone)
	}
	if changesKey(pe) {
		return hold(at.untrigger("a trigger changes user_id or payload_id: let it keep them"), true)
	}
	if inTrigger(pe) && at.functions() && (m.Class != destination.Transient || strings.HasPrefix(pe.Code, "42")) {
		if pe.Code == "42501" {
			return hold("a trigger of yours may not do what it does as this user: grant it, or make its function SECURITY DEFINER", true)
		}
		return hold("a trigger of yours fails: mend or drop it", true)
	}
	if advice := p.culprit(at, pe, rows); advice != "" {
		return hold(advice, m.Alone)
	}
	if advice := at.ownRule(pe); advice != "" {
		m.Advice = advice
	}
	switch pe.Code {
	case "42501":
		m.Advice = "run as the owner of what it names: GRANT ALL ON ... TO " + quoted(at.User)
		if policy := at.policy(); policy != "" {
			m.Advice = policy
		}
	case "25006":
		if at.Standby {
			m.Advice = "this server is a standby: " + m.Advice
		}
	}
	return m
}

// changesKey tells whether an error is that of keeping.
func changesKey(pe *pgconn.PgError) bool {
	return pe.Code == "22P02" && strings.Contains(pe.Message, anotherKey)
}

// inTrigger tells whether an error comes from a fault in the customer's code. A RAISE
// is none: its code was chosen by whoever wrote it, to refuse the row.
func inTrigger(pe *pgconn.PgError) bool {
	if pe.Routine == "exec_stmt_raise" {
		return false
	}
	for line := range strings.SplitSeq(pe.Where, "\n") {
		// "PL/pgSQL function f() line 1 at SQL statement", in the language of the
		// server; a line of parameters is the event's.
		if strings.Contains(line, "PL/") && !strings.Contains(line, "$1 = ") {
			return true
		}
	}
	return false
}

// said quotes the server. The detail of an error repeats whole rows and stays out.
func (p *postgres) said(e *pgconn.PgError) string {
	return "answered " + farside.Quote(p.scrub, e.Code) + ": " + farside.Quote(p.scrub, e.Message)
}

// maxAdvice bounds what an error or a remark says to do, in bytes: scripts for three
// tables have some kilobytes.
const maxAdvice = 16 << 10

// shown is text made of names of the catalogue, which may be anything.
func (p *postgres) shown(text string) string {
	text = strings.ToValidUTF8(p.scrub.Excerpt(text, maxAdvice), "")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

func misconfigured(format string, args ...any) error {
	return destination.Misconfigure(fmt.Errorf(format, args...))
}
