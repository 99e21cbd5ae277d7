package mysql

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
)

func TestTables(t *testing.T) {
	f := newFar(t)
	t.Run("made", func(t *testing.T) { sqltablestest.TablesAreMadeAndMadeAgain(t, f.shared()) })
	t.Run("order", func(t *testing.T) { sqltablestest.EveryOrderEndsInTheSameRows(t, f.shared()) })
	t.Run("repeat", func(t *testing.T) { sqltablestest.ARepeatRefreshesTheLink(t, f.shared()) })
	t.Run("whole", func(t *testing.T) { sqltablestest.AnEventIsWhole(t, f.shared()) })
}

func TestTablesOfOthersAreCompleted(t *testing.T) {
	f := newFar(t)
	f.exec(t, sqltablestest.Others...)
	sqltablestest.TablesOfOthersAreCompleted(t, f.shared())
}

// TestAKeyThatIsMissingIsMade: without it MySQL would take every repeat for a
// new row, and say nothing.
func TestAKeyThatIsMissingIsMade(t *testing.T) {
	f := newFar(t)
	f.exec(t, sqltablestest.Others...)
	f.exec(t, "ALTER TABLE terra_data_payloads ADD COLUMN payload_id VARCHAR(80), ADD KEY by_id (payload_id)")
	m := f.open(t)
	for n := range 4 {
		if _, err := m.Send(t.Context(), plain(t, 1+n%2)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(sqltablestest.Rows(t, f.admin, "terra_data_payloads", "payload_id")); n != 4 {
		t.Errorf("%d rows, want the two of others and two", n)
	}
}

// TestAKeyThatIsDroppedIsMissed, as who wants one of their own does: no error tells.
func TestAKeyThatIsDroppedIsMissed(t *testing.T) {
	f := newFar(t)
	m := f.open(t)
	send := func() {
		t.Helper()
		if _, err := m.Send(t.Context(), plain(t, 1)); err != nil {
			t.Fatal(err)
		}
	}
	send()
	f.exec(t, "ALTER TABLE terra_users DROP PRIMARY KEY, ADD COLUMN id INT AUTO_INCREMENT PRIMARY KEY FIRST")
	m.looked.Add(-int64(lookAgain))
	send()
	if n := len(sqltablestest.Rows(t, f.admin, "terra_users", "user_id")); n != 1 {
		t.Errorf("%d rows of one user", n)
	}
}

func plain(tb testing.TB, n int) destination.Delivery {
	return destinationtest.Delivery(tb, n, fmt.Appendf(nil, `{"type":"daily","user":{"user_id":"u%d"},"data":[{}]}`, n))
}

// refused expects a Send to hold the destination, with SQL that mends it when
// somebody with all rights runs it, and Check to say the same.
func (f *far) refused(t *testing.T, m *mysql, n int) {
	t.Helper()
	_, err := m.Send(t.Context(), plain(t, n))
	if class, _ := destination.ClassOf(err); err == nil || class != destination.Misconfigured {
		t.Fatalf("send: %v", err)
	}
	if class, _ := destination.ClassOf(m.Check(t.Context())); class != destination.Misconfigured {
		t.Errorf("check: %v", m.Check(t.Context()))
	}
	_, statements, ok := strings.Cut(err.Error(), "run: ")
	if !ok {
		t.Fatalf("%v has no SQL to run", err)
	}
	f.exec(t, strings.Split(statements, "; ")...)
	if _, err := m.Send(t.Context(), plain(t, n)); err != nil {
		t.Errorf("after %s: %v", statements, err)
	}
	if err := m.Check(t.Context()); err != nil {
		if _, ok := errors.AsType[destination.Remark](err); !ok { // MariaDB's default is latin1
			t.Errorf("check after %s: %v", statements, err)
		}
	}
}

func TestWhatIsMissingIsSaidInSQL(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T, *far, *mysql){
		"right to create": func(t *testing.T, f *far, m *mysql) { f.revoke(t, "CREATE, ALTER, INDEX") },
		"right to write": func(t *testing.T, f *far, m *mysql) {
			if _, err := m.Send(t.Context(), plain(t, 0)); err != nil {
				t.Fatal(err)
			}
			f.revoke(t, "UPDATE")
		},
		"right to alter": func(t *testing.T, f *far, m *mysql) {
			f.exec(t, sqltablestest.Others...)
			f.revoke(t, "CREATE, ALTER, INDEX")
		},
		"all rights but to make": func(t *testing.T, f *far, m *mysql) { f.revoke(t, "SELECT, INSERT, UPDATE, ALTER") },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFar(t)
			m := f.open(t)
			prepare(t, f, m)
			f.refused(t, m, 1)
		})
	}
}

func TestManyMakeTheTablesAtOnce(t *testing.T) {
	f := newFar(t)
	f.exec(t, sqltablestest.Others[1]) // one of which needs columns
	var all sync.WaitGroup
	for n := range 4 {
		m := f.open(t)
		for k := range 3 {
			all.Go(func() {
				x := plain(t, 10*n+k)
				_, err := m.Send(t.Context(), x)
				for range 20 { // a table that another has changed meanwhile is transient
					if err == nil {
						return
					}
					if class, _ := destination.ClassOf(err); class != destination.Transient {
						break
					}
					_, err = m.Send(t.Context(), x)
				}
				t.Errorf("destination %d, event %d: %v", n, k, err)
			})
		}
	}
	all.Wait()
	if n := len(sqltablestest.Rows(t, f.admin, "terra_data_payloads", "payload_id")); n != 12 {
		t.Errorf("%d rows, want 12", n)
	}
}

func TestCheckChangesNothing(t *testing.T) {
	f := newFar(t)
	m := f.open(t)
	if err := m.Check(t.Context()); err != nil {
		t.Errorf("check of an empty database: %v", err)
	}
	if rows := sqltablestest.Rows(t, f.admin, "information_schema.tables WHERE table_schema = DATABASE()", "1"); len(rows) > 0 {
		t.Errorf("%v", rows)
	}
	if _, err := m.Send(t.Context(), plain(t, 1)); err != nil {
		t.Fatal(err)
	}
	if err := m.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if n := len(sqltablestest.Rows(t, f.admin, "terra_users", "user_id")); n != 1 {
		t.Errorf("%d users: EXPLAIN has run", n)
	}
}

func TestTextIsNeverCut(t *testing.T) {
	f := newFar(t)
	m := f.open(t)
	x := destinationtest.Delivery(t, 1, []byte(`{"type":"auth","user":{"user_id":"u","reference_id":"`+strings.Repeat("x", 70_000)+`"}}`))
	_, err := m.Send(t.Context(), x)
	if class, _ := destination.ClassOf(err); class != destination.Rejected {
		t.Errorf("a text longer than the column: %v", err)
	}
	x = destinationtest.Delivery(t, 4, []byte(`{"type":"daily","user":{"user_id":"c"},"data":[{"metadata":{"start_time":"`+strings.Repeat("0", 1<<16)+`","end_time":"`+strings.Repeat("9", 1<<16-1)+`"}}]}`))
	if _, err := m.Send(t.Context(), x); err != nil {
		t.Errorf("a time longer than the column: %v", err)
	}
	if row := sqltablestest.Rows(t, f.admin, "terra_data_payloads", "payload_id")[0]; row["start_time"] != sqltablestest.Null || len(row["end_time"]) != 1<<16-1 {
		t.Errorf("its times are %.20s and %.20s", row["start_time"], row["end_time"])
	}
	a, b := destinationtest.Delivery(t, 2, []byte(`{"type":"auth","user":{"user_id":"a"}}`)), destinationtest.Delivery(t, 3, []byte(`{"type":"auth","user":{"user_id":"A"}}`))
	sqltablestest.Batch(t, m, a.Event, b.Event)
	if n := len(sqltablestest.Rows(t, f.admin, "terra_users WHERE user_id <> 'c'", "user_id")); n != 2 {
		t.Errorf("%d users of a and A", n)
	}
}

// TestATableThatCannotBeCompletedCostsNoEvent: a key that stands twice is the
// table's fault.
func TestATableThatCannotBeCompletedCostsNoEvent(t *testing.T) {
	f := newFar(t)
	f.exec(t, sqltablestest.Others...)
	f.exec(t, "ALTER TABLE terra_users DROP PRIMARY KEY", "INSERT INTO terra_users (user_id, created_at, provider) VALUES ('u', '', 'twice')")
	m := f.open(t)
	_, err := m.Send(t.Context(), plain(t, 1))
	if class, _ := destination.ClassOf(err); err == nil || class != destination.Misconfigured || !strings.Contains(err.Error(), "ADD UNIQUE KEY fantail_user_id") {
		t.Errorf("%v", err)
	}
	f.exec(t, "DELETE FROM terra_users WHERE provider = 'twice'")
	if _, err := m.Send(t.Context(), plain(t, 1)); err != nil {
		t.Error(err)
	}
}
