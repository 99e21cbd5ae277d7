package mysql

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
)

// TestAUniqueKeyOfOthersCostsNoNeighbour: of three in one transaction that meets a
// key of the customer's, the one that meets it is rejected.
func TestAUniqueKeyOfOthersCostsNoNeighbour(t *testing.T) {
	f := newFar(t)
	f.ours(t, "ALTER TABLE terra_users ADD UNIQUE KEY one_each (reference_id(100))")
	m := f.open(t)
	ds := []destination.Delivery{
		destinationtest.Delivery(t, 1, []byte(authOf("a", "r"))),
		destinationtest.Delivery(t, 2, []byte(authOf("b", "r"))),
		destinationtest.Delivery(t, 3, []byte(authOf("c", "s"))),
	}
	for range 2 { // a repeat changes nothing
		for i, r := range m.SendBatch(t.Context(), ds) {
			if class, _ := destination.ClassOf(r.Err); (r.Err != nil) != (i == 1) || r.Err != nil && class != destination.Rejected {
				t.Errorf("delivery %d: %v", i, r.Err)
			}
		}
		rows := sqltablestest.Rows(t, f.admin, "terra_users", "user_id")
		if len(rows) != 2 || rows[0]["user_id"] != "a" || rows[0]["reference_id"] != "r" || rows[1]["user_id"] != "c" {
			t.Errorf("%v", rows)
		}
	}
}

// TestSessionsWithoutTheirModeWriteNothing: a proxy that drops what sessions set
// would have the server cut texts to fit.
func TestSessionsWithoutTheirModeWriteNothing(t *testing.T) {
	f := newFar(t)
	m := f.open(t)
	d, err := newDialer(m.target, sqltablestest.Deps(nil).Dial)
	if err != nil {
		t.Fatal(err)
	}
	d.config.Params = map[string]string{"sql_mode": "''"}
	db := sql.OpenDB(&connector{d})
	m.db = func() *sql.DB { return db }
	_, sent := m.Send(t.Context(), plain(t, 1))
	for what, err := range map[string]error{"send": sent, "check": m.Check(t.Context())} {
		if class, _ := destination.ClassOf(err); err == nil || class != destination.Misconfigured || !strings.Contains(err.Error(), "sql_mode") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
