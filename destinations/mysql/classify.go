package mysql

import (
	"errors"

	driver "github.com/go-sql-driver/mysql"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// fault makes of an error, met doing what, what the engine knows. Alone: see
// sqltables.Writer.
func (m *mysql) fault(what string, err error) (fault error, alone bool) {
	if f, ok := errors.AsType[*destination.Fault](err); ok {
		return f, false // the guard's, or classified already
	}
	worded := func(x meaning, text string) (error, bool) {
		return farside.Fault(x.class, what, text, x.advice, err), x.alone
	}
	if me, ok := errors.AsType[*driver.MySQLError](err); ok {
		x := meaningOf(me)
		switch {
		case me.Number == 1049:
			x = meaning{class: destination.Misconfigured, advice: "set database to one that exists, or run: CREATE DATABASE " + quoted(m.target.database)}
		case denied(me.Number):
			x = meaning{class: destination.Misconfigured, advice: "run: " + m.grants("SELECT, INSERT, UPDATE, CREATE, ALTER", quoted(m.target.user)+"@'%'")}
		case me.Number == 1045 && m.target.tls.Mode == farside.Disable:
			x.advice += "; or the server insists on TLS, of which MariaDB says no more: set tls.mode to verify-full"
		}
		return worded(x, m.said(me))
	}
	why := farside.Untrusted(err)
	switch {
	case errors.Is(err, driver.ErrNoTLS):
		why = farside.NoTLS
	case errors.Is(err, driver.ErrCleartextPassword), errors.Is(err, driver.ErrOldPassword), errors.Is(err, driver.ErrUnknownPlugin), errors.Is(err, driver.ErrNativePassword):
		why = "the server asks for a kind of authentication that is not safe or not known: let the user log in by caching_sha2_password, ed25519 or mysql_native_password"
	case errors.Is(err, driver.ErrInvalidConn):
		return worded(meaning{}, "the connection broke")
	}
	if why != "" {
		return worded(meaning{class: destination.Misconfigured}, why)
	}
	x := meaning{}
	if _, silent := errors.AsType[*silence](err); silent {
		x.advice = "nobody has greeted us: if this goes on, see that host and port are those of a MySQL or MariaDB server"
	}
	return worded(x, farside.Describe(m.scrub, err))
}

func (m *mysql) quote(text string) string { return farside.Quote(m.scrub, text) }
