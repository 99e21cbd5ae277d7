package pgclient

import "github.com/seed-51f8da91/fantail/pkg/destination"

// Meaning is what an SQLSTATE, met while rows are written, says about the next
// attempt.
type Meaning struct {
	Class  destination.Class
	Advice string // what to do about it; "": nothing but to wait, or what the server's own words say
	Alone  bool   // one delivery of several may be at fault
}

func hold(advice string) Meaning                         { return Meaning{destination.Misconfigured, advice, false} }
func reject(advice string) Meaning                       { return Meaning{destination.Rejected, advice, true} }
func wait(advice string) Meaning                         { return Meaning{Advice: advice} }
func one(class destination.Class, advice string) Meaning { return Meaning{class, advice, true} }

// MeaningOf returns what code means: its own row, else that of its class, which is
// its first two characters. A class that nobody knows is waited for, and each
// delivery is tried alone.
func MeaningOf(code string) Meaning {
	if m, ok := states[code]; ok {
		return m
	}
	if len(code) == 5 {
		if m, ok := states[code[:2]]; ok {
			return m
		}
	}
	return one(destination.Transient, "")
}

const (
	trigger = "a trigger or rule of yours fails: mend or drop it"
	changed = "the tables are being made, changed or dropped"
	session = "mend options in the dsn, or what ALTER ROLE or ALTER DATABASE has set"
)

// states are those of appendix A of PostgreSQL's manual, every class and the codes
// that mean something else than their class. What every event would meet holds the
// destination, what only this event meets rejects it, and the rest is waited for.
var states = map[string]Meaning{
	"01": one(destination.Transient, ""), // a warning
	"02": one(destination.Transient, ""), // no data
	"03": wait(""),                       // the statement is not complete yet
	"08": wait(""),                       // the connection
	"09": one(destination.Misconfigured, trigger),
	"0A": hold("the server cannot do this to one of the tables: they must be ordinary tables without rules"),
	"0B": wait(""), // a transaction begins where it cannot
	"0F": one(destination.Misconfigured, trigger),
	"0L": one(destination.Misconfigured, trigger),
	"0P": one(destination.Misconfigured, trigger),
	"0Z": one(destination.Misconfigured, trigger),
	"20": one(destination.Misconfigured, trigger),
	"21": one(destination.Misconfigured, "the key of a table takes different texts for one: it must compare byte for byte"),
	"22": reject(""), // data
	"23": reject(""), // a constraint
	"24": one(destination.Misconfigured, trigger),
	"25": wait("the transaction is in no state for this"),
	"26": wait("a pooler has lost the session's state"),
	"27": hold("a BEFORE trigger of yours changes the row that is being written: let it change NEW, or be an AFTER trigger"),
	"28": hold("see that user and password are right, and that pg_hba.conf lets them in from here"),
	"2B": one(destination.Misconfigured, trigger),
	"2D": hold("a trigger of yours ends the transaction, which it must not"),
	"2F": hold("a trigger of yours does not end as it must, such as with RETURN NEW"),
	"34": one(destination.Misconfigured, trigger),
	"38": one(destination.Misconfigured, trigger),
	"39": one(destination.Misconfigured, trigger),
	"3B": wait("a pooler has lost the session's state"),
	"3D": hold("the database does not exist: create it, or set database to one that does"),
	"3F": hold("the schema does not exist: create it, or set schema to one that does"),
	"40": wait(""), // rolled back, such as a deadlock
	"42": hold("a table, or a trigger, view, rule or policy of yours, is not as it must be: see the table of columns in the documentation of this kind"),
	"44": reject("the view's WITH CHECK OPTION refuses the row"),
	"53": wait("the server is short of something"),
	"54": reject(""), // a limit of the program
	"55": wait("the server is in no state for this"),
	"57": wait(""), // an operator, or a timeout
	"58": wait("the server's own files or system fail: see its log"),
	"72": wait(""), // an old snapshot
	"F0": wait("the server's configuration is broken: see its log"),
	"HV": one(destination.Transient, "a foreign table of yours fails"),
	"P0": one(destination.Transient, "a trigger of yours raises it"),
	"XX": one(destination.Transient, "a fault of the server: see its log"),

	"08P01": wait("the server, or a pooler before it, does not understand: see that the pooler knows user and database"),
	"2200H": one(destination.Misconfigured, "a sequence of a column of yours is at its end: let it have more: ALTER SEQUENCE ... AS bigint MAXVALUE ..., and its column be bigint"),
	"22P05": reject("the database's encoding lacks a character: only one of UTF8 has all"),
	"23502": one(destination.Misconfigured, "a column of yours must take NULL or have a default: run: ALTER TABLE ... ALTER COLUMN ... DROP NOT NULL"),
	"23503": one(destination.Transient, "a foreign key of yours: what it refers to may still come"),
	"23505": reject("a unique key of yours takes it for a row of another event: drop the key if it is not meant"),
	"23514": reject("a CHECK of yours, or no partition takes the row"),
	"23P01": reject("an exclusion constraint of yours takes it for a row of another event: drop it if it is not meant"),
	"25006": wait("this server takes no writes: with several hosts, target_session_attrs=read-write finds the one that does"),
	"28P01": hold("see that user and password are right: run: ALTER ROLE ... PASSWORD '...'"),
	"42501": hold("a right is missing: run: GRANT SELECT, INSERT, UPDATE ON TABLE ... TO ..., and with row-level security CREATE POLICY"),
	"42P01": wait(changed),
	"42703": wait(changed),
	"42P07": wait(changed),
	"42701": wait(changed),
	"42710": wait(changed),
	"42P10": hold("no unique key of one column, or a publication whose rows or columns leave out the table's replica identity: " +
		"run: CREATE UNIQUE INDEX ON ... (...), or ALTER TABLE ... REPLICA IDENTITY FULL"),
	"42804": hold("a column is of a type that takes no text: run: ALTER TABLE ... ALTER COLUMN ... TYPE TEXT"),
	"428C9": hold("a column is generated: run: ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION"),
	"42809": hold("one of the tables is no ordinary table: rename it, or set schema"),
	"42P17": hold("a policy, rule or index of the table is not valid"),
	"53100": wait("the disk of the server is full"),
	"53200": wait("the server is out of memory"),
	"53300": wait("the server has no connection left: lower max_connections, or raise its own or the role's: run: ALTER ROLE ... CONNECTION LIMIT -1"),
	"53400": wait("a limit of the server's configuration is reached"),
	"54001": hold("a trigger of yours calls itself without end"),
	"55000": hold("the table cannot be updated as it is: it is published without a replica identity, or its key is deferrable: " +
		"run: ALTER TABLE ... REPLICA IDENTITY FULL, or make the key anew without DEFERRABLE"),
	"55P03": wait("somebody else holds a lock on the tables"),
	"57014": wait("it took too long, or somebody has cancelled it"),
	"57P03": wait("the server is starting or stopping"),
	"XX001": one(destination.Transient, "the server's files are damaged: see its log"),
	"XX002": one(destination.Transient, "an index is damaged: run: REINDEX TABLE ..."),
}

// whileConnecting are those that mean something else before a session has begun:
// there is no event yet that could be at fault.
var whileConnecting = map[string]Meaning{
	"22":    hold(session),
	"42":    hold(session),
	"42501": hold("the user may not connect to the database: run: GRANT CONNECT ON DATABASE ... TO ..."),
	"54":    hold(session),
	"55000": hold("the database takes no connections: run: ALTER DATABASE ... ALLOW_CONNECTIONS true"),
	"55P02": hold(session),
}

// MeaningWhileConnecting returns what code means before a session has begun.
func MeaningWhileConnecting(code string) Meaning {
	if m, ok := whileConnecting[code]; ok {
		return m
	}
	if m, ok := whileConnecting[code[:min(2, len(code))]]; ok && len(code) == 5 {
		return m
	}
	return MeaningOf(code)
}
