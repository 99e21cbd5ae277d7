package postgres

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
)

func (f *far) shared() sqltablestest.Far {
	return sqltablestest.Far{DB: f.admin, Store: f.store, Open: func(tb testing.TB) destination.Destination { return f.open(tb) }}
}

func TestTables(t *testing.T) {
	f := newFar(t)
	t.Run("made", func(t *testing.T) { sqltablestest.TablesAreMadeAndMadeAgain(t, f.shared()) })
	t.Run("order", func(t *testing.T) { sqltablestest.EveryOrderEndsInTheSameRows(t, f.shared()) })
	t.Run("repeat", func(t *testing.T) { sqltablestest.ARepeatRefreshesTheLink(t, f.shared()) })
	t.Run("whole", func(t *testing.T) { sqltablestest.AnEventIsWhole(t, f.shared()) })
}

// give makes others' tables the role's.
func (f *far) give(t *testing.T) {
	t.Helper()
	f.exec(t, sqltablestest.Others...)
	for _, table := range tableNames() {
		f.exec(t, "ALTER TABLE "+table+" OWNER TO "+quoted(f.role))
	}
}

func TestTablesOfOthersAreCompleted(t *testing.T) {
	f := newFar(t)
	f.give(t)
	sqltablestest.TablesOfOthersAreCompleted(t, f.shared())
}

// refused expects a Send to hold the destination, with SQL that mends it when
// the superuser runs it, and Check to say the same.
func (f *far) refused(t *testing.T, p *postgres, n int) {
	t.Helper()
	x := destinationtest.Delivery(t, n, []byte(`{"type":"daily","user":{"user_id":"u"},"data":[{}]}`))
	_, err := p.Send(t.Context(), x)
	if class, _ := destination.ClassOf(err); err == nil || class != destination.Misconfigured {
		t.Fatalf("send: %v", err)
	}
	if checked := p.Check(t.Context()); checked == nil || checked.Error() != err.Error() {
		t.Errorf("check: %v, send: %v", checked, err)
	}
	_, statements, _ := strings.Cut(err.Error(), "run")
	_, statements, ok := strings.Cut(statements, ": ")
	if !ok {
		t.Fatalf("%v has no SQL to run", err)
	}
	f.exec(t, strings.Split(statements, "; ")...)
	if _, err := p.Send(t.Context(), x); err != nil {
		t.Errorf("after %s: %v", statements, err)
	}
	if err := p.Check(t.Context()); err != nil {
		t.Errorf("check after %s: %v", statements, err)
	}
}

func TestWhatIsMissingIsSaidInSQL(t *testing.T) {
	f := newFar(t)
	role := quoted(f.role)
	t.Run("right to create", func(t *testing.T) {
		f.exec(t, "REVOKE CREATE ON SCHEMA "+role+" FROM "+role)
		f.refused(t, f.open(t), 1)
	})
	t.Run("right to write", func(t *testing.T) {
		p := f.open(t)
		f.exec(t, "REVOKE INSERT ON terra_users FROM "+role, "REVOKE SELECT ON terra_data_payloads FROM "+role)
		f.refused(t, p, 2)
	})
	t.Run("columns of tables that are not ours", func(t *testing.T) {
		for _, table := range tableNames() {
			f.exec(t, "DROP TABLE "+table)
		}
		f.exec(t, sqltablestest.Others...)
		f.refused(t, f.open(t), 3)
	})
	t.Run("schema", func(t *testing.T) {
		schema := `Wei"rd ` + f.role
		t.Cleanup(func() { f.exec(t, "DROP SCHEMA "+quoted(schema)+" CASCADE") })
		f.refused(t, f.open(t, func(c *Config) { c.Schema = schema }), 4)
		if n := len(sqltablestest.Rows(t, f.admin, qualified(schema, "terra_data_payloads"), "payload_id")); n != 1 {
			t.Errorf("%d rows in the schema of the settings", n)
		}
	})
}

func TestATableThatIsNone(t *testing.T) {
	f := newFar(t)
	f.exec(t, "CREATE VIEW terra_users AS SELECT 1 AS user_id", "GRANT ALL ON terra_users TO "+quoted(f.role))
	p := f.open(t)
	_, err := p.Send(t.Context(), destinationtest.Delivery(t, 1, []byte(`{"type":"auth","user":{"user_id":"u"}}`)))
	if class, _ := destination.ClassOf(err); class != destination.Misconfigured || !strings.Contains(err.Error(), "no ordinary table") {
		t.Errorf("%v", err)
	}
}

// TestManyMakeTheTablesAtOnce: destinations that know nothing of each other,
// at an empty database.
func TestManyMakeTheTablesAtOnce(t *testing.T) {
	f := newFar(t)
	var all sync.WaitGroup
	for n := range 6 {
		p := f.open(t)
		for k := range 3 {
			all.Go(func() {
				x := destinationtest.Delivery(t, 10*n+k, fmt.Appendf(nil, `{"type":"daily","user":{"user_id":"u%d"},"data":[{}]}`, k))
				if _, err := p.Send(t.Context(), x); err != nil {
					t.Errorf("destination %d, event %d: %v", n, k, err)
				}
			})
		}
	}
	all.Wait()
	if n := len(sqltablestest.Rows(t, f.admin, "terra_data_payloads", "payload_id")); n != 18 {
		t.Errorf("%d rows, want 18", n)
	}
}

func TestCheckChangesNothing(t *testing.T) {
	f := newFar(t)
	if err := f.open(t).Check(t.Context()); err != nil {
		t.Errorf("check of an empty database: %v", err)
	}
	var n int
	if err := f.admin.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace").Scan(&n); err != nil || n != 0 {
		t.Errorf("%v, %d relations", err, n)
	}
}

// TestATableThatCannotBeCompletedCostsNoEvent: a key that stands twice is the
// table's fault.
func TestATableThatCannotBeCompletedCostsNoEvent(t *testing.T) {
	f := newFar(t)
	f.give(t)
	f.exec(t, "ALTER TABLE terra_users DROP CONSTRAINT terra_users_pkey", "INSERT INTO terra_users (user_id, created_at, provider) VALUES ('u', '', 'twice')")
	p := f.open(t)
	_, err := p.Send(t.Context(), plain(t, 1))
	if class, _ := destination.ClassOf(err); err == nil || class != destination.Misconfigured || !strings.Contains(err.Error(), "CREATE UNIQUE INDEX ON") {
		t.Errorf("%v", err)
	}
	f.exec(t, "DELETE FROM terra_users WHERE provider = 'twice'")
	if _, err := p.Send(t.Context(), plain(t, 1)); err != nil {
		t.Error(err)
	}
	race := &pgconn.PgError{Severity: "ERROR", Code: "23505", SchemaName: "pg_catalog", TableName: "pg_type"}
	if class, _ := destination.ClassOf(p.refused(race, nil)); class != destination.Transient {
		t.Errorf("somebody else makes the same table: %v", class)
	}
}
