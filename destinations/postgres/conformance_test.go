package postgres

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/test/servers"
)

func TestConformance(t *testing.T) {
	dsn := servers.StartPostgres(t).DSN
	destinationtest.Run(t, destinationtest.Kind{
		Start: func(tb testing.TB) destinationtest.FarSide {
			f := farAt(tb, dsn)
			p := f.open(tb)
			if _, _, err := p.complete(tb.Context()); err != nil {
				tb.Fatal(err)
			}
			return f
		},
		Secrets: []string{rolePassword, sqltablestest.Signature},
		Failures: []destinationtest.Failure{
			{Name: "rights revoked", Class: destination.Misconfigured},
			{Name: "another password", Class: destination.Misconfigured, Breaks: true},
			{Name: "no more connections", Breaks: true},
			{Name: "a read-only role", Class: destination.Misconfigured, Breaks: true},
			{Name: "raises 22001", Class: destination.Rejected},
			{Name: "raises 23514", Class: destination.Rejected},
			{Name: "raises 40P01"},
			{Name: "raises 40001"},
			{Name: "raises P0001"},
			{Name: "raises 57014", Breaks: true},
			{Name: "the operator's store down", Engine: true},
		},
		Repeat: func(tb testing.TB, x destinationtest.FarSide, as func(...string) string) {
			x.(*far).raise(tb, "P0001", literal(as(rolePassword)))
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
	role := quoted(f.role)
	switch code, raises := strings.CutPrefix(failure.Name, "raises "); {
	case raises: // with all that a trigger may repeat
		f.raise(tb, code, "'no: "+rolePassword+" ' || NEW.payload_url || repeat(' sorry', 1000)")
	case failure.Name == "rights revoked":
		for _, t := range tableNames() {
			f.exec(tb, "REVOKE ALL ON "+t+" FROM "+role)
		}
	case failure.Name == "another password":
		f.exec(tb, "ALTER ROLE "+role+" PASSWORD 'another'")
		f.cut(tb)
	case failure.Name == "no more connections":
		f.exec(tb, "ALTER ROLE "+role+" CONNECTION LIMIT 0")
		f.cut(tb)
	case failure.Name == "a read-only role":
		f.exec(tb, "ALTER ROLE "+role+" SET default_transaction_read_only = on")
		f.cut(tb)
	case failure.Engine:
		f.store.Down = true
	default:
		tb.Fatalf("nobody knows how to show %q", failure.Name)
	}
}

// raise makes a trigger refuse rows with what message, an expression, says.
func (f *far) raise(tb testing.TB, code, message string) {
	tb.Helper()
	f.exec(tb, fmt.Sprintf(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		RAISE EXCEPTION USING ERRCODE = '%s', MESSAGE = %s; END $$`, code, message),
		"CREATE TRIGGER refuse BEFORE INSERT ON terra_other_payloads FOR EACH ROW EXECUTE FUNCTION refuse()")
}

// Mend implements destinationtest.FarSide.
func (f *far) Mend(tb testing.TB) {
	role := quoted(f.role)
	f.store.Down = false
	f.exec(tb, "DROP FUNCTION IF EXISTS refuse() CASCADE",
		"ALTER ROLE "+role+" PASSWORD '"+rolePassword+"' CONNECTION LIMIT -1", "ALTER ROLE "+role+" RESET default_transaction_read_only")
	for _, t := range tableNames() {
		f.exec(tb, "GRANT ALL ON "+t+" TO "+role)
	}
}
