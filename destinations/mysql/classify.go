package mysql

import (
	"errors"
	"fmt"

	driver "github.com/go-sql-driver/mysql"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// meaning is what an error's number says about the next attempt.
type meaning struct {
	class  destination.Class
	advice string // what to do about it
	alone  bool   // one delivery of several may be at fault
}

const credentials = "see that user and password are right, and that the user may come from here"

// meanings are those of MySQL's and MariaDB's references that a write can meet.
// What is missing is Transient, and each delivery is tried alone: a trigger may
// refuse one row.
var meanings = map[uint16]meaning{
	1045: {destination.Misconfigured, credentials, false},
	1130: {destination.Misconfigured, credentials, false},
	1698: {destination.Misconfigured, credentials, false},
	1251: {destination.Misconfigured, credentials, false}, // an authentication that the driver lacks
	1862: {destination.Misconfigured, "the password has expired", false},
	1820: {destination.Misconfigured, "the password has expired", false},
	4151: {destination.Misconfigured, "the account is locked", false},
	3118: {destination.Misconfigured, "the account is locked", false},
	3159: {destination.Misconfigured, "the server insists on TLS: set tls.mode to verify-full", false},
	1364: {destination.Misconfigured, "a column of yours must take NULL or have a default", false},
	1348: {destination.Misconfigured, "one of the tables is a view", false},
	1471: {destination.Misconfigured, "one of the tables takes no rows", false},
	1906: {destination.Misconfigured, "a column is generated", false},
	3105: {destination.Misconfigured, "a column is generated", false},
	3750: {destination.Misconfigured, "the server wants a primary key for every table: ALTER TABLE adds one", false},

	1048: {destination.Rejected, "", true}, // NULL
	1264: {destination.Rejected, "", true}, // out of range
	1265: {destination.Rejected, "", true}, // does not fit
	1292: {destination.Rejected, "", true}, // wrong value
	1366: {destination.Rejected, "", true}, // wrong text
	1406: {destination.Rejected, "", true}, // too long
	1118: {destination.Rejected, "", true}, // the row is too large
	1153: {destination.Rejected, "", true}, // the packet is too large
	1062: {destination.Rejected, "", true}, // another unique key
	3819: {destination.Rejected, "", true}, // CHECK
	4025: {destination.Rejected, "", true}, // CHECK of MariaDB

	1146: {advice: "the tables are being made or dropped"},
	1054: {advice: "the tables are being changed"},
	1040: {}, 1203: {}, 1226: {}, // too many connections, or too much in an hour
	1205: {}, 1213: {}, // lock wait, deadlock
	1053: {}, 1077: {}, 1079: {}, 1080: {}, // shutting down
	1290: {advice: "the server takes no writes: it may be a replica"},
	1792: {advice: "the server takes no writes: it may be a replica"},
	1836: {advice: "the server takes no writes: it may be a replica"},
	1114: {}, 1021: {}, 1030: {}, 1028: {}, 1037: {}, 1041: {}, // full, out of memory
	1317: {}, 1969: {}, 3024: {}, 1927: {}, // interrupted
	1129: {advice: "the server has blocked us after many broken connections: run FLUSH HOSTS"},
}

// fault makes of an error, met doing what, what the engine knows. Alone: see
// sqltables.Writer.
func (m *mysql) fault(what string, err error) (fault error, alone bool) {
	if f, ok := errors.AsType[*destination.Fault](err); ok {
		return f, false // the guard's, or classified already
	}
	worded := func(x meaning, text string) (error, bool) {
		return sqltables.Fault(x.class, what, text, x.advice, err), x.alone
	}
	if me, ok := errors.AsType[*driver.MySQLError](err); ok {
		x, known := meanings[me.Number]
		switch {
		case me.Number == 1049:
			x = meaning{class: destination.Misconfigured, advice: "set database to one that exists, or run: CREATE DATABASE " + quoted(m.target.database)}
		case denied(me.Number):
			x = meaning{class: destination.Misconfigured, advice: "run: " + m.grants("SELECT, INSERT, UPDATE, CREATE, ALTER, INDEX", quoted(m.target.user)+"@'%'")}
		case !known:
			x.alone = true
		}
		return worded(x, m.said(me))
	}
	why := sqltables.Untrusted(err)
	switch {
	case errors.Is(err, driver.ErrNoTLS):
		why = sqltables.NoTLS
	case errors.Is(err, driver.ErrCleartextPassword), errors.Is(err, driver.ErrOldPassword), errors.Is(err, driver.ErrUnknownPlugin), errors.Is(err, driver.ErrNativePassword):
		why = "the server asks for a kind of authentication that is not safe or not known: let the user log in by caching_sha2_password, ed25519 or mysql_native_password"
	case errors.Is(err, driver.ErrInvalidConn):
		return worded(meaning{}, "the connection broke")
	}
	if why != "" {
		return worded(meaning{class: destination.Misconfigured}, why)
	}
	return worded(meaning{}, sqltables.Describe(m.scrub, err))
}

// said quotes the server.
func (m *mysql) said(e *driver.MySQLError) string {
	return fmt.Sprintf("answered %d: %s", e.Number, sqltables.Quote(m.scrub, e.Message))
}

// incomplete tells whether an error is for want of a table or a column.
func incomplete(err error) bool {
	me, ok := errors.AsType[*driver.MySQLError](err)
	return ok && (me.Number == 1146 || me.Number == 1054)
}

// unfit tells whether a table of others cannot be completed as it is. What would
// reject an event if it came of its rows is none of its doing there, such as keys
// that stand twice; others are a column of TEXT, or too wide a one, for a key.
func unfit(number uint16) bool {
	return meanings[number].class == destination.Rejected || number == 1170 || number == 1071
}

// denied tells whether the user lacks a right.
func denied(number uint16) bool {
	return number == 1142 || number == 1143 || number == 1044 || number == 1227 || number == 1370
}
