package pgstore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// holdSnapshot opens a session, called so, that holds one until end is called.
func holdSnapshot(t testing.TB, url, name string) (pid int32, end func()) {
	t.Helper()
	c, err := pgx.Connect(ctx, url+"&application_name="+name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(ctx) })
	if _, err := c.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM fantail.pending"); err != nil {
		t.Fatal(err)
	}
	return int32(c.PgConn().PID()), func() { c.Close(ctx) }
}

// TestWhoHoldsTheOldestSnapshotIsNamed (T11), and sessions in other databases hold nothing up here.
func TestWhoHoldsTheOldestSnapshotIsNamed(t *testing.T) {
	url, elsewhere := freshDatabase(t), freshDatabase(t)
	s := openAt(t, url)
	dest := register(t, s)
	holdSnapshot(t, elsewhere, "elsewhere")
	appendOne(t, s, entryTo(`{}`, dest))
	pid, end := holdSnapshot(t, url, "pg_dump")
	for range 10 {
		appendOne(t, s, entryTo(`{}`, dest))
	}
	if err := s.measure(); err != nil {
		t.Fatal(err)
	}
	held := *s.health.snapshot.Load()
	if held.kind != "session" || held.pid != pid || held.name != "pg_dump" || held.age < 10 {
		t.Errorf("the oldest snapshot: %+v, want that of session %d", held, pid)
	}
	if v := s.Vitals(); v.OldestSnapshot != held.age || v.SnapshotOf != "session" {
		t.Errorf("vitals %+v", v)
	}
	held.age = oldSnapshot + 1
	s.health.snapshot.Store(&held)
	want := fmt.Sprintf(`session %d ("pg_dump") holds a snapshot of the database that is 5000001 transactions old`, pid)
	if all := strings.Join(s.Warnings(), "\n"); !strings.Contains(all, want) {
		t.Errorf("warned %q, want %q", all, want)
	}
	end()
	eventually(t, "the session holds nothing any more", func() bool {
		if err := s.measure(); err != nil {
			t.Fatal(err)
		}
		now := s.health.snapshot.Load()
		return now.pid != pid && now.name != "elsewhere"
	})
}

// TestEveryKindOfHolderIsSaid.
func TestEveryKindOfHolderIsSaid(t *testing.T) {
	for kind, want := range map[string]string{
		"session":  `session 7 ("x") holds a snapshot`,
		"replica":  `replica "x" (session 7) holds a snapshot`,
		"slot":     `replication slot "x" holds a snapshot`,
		"prepared": `prepared transaction "x" holds a snapshot`,
	} {
		if got := (&snapshot{age: 9, kind: kind, pid: 7, name: "x"}).String(); !strings.HasPrefix(got, want) || !strings.Contains(got, "9 transactions old") {
			t.Errorf("%s: %q", kind, got)
		}
	}
}

// TestWhatTheServerSaysOfHoldersCanBeAsked: a slot and a prepared transaction are asked for as sessions are.
func TestWhatTheServerSaysOfHoldersCanBeAsked(t *testing.T) {
	url := freshDatabase(t)
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	role := fmt.Sprintf("u%d", c.PgConn().PID())
	exec(t, url, "CREATE ROLE "+role)
	defer exec(t, url, "DROP ROLE "+role)
	if _, err := c.Exec(ctx, "SET ROLE "+role); err != nil { // without any right
		t.Fatal(err)
	}
	pid, end := holdSnapshot(t, url, "pg_dump")
	defer end()
	var size, age int64
	var kind, name string
	var got int32
	if err := c.QueryRow(ctx, sqlSize).Scan(&size, &age, &kind, &got, &name); err != nil || got != pid || name != "pg_dump" {
		t.Errorf("who has no right sees %s %d %q, want session %d: %v", kind, got, name, pid, err)
	}
}
