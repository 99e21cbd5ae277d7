package mysql

import (
	"fmt"
	"slices"

	driver "github.com/go-sql-driver/mysql"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// meaning is what an error says about the next attempt. What every event would
// meet is Misconfigured, what this one alone meets Rejected, and the rest waits.
type meaning struct {
	class  destination.Class
	advice string // what to do about it
	alone  bool   // one delivery of several may be at fault
	about  about
}

// about is what of the tables an error is about: they tell whose fault it is.
type about int

const (
	aboutNothing   about = iota
	aboutColumn          // a column refuses a value
	aboutKey             // a unique key of others refuses a row
	aboutCheck           // a CHECK constraint refuses a row
	aboutPartition       // no partition takes a row
	aboutReference       // a foreign key refuses a row
	aboutRow             // a row is in the way: see ownRow
	aboutNoKey           // the server wants a primary key
	aboutName            // a name that the server does not know
)

const (
	credentials = "see that user and password are right, and that the user may come from here"
	full        = "the server has too many connections, or its limits for the user are reached"
	replica     = "the server takes no writes: it may be a replica"
	view        = "one of the tables is a view: rename it, so that the table can be made"
	trigger     = "a trigger of yours"
	engine      = "an engine of tables cannot do what is asked of it: run ALTER TABLE ... ENGINE=InnoDB"
	storage     = "the server is out of space or memory"
)

// meanings are those of the numbers that servers give to what we do, by MySQL's and
// MariaDB's references.
var meanings = map[uint16]meaning{
	// At the door.
	1045: {class: destination.Misconfigured, advice: credentials},
	1698: {class: destination.Misconfigured, advice: credentials},
	1130: {class: destination.Misconfigured, advice: "no user of the server may come from here: make one for this address or for '%'"},
	1251: {class: destination.Misconfigured, advice: "let the user log in by caching_sha2_password, ed25519 or mysql_native_password"},
	1524: {class: destination.Misconfigured, advice: "the server lacks the plugin by which the user logs in: give the user another"},
	1820: {class: destination.Misconfigured, advice: "the password has expired: set it anew by ALTER USER"},
	1862: {class: destination.Misconfigured, advice: "the password has expired: set it anew by ALTER USER"},
	3118: {class: destination.Misconfigured, advice: "unlock it by ALTER USER ... ACCOUNT UNLOCK"},
	4151: {class: destination.Misconfigured, advice: "unlock it by ALTER USER ... ACCOUNT UNLOCK"},
	3955: {class: destination.Misconfigured, advice: "unlock it by ALTER USER ... ACCOUNT UNLOCK, after the password here is right"},
	4150: {class: destination.Misconfigured, advice: "run FLUSH PRIVILEGES, after the password here is right"},
	3159: {class: destination.Misconfigured, advice: "the server insists on TLS: set tls.mode to verify-full"},
	1040: {advice: full},
	1203: {advice: full},
	1226: {advice: full},
	1129: {advice: "the server has blocked us after many broken connections: run FLUSH HOSTS"},

	// What is not there.
	1146: {about: aboutName, advice: "the tables are being made or dropped", alone: true},
	1054: {about: aboutName, advice: "the tables are being changed", alone: true},
	1305: {class: destination.Misconfigured, advice: trigger + " calls what does not exist", alone: true},
	1449: {class: destination.Misconfigured, advice: trigger + " runs as a user who does not exist: make the trigger anew", alone: true},
	1356: {class: destination.Misconfigured, advice: "a view of yours leads to what does not exist", alone: true},
	1115: {class: destination.Misconfigured, advice: "the server must be MySQL 8 or MariaDB 10.6, or later"},
	1273: {class: destination.Misconfigured, advice: "the server must be MySQL 8 or MariaDB 10.6, or later"},

	// What tables are like.
	1347: {class: destination.Misconfigured, advice: view},
	1348: {class: destination.Misconfigured, advice: view},
	1369: {class: destination.Misconfigured, advice: view},
	1471: {class: destination.Misconfigured, advice: view},
	1288: {class: destination.Misconfigured, advice: view},
	1170: {class: destination.Misconfigured},
	1071: {class: destination.Misconfigured},
	1503: {class: destination.Misconfigured, advice: "a key of a partitioned table must have the columns that part it: let its table be without partitions"},
	1526: {class: destination.Misconfigured, about: aboutPartition},
	1173: {class: destination.Misconfigured, about: aboutNoKey},
	3750: {class: destination.Misconfigured, about: aboutNoKey},
	3098: {class: destination.Misconfigured, about: aboutNoKey},
	1036: {class: destination.Misconfigured, advice: engine},
	1031: {class: destination.Misconfigured, advice: engine},
	1069: {class: destination.Misconfigured, advice: engine},
	1364: {class: destination.Misconfigured, about: aboutColumn, advice: "a column of yours must take NULL or have a default"},
	1906: {class: destination.Misconfigured, about: aboutColumn, advice: "a column is generated"},
	3105: {class: destination.Misconfigured, about: aboutColumn, advice: "a column is generated"},
	4078: {class: destination.Misconfigured, about: aboutColumn, advice: "a column holds no text"},
	1442: {class: destination.Misconfigured, advice: trigger + " changes the table that it belongs to, which the server never allows: drop it"},
	1665: {class: destination.Misconfigured, advice: "run: SET GLOBAL binlog_format = ROW"},
	1785: {class: destination.Misconfigured, advice: "with GTIDs all tables must know transactions: run ALTER TABLE ... ENGINE=InnoDB for each that does not"},
	3989: {class: destination.Misconfigured, advice: "the database is read-only: run ALTER DATABASE ... READ ONLY = 0"},

	// What refuses a row.
	1048: {class: destination.Rejected, about: aboutColumn, alone: true}, // NULL
	167:  {class: destination.Rejected, about: aboutColumn, alone: true}, // out of range: a count of MariaDB's
	1264: {class: destination.Rejected, about: aboutColumn, alone: true}, // out of range
	1265: {class: destination.Rejected, about: aboutColumn, alone: true}, // does not fit
	1292: {class: destination.Rejected, about: aboutColumn, alone: true}, // wrong value
	1366: {class: destination.Rejected, about: aboutColumn, alone: true}, // wrong text
	1406: {class: destination.Rejected, about: aboutColumn, alone: true}, // too long
	3140: {class: destination.Rejected, about: aboutColumn, alone: true}, // no JSON
	3819: {class: destination.Rejected, about: aboutCheck, alone: true},
	4025: {class: destination.Rejected, about: aboutCheck, alone: true},
	1062: {class: destination.Rejected, about: aboutKey, alone: true},
	1118: {class: destination.Rejected, advice: "the row is too large for its table: ALTER TABLE ... ROW_FORMAT=DYNAMIC lets its texts lie apart", alone: true},
	1153: {class: destination.Rejected, advice: "raise the server's max_allowed_packet to 16M, which is its default", alone: true},
	1452: {about: aboutReference, advice: "a foreign key of yours leads to what is not there", alone: true},
	1216: {about: aboutReference, advice: "a foreign key of yours leads to what is not there", alone: true},
	1644: {advice: trigger + " refuses the row", alone: true},

	anotherRow: {class: destination.Rejected, about: aboutRow, alone: true},

	// What ends by itself, or is ended where no settings are.
	1205: {}, 1213: {}, // lock wait, deadlock
	1053: {}, 1077: {}, 1079: {}, 1080: {}, 3032: {}, // shutting down, or offline
	1290: {advice: replica},
	1792: {advice: replica},
	1836: {advice: replica},
	1021: {advice: storage}, 1028: {advice: storage}, 1030: {advice: storage}, 1037: {advice: storage}, 1038: {advice: storage}, 1041: {advice: storage}, 1114: {advice: storage},
	1317: {}, 1969: {}, 3024: {}, 1927: {}, // interrupted
}

// classes are what errors of other numbers mean, by the first two characters of
// their SQLSTATE. All statements are alike, so that what is wrong with one is wrong
// with each. Others, such as HY000 of most numbers, are Transient: nobody knows
// whether they pass.
var classes = map[string]meaning{
	"0A": {class: destination.Misconfigured, advice: "the server does not know what we ask for", alone: true},
	"21": {class: destination.Misconfigured, alone: true},
	"22": {class: destination.Rejected, about: aboutColumn, alone: true},
	"23": {class: destination.Rejected, alone: true},
	"28": {class: destination.Misconfigured, advice: credentials},
	"42": {class: destination.Misconfigured, alone: true},
	"44": {class: destination.Misconfigured, advice: view, alone: true},
	"45": {advice: trigger + " refuses the row", alone: true}, // it may be of this event, of all, or of a while
}

func meaningOf(e *driver.MySQLError) meaning {
	if x, ok := meanings[e.Number]; ok {
		return x
	}
	if x, ok := classes[string(e.SQLState[:2])]; ok {
		return x
	}
	return meaning{alone: true}
}

// denied tells whether the user lacks a right.
func denied(number uint16) bool {
	return slices.Contains([]uint16{1044, 1142, 1143, 1227, 1370}, number)
}

// readOnly tells whether the server takes no writes.
func readOnly(number uint16) bool { return slices.Contains([]uint16{1290, 1792, 1836}, number) }

// incomplete tells whether an error is for want of a table or a column.
func incomplete(number uint16) bool { return number == 1146 || number == 1054 }

// unfit tells whether a table of others cannot be completed as it is. Some errors would
// reject an event whose rows they are about; here no event is at fault: keys stand
// twice in the table. The numbers are a column of TEXT, or too wide a one, for a key,
// and partitions.
func unfit(e *driver.MySQLError) bool {
	return meaningOf(e).class == destination.Rejected || slices.Contains([]uint16{1170, 1071, 1503}, e.Number)
}

// said quotes the server.
func (m *mysql) said(e *driver.MySQLError) string {
	return fmt.Sprintf("answered %d: %s", e.Number, m.quote(e.Message))
}
