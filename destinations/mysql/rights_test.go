package mysql

import (
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Rights to a database are read when a connection begins: those of before a
// GRANT are of no more use, also one that was in use elsewhere meanwhile.
func TestRightsThatAreGrantedAreSeen(t *testing.T) {
	f := newFar(t)
	m := f.open(t)
	if _, err := m.Send(t.Context(), plain(t, 1)); err != nil {
		t.Fatal(err)
	}
	f.revoke(t, "INSERT")
	elsewhere, err := m.db().Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Send(t.Context(), plain(t, 2))
	if class, _ := destination.ClassOf(err); class != destination.Misconfigured {
		t.Errorf("without the right: %v", err)
	}
	if err := elsewhere.Close(); err != nil { // back to the pool
		t.Fatal(err)
	}
	f.grant(t, "INSERT")
	if _, err := m.Send(t.Context(), plain(t, 2)); err != nil {
		t.Errorf("with the right: %v", err)
	}
}
