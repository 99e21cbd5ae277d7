package pgstore

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// ask returns the only value of a query.
func ask[T any](t testing.TB, url, sql string, args ...any) (v T) {
	t.Helper()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if err := c.QueryRow(ctx, sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// TestACommitWhoseWaitIsBrokenOffIsNoSuccess (T1): the server then commits locally and answers
// with success and a warning. No caller is told that the event was accepted. Once it is durable
// after all, its deliveries are handed to the engine.
func TestACommitWhoseWaitIsBrokenOffIsNoSuccess(t *testing.T) {
	t.Parallel()
	server := servers.PrivatePostgres(t)
	url := freshOn(t, server.DSN)
	adopted := make(chan []store.Moved, 1)
	s := openAt(t, url, func(o *Options) { o.Adopted = func(ms []store.Moved) { adopted <- ms } })
	dest := register(t, s)
	eventually(t, "partitions are made", func() bool { return s.days.has(event.DayOf(time.Now()) + ahead) })
	release := stall(t, url)
	done := make(chan error, 1)
	go func() {
		_, err := s.Append(ctx, time.Now(), []*store.Entry{entryTo(`{"n":1}`, dest)})
		done <- err
	}()
	const waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
	eventually(t, "the commit waits for the standby", func() bool { return ask[int](t, url, waiting) > 0 })
	eventually(t, "its wait is broken off", func() bool { // it may be between two waits at this moment
		return ask[bool](t, url, "SELECT coalesce(bool_and(pg_cancel_backend(pid)), false) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
	})
	eventually(t, "the row can be seen", func() bool { return ask[int](t, url, "SELECT count(*) FROM fantail.event") == 1 })
	if s.Ready() == nil {
		t.Error("ready while nobody knows whether a commit is durable")
	}
	var u *store.Unavailable
	if err := <-done; !errors.As(err, &u) || !strings.Contains(u.Reason, "not known") {
		t.Errorf("append said %v", err)
	}
	release()
	if ms := <-adopted; len(ms) != 1 || ms[0].ID.Dest != dest || ms[0].Item.ID != ms[0].ID {
		t.Errorf("handed on: %+v", ms)
	}
	eventually(t, "ready again", func() bool { return s.Ready() == nil })
	if c := s.Counts(dest); c.Pending != 1 {
		t.Errorf("counters %+v", c)
	}
}

// TestNoBackendIsCancelledInACommit (T1): the driver would cancel it whenever it gives up a
// connection.
func TestNoBackendIsCancelledInACommit(t *testing.T) {
	s := openAt(t, freshDatabase(t))
	l, err := s.configs.connectLink(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer end(l.Conn)
	if err := l.PgConn().CancelRequest(ctx); !errors.Is(err, errNoCancel) {
		t.Errorf("a connection that commits asks to cancel: %v", err)
	}
}

// TestADuplicateIsAnsweredBehindADurableCommit (T2).
func TestADuplicateIsAnsweredBehindADurableCommit(t *testing.T) {
	t.Parallel()
	server := servers.PrivatePostgres(t)
	url := freshOn(t, server.DSN)
	s := openAt(t, url)
	keyed := func() *store.Entry {
		e := entryTo(`{"n":1}`)
		e.IdempotencyKey = "k"
		return e
	}
	first := appendOne(t, s, keyed())
	release := stall(t, url)
	done := make(chan store.Appended, 1)
	go func() { done <- appendOne(t, s, keyed()) }()
	eventually(t, "the duplicate waits for the standby", func() bool {
		return ask[int](t, url, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") > 0
	})
	select {
	case a := <-done:
		t.Errorf("answered %+v while nothing can be made durable", a)
	default:
	}
	release()
	if a := <-done; !a.Duplicate || a.ID != first.ID {
		t.Errorf("answered %+v, want a duplicate of %v", a, first.ID)
	}
}

// TestSettingsOfATransactionStayInIt (T6, T24): behind a pooler the next transaction of the
// connection is somebody else's.
func TestSettingsOfATransactionStayInIt(t *testing.T) {
	t.Parallel()
	server := servers.PrivatePostgres(t)
	url := freshOn(t, server.DSN)
	pooled := otherHost(t, url, servers.StartPgBouncer(t, server.DSN, 1).DSN)
	s := openAt(t, pooled, func(o *Options) { o.Connections = MinConnections })
	dest := register(t, s)
	for range 5 {
		it := appendOne(t, s, entryTo(`{}`, dest)).Items[0]
		if _, err := s.Settle(ctx, time.Now(), []store.Outcome{{Item: it, State: store.Delivered}}); err != nil {
			t.Fatal(err)
		}
		if got := ask[string](t, pooled+"&default_query_exec_mode=exec", "SELECT current_setting('synchronous_commit') || current_setting('lock_timeout')"); got != "on0" {
			t.Errorf("the connection is left with %s", got)
		}
	}
}

// TestAKeyInFlightElsewhereHoldsUpNobodyElse (T8, T28): the group that holds the key is split.
func TestAKeyInFlightElsewhereHoldsUpNobodyElse(t *testing.T) {
	url := freshDatabase(t)
	s := openAt(t, url)
	keyed := entryTo(`{"n":1}`)
	keyed.IdempotencyKey = "k"
	other, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(ctx)
	tx, err := other.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	k := newClaim(keyed)
	if _, err := tx.Exec(ctx, "INSERT INTO fantail.idem VALUES ($1, $2, gen_random_uuid(), 0, 0, '')", k.hash[:], k.body[:]); err != nil {
		t.Fatal(err)
	}
	appendOne(t, s, entryTo(`{"n":0}`)) // makes the partitions
	for _, c := range s.appends {       // so that a group fills behind those that are taken
		c.mu.Lock()
	}
	others := make(chan store.Appended, 100)
	plain := func() { others <- appendOne(t, s, entryTo(`{"n":2}`)) }
	for n := range s.appends {
		before := s.groups.seen()
		go plain()
		eventually(t, fmt.Sprintf("committer %d has taken a group", n), func() bool { return s.groups.seen() > before })
	}
	held := make(chan store.Appended, 1)
	go func() { held <- appendOne(t, s, keyed) }()
	go plain()
	eventually(t, "both are in one group", func() bool {
		s.groups.mu.Lock()
		defer s.groups.mu.Unlock()
		return s.groups.open != nil && len(s.groups.open.calls) == 2
	})
	for _, c := range s.appends {
		c.mu.Unlock()
	}
	for range len(s.appends) + 1 {
		<-others
	}
	select {
	case a := <-held:
		t.Errorf("answered %+v while another has the key", a)
	default:
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if a := <-held; a.Duplicate || a.Err != nil {
		t.Errorf("after the other gave up: %+v", a)
	}
}

// seen is how many groups committers have taken: their events have ids, and no group is
// open.
func (a *groups) seen() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open != nil {
		return 0
	}
	id := a.ids.Newest()
	return id.Time().UnixMilli()<<12 + int64(id.Order())
}

// TestOnlyPendingChurns (T9, T10): no row is hot, and nothing large has dead rows.
func TestOnlyPendingChurns(t *testing.T) {
	url := freshDatabase(t)
	s, err := Open(ctx, optionsOf(url))
	if err != nil {
		t.Fatal(err)
	}
	dest := register(t, s)
	for range 50 {
		it := appendOne(t, s, entryTo(`{}`, dest)).Items[0]
		o := store.Outcome{Item: it, State: store.Pending, Due: it.Due + 1, Attempts: 1, Attempt: &store.Attempt{At: it.Due, Class: "transient"}}
		done, err := s.Settle(ctx, time.Now(), []store.Outcome{o})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Settle(ctx, time.Now(), []store.Outcome{{Item: done[0].Item, State: store.Delivered}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	const dead = `SELECT coalesce(sum(n_tup_upd + n_tup_del), 0)::int FROM pg_stat_user_tables WHERE schemaname = 'fantail' AND relname ~ $1`
	eventually(t, "the statistics have arrived", func() bool { return ask[int](t, url, dead, "^pending$") == 100 })
	for _, table := range []string{"^event", "^body", "^done", "^attempt", "^slot$", "^idem"} {
		// The slots were adopted once, and given back.
		if n := ask[int](t, url, dead, table); n > 2*(appenders+1+serialSlots) {
			t.Errorf("%d rows of %s were changed", n, table)
		}
	}
}

// TestPartitionsAreThereBeforeTheirDay (T19): there is no default partition either, which would
// have detaching lock everybody out.
func TestPartitionsAreThereBeforeTheirDay(t *testing.T) {
	url := freshDatabase(t)
	s := openAt(t, url)
	last := event.DayOf(time.Now()) + ahead
	eventually(t, "the partitions of the next days", func() bool { return s.days.has(last) })
	for _, table := range partitioned {
		if n := ask[int](t, url, "SELECT count(*)::int FROM pg_inherits WHERE inhparent = ('fantail.' || $1::text)::regclass", table); n < ahead+1 {
			t.Errorf("%s has %d partitions", table, n)
		}
		if n := ask[int](t, url, "SELECT partdefid::int FROM pg_partitioned_table WHERE partrelid = ('fantail.' || $1::text)::regclass", table); n != 0 {
			t.Errorf("%s has a default partition", table)
		}
	}
}

// TestADeadFarSideIsNoticed (T20).
func TestADeadFarSideIsNoticed(t *testing.T) {
	s := openAt(t, freshDatabase(t))
	l, err := s.configs.connectLink(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer end(l.Conn)
	raw, err := l.PgConn().Conn().(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var timeout, idle int
	raw.Control(func(fd uintptr) {
		timeout, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
		idle, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE)
	})
	if timeout != 5000 || idle > 5 {
		t.Errorf("what we send may stay unacknowledged for %d ms, and silence is not asked about for %d s", timeout, idle)
	}
}

// TestErasedIsNowhere (T30) searches every row of every table.
func TestErasedIsNowhere(t *testing.T) {
	url := freshDatabase(t)
	s := openAt(t, url)
	dest := register(t, s)
	const user = "erase-me-42"
	e := entryTo(`{"user":"`+user+`"}`, dest)
	e.Event.UserID, e.Event.Reference, e.IdempotencyKey = user, user, "k"
	e.Event.Trace = &event.Trace{Span: user}
	it := appendOne(t, s, e).Items[0]
	o := store.Outcome{Item: it, State: store.Dead, Reason: "rejected: " + user, Attempt: &store.Attempt{At: 1, Class: "rejected", Answer: "no " + user}}
	if _, err := s.Settle(ctx, time.Now(), []store.Outcome{o}); err != nil {
		t.Fatal(err)
	}
	if err := s.Note(ctx, time.Now(), []store.Act{{Developer: "acme", Object: user}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Replay(ctx, time.Now().Add(48*time.Hour), 1, []store.Want{{Event: it.ID.Event, Day: it.ID.Day, Dest: dest}}); err != nil {
		t.Fatal(err)
	}
	tables := ask[[]string](t, url, "SELECT array_agg(c.relname::text) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'fantail' AND c.relkind = 'r'")
	holds := func() (found []string) {
		for _, table := range tables {
			pattern := fmt.Sprintf("%%%x%%", user) // bytea shows as hex
			if ask[bool](t, url, "SELECT EXISTS (SELECT FROM fantail."+table+" t WHERE t::text LIKE $1 OR t::text LIKE $2)", pattern, "%"+user+"%") {
				found = append(found, table)
			}
		}
		return found
	}
	if found := holds(); len(found) < 5 {
		t.Fatalf("the name stands in %v alone: the test looks at too little", found)
	}
	if _, err := s.Erase(ctx, time.Now(), store.Erasure{Developer: "acme", User: user, By: "test"}, nil); err != nil {
		t.Fatal(err)
	}
	if found := holds(); len(found) > 0 {
		t.Errorf("the name still stands in %v", found)
	}
}

// TestBackupSaysWhatMakesOne.
func TestBackupSaysWhatMakesOne(t *testing.T) {
	s := openAt(t, freshDatabase(t))
	if err := s.Backup(ctx, t.TempDir()); !errors.Is(err, store.ErrBackup) || !strings.Contains(err.Error(), "pg_basebackup") {
		t.Errorf("backup: %v", err)
	}
}

// TestSchemasThatAreNotOurs.
func TestSchemasThatAreNotOurs(t *testing.T) {
	url := servers.StartPostgres(t).DSN
	if _, err := Open(ctx, optionsOf(url)); !errors.Is(err, ErrNoSchema) {
		t.Errorf("without a schema: %v", err)
	}
	if m, err := Migrate(ctx, optionsOf(url)); err != nil || m != (Migrated{0, schemaVersion}) {
		t.Errorf("migrated %+v, %v", m, err)
	}
	if m, err := Migrate(ctx, optionsOf(url)); err != nil || m != (Migrated{schemaVersion, schemaVersion}) {
		t.Errorf("migrated again %+v, %v", m, err)
	}
	openAt(t, url).Close()
	for version, want := range map[int]string{newestSchema + 1: "of a newer program", oldestSchema - 1: "run fantail store migrate"} {
		exec(t, url, fmt.Sprint("UPDATE fantail.schema_version SET version = ", version))
		if _, err := Open(ctx, optionsOf(url)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("version %d: %v, want %q", version, err, want)
		}
	}
	exec(t, url, fmt.Sprint("UPDATE fantail.schema_version SET version = ", newestSchema))
	openAt(t, url) // the schema of the next program: this one runs on it during an upgrade
}

// TestAStaleOwnerIsFenced: when another daemon has adopted the slots, this one accepts and
// records nothing more, and ends.
func TestAStaleOwnerIsFenced(t *testing.T) {
	url := freshDatabase(t)
	fatal := make(chan error, 1)
	s := openAt(t, url, func(o *Options) { o.Fatal = func(err error) { fatal <- err } })
	dest := register(t, s)
	it := appendOne(t, s, entryTo(`{}`, dest)).Items[0]
	exec(t, url, "UPDATE fantail.slot SET owner = gen_random_uuid(), epoch = epoch + 1")
	if _, err := s.Append(ctx, time.Now(), []*store.Entry{entryTo(`{}`, dest)}); !errors.Is(err, store.ErrFenced) {
		t.Errorf("append: %v", err)
	}
	if _, err := s.Settle(ctx, time.Now(), []store.Outcome{{Item: it, State: store.Delivered}}); !errors.Is(err, store.ErrFenced) {
		t.Errorf("settle: %v", err)
	}
	if err := <-fatal; !errors.Is(err, store.ErrFenced) {
		t.Errorf("fatal: %v", err)
	}
	if n := ask[int](t, url, "SELECT count(*)::int FROM fantail.event"); n != 1 {
		t.Errorf("%d events are stored", n)
	}
}

// TestErrorsShowNoPassword.
func TestErrorsShowNoPassword(t *testing.T) {
	var log bytes.Buffer
	for _, url := range []string{"postgres://u:hunter2hunter2@127.0.0.1:1/x?sslmode=disable", "postgres://u:hunter2hunter2@127.0.0.1/x?sslrootcert=/nowhere/hunter3"} {
		_, err := Open(ctx, optionsOf(url))
		if err == nil || strings.Contains(err.Error()+log.String(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}
