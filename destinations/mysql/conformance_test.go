package mysql

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
)

func TestConformance(t *testing.T) {
	destinationtest.Run(t, destinationtest.Kind{
		Start: func(tb testing.TB) destinationtest.FarSide {
			f := newFar(tb)
			if err := f.open(tb).makeTables(tb.Context()); err != nil {
				tb.Fatal(err)
			}
			return f
		},
		Secrets: []string{userPassword, sqltablestest.Signature},
		Failures: []destinationtest.Failure{
			{Name: "rights revoked", Class: destination.Misconfigured, Breaks: true},
			{Name: "another password", Class: destination.Misconfigured, Breaks: true},
			{Name: "raises 1406", Class: destination.Rejected},
			{Name: "raises 4025", Class: destination.Rejected},
			{Name: "raises 1213"},
			{Name: "raises 1040"},
			{Name: "raises 1290", Breaks: true},
			{Name: "raises 1644"},
			{Name: "the operator's store down", Engine: true},
		},
		Repeat: func(tb testing.TB, x destinationtest.FarSide, as func(...string) string) {
			text := strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(as(userPassword))
			x.(*far).signal(tb, "1644", "'"+text+"'")
		},
		Stores: sqltablestest.BodiesOf,
		Poison: func(tb testing.TB) (destination.Delivery, destination.Class) {
			return destinationtest.Delivery(tb, 1001, []byte(`{"type":"auth","user":{"user_id":"`+strings.Repeat("x", 37)+`"}}`)), destination.Rejected
		},
		Connections: 1,
		Batches:     true, Checks: true, Explains: true, Links: true,
	})
}

// Open implements destinationtest.FarSide.
func (f *far) Open(tb testing.TB, deps destination.Deps) destination.Destination {
	destinationtest.Lend(&deps, f.store)
	return openWith(tb, f.conf, deps)
}

// Stored implements destinationtest.FarSide.
func (f *far) Stored(tb testing.TB) [][]byte { return sqltablestest.Bodies(tb, f.admin, f.store) }

// Break implements destinationtest.FarSide.
func (f *far) Break(tb testing.TB, failure destinationtest.Failure) {
	switch number, raises := strings.CutPrefix(failure.Name, "raises "); {
	case raises: // with all that a trigger may repeat
		f.signal(tb, number, "CONCAT('no: "+userPassword+" ', NEW.payload_url, REPEAT(' sorry', 1000))")
	case failure.Name == "rights revoked":
		f.revoke(tb, "INSERT")
	case failure.Name == "another password":
		f.exec(tb, "ALTER USER "+f.user+" IDENTIFIED BY 'another'")
		f.cut(tb)
	case failure.Engine:
		f.store.Down = true
	default:
		tb.Fatalf("nobody knows how to show %q", failure.Name)
	}
}

// signal makes a trigger refuse rows with as much of what message, an expression,
// says as the server takes.
func (f *far) signal(tb testing.TB, number, message string) {
	tb.Helper()
	f.exec(tb, fmt.Sprintf(`CREATE TRIGGER refuse BEFORE INSERT ON terra_other_payloads FOR EACH ROW BEGIN
		DECLARE said TEXT; SET said = LEFT(%s, IF(VERSION() LIKE '%%MariaDB%%', 500, 128));
		SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = %s, MESSAGE_TEXT = said; END`, message, number))
}

// Mend implements destinationtest.FarSide.
func (f *far) Mend(tb testing.TB) {
	f.store.Down = false
	f.exec(tb, "DROP TRIGGER IF EXISTS refuse", "ALTER USER "+f.user+" IDENTIFIED BY '"+userPassword+"'")
	f.grant(tb, "INSERT")
}
