package pgstore

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// What a program of version 1 of the schema says to the database, where that differs from now.
const v1Append = `
WITH guard AS MATERIALIZED (
	SELECT ` + durable + `, set_config('lock_timeout', $4, true)
	FROM fantail.slot WHERE id = $1 AND owner = $2 AND epoch = $3 FOR NO KEY UPDATE
), keys AS (
	INSERT INTO fantail.idem (hash, body, event, day, fanout, reference)
	SELECT k.* FROM guard, unnest($5::bytea[], $6::bytea[], $7::uuid[], $8::int[], $9::int[], $10::bytea[]) AS k
), events AS (
	INSERT INTO fantail.event (day, id, who, ordering, size, versioned, developer, type, version, usr, reference, trace, key, slot, dests)
	SELECT e.day, e.id, e.who, e.ordering, e.size, e.versioned, e.developer, e.type, e.version, e.usr, e.reference, e.trace, e.key, $1,
		($12::int[])[e.first : e.first + e.fanout - 1]
	FROM guard, unnest($13::int[], $11::uuid[], $14::bigint[], $15::bigint[], $16::int[], $17::bool[], $18::bytea[], $19::bytea[], $20::bytea[], $21::bytea[],
		$22::bytea[], $23::bytea[], $24::bytea[], $25::int[], $26::int[])
		AS e(day, id, who, ordering, size, versioned, developer, type, version, usr, reference, trace, key, first, fanout)
), bodies AS (
	INSERT INTO fantail.body (day, id, body)
	SELECT b.* FROM guard, unnest($13::int[], $11::uuid[], $27::bytea[]) AS b
), deliveries AS (
	INSERT INTO fantail.pending (event, dest, day, ordering, size, slot, replay, settings, due, changed, version, round, attempts)
	SELECT ($11::uuid[])[d.n], d.dest, ($13::int[])[d.n], ($15::bigint[])[d.n], ($16::int[])[d.n], $1, 0, 0, greatest(d.now, 0), d.now, 1, 0, 0
	FROM guard, unnest($28::int[], $12::int[], $29::bigint[]) AS d(n, dest, now)
), counted AS (
	INSERT INTO fantail.tally (slot, seq, day, dest, accepted, delivered, pending, dead, cancelled, bytes, attempts, sizes)
	SELECT $1, $30, $31::int[], $32::int[], $33::int[], $34::int[], $35::int[], $36::int[], $37::int[], $38::bigint[], $39::int[], $40::bigint[] FROM guard
)
SELECT count(*) FROM guard`

const (
	v1MakeSlots = `
WITH made AS (INSERT INTO fantail.slot (id, owner, epoch) SELECT n, '00000000-0000-0000-0000-000000000000', 0 FROM generate_series(1, $1::int) n ON CONFLICT DO NOTHING)
INSERT INTO fantail.lease (slot, until, seen) SELECT n, '-infinity', now() FROM generate_series(1, $1::int) n ON CONFLICT DO NOTHING`
	v1Slots = `
SELECT s.id, extract(epoch FROM greatest(l.until, now()) - now())::float8 FROM fantail.slot s JOIN fantail.lease l ON l.slot = s.id ORDER BY s.id`
	v1Adopt = `
WITH was AS (SELECT until FROM fantail.lease WHERE slot = $1), l AS (
	UPDATE fantail.lease SET until = now() + $3 * interval '1 millisecond', seen = now() WHERE slot = $1 AND until <= now() RETURNING slot
)
UPDATE fantail.slot s SET owner = $2, epoch = s.epoch + 1, unclean = CASE WHEN was.until = '-infinity' THEN 0 ELSE s.unclean + 1 END
FROM l, was WHERE s.id = l.slot RETURNING s.epoch`
	v1Renew = `
UPDATE fantail.lease l SET until = now() + $2 * interval '1 millisecond', seen = now() FROM fantail.slot s
WHERE s.id = l.slot AND s.owner = $1 AND ` + hasty + ` IS NOT NULL RETURNING l.slot, clock_timestamp()`
	v1Leave = `
UPDATE fantail.lease l SET until = '-infinity' FROM fantail.slot s WHERE s.id = l.slot AND s.owner = $1`
)

// former is a daemon of version 1.
type former struct {
	t     testing.TB
	c     *pgx.Conn
	owner [16]byte
	epoch map[int16]int64
	seq   int64
}

// startFormer adopts all slots as such a daemon does.
func startFormer(t testing.TB, url string) *former {
	t.Helper()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(ctx) })
	f := &former{t: t, c: c, owner: [16]byte(event.NewID(time.Now(), 0, 7)), epoch: map[int16]int64{}}
	f.exec(v1MakeSlots, appenders+1)
	f.seq = ask[int64](t, url, sqlLastSeq, int16(2))
	slots := map[int16]float64{}
	rows, err := c.Query(ctx, v1Slots)
	if err != nil {
		t.Fatal(err)
	}
	var id int16
	var left float64
	if _, err := pgx.ForEachRow(rows, []any{&id, &left}, func() error { slots[id] = left; return nil }); err != nil {
		t.Fatal(err)
	}
	for id := range slots {
		var epoch int64
		if err := c.QueryRow(ctx, v1Adopt, id, f.owner, time.Minute.Milliseconds()).Scan(&epoch); err != nil {
			t.Fatalf("adopt slot %d, whose lease has %v s left: %v", id, slots[id], err)
		}
		f.epoch[id] = epoch
	}
	return f
}

func (f *former) exec(sql string, args ...any) {
	f.t.Helper()
	if _, err := f.c.Exec(ctx, sql, args...); err != nil {
		f.t.Fatal(err)
	}
}

// append accepts an event for dest, as slot 2 does.
func (f *former) append(dest uint32) error {
	f.t.Helper()
	f.seq++
	g := newGroup()
	e := entryTo(`{}`, dest).Event
	e.ID, e.Ordering = event.NewID(time.Now(), 0, uint64(f.seq)), time.Now()
	g.event(e, []byte{}, nil, []uint32{dest})
	g.deliver(dest, time.Now().UnixNano(), 0)
	n := g.sum.of(e.ID.Day(), dest)
	n[nAccepted]++
	n.count(store.Pending, 2, 1)
	none := [][]byte{}
	args := []any{int16(2), f.owner, f.epoch[2], "0", none, none, [][16]byte{}, []int32{}, []int32{}, none,
		g.ids, g.dests, g.days, g.who, g.ordering, g.size, g.versioned, g.developer, g.kind, g.version, g.user, g.reference, g.trace, g.key,
		g.first, g.fanout, g.bodies, g.of, g.now, f.seq}
	var mine int
	if err := f.c.QueryRow(ctx, v1Append, append(args, g.sum.args()...)...).Scan(&mine); err != nil {
		f.t.Fatal(err)
	}
	if mine == 0 {
		return store.ErrFenced
	}
	return nil
}

// renews tells whether it finds all its slots.
func (f *former) renews() bool {
	f.t.Helper()
	rows, err := f.c.Query(ctx, v1Renew, f.owner, time.Minute.Milliseconds())
	if err != nil {
		f.t.Fatal(err)
	}
	n := 0
	if _, err := pgx.ForEachRow(rows, []any{nil, nil}, func() error { n++; return nil }); err != nil {
		f.t.Fatal(err)
	}
	return n == len(f.epoch)
}

// atVersion1 makes a database with the schema of version 1.
func atVersion1(t testing.TB) string {
	t.Helper()
	url := servers.StartPostgres(t).DSN
	text, err := schemas.ReadFile("schema/1.sql")
	if err != nil {
		t.Fatal(err)
	}
	exec(t, url, "SET client_min_messages = warning; "+string(text))
	for _, day := range []event.Day{event.DayOf(time.Now()), event.DayOf(time.Now()) + 1} {
		for _, table := range partitioned {
			exec(t, url, fmt.Sprintf("CREATE TABLE %s PARTITION OF fantail.%s FOR VALUES FROM (%d) TO (%d)", partition(table, day), table, day, day+1))
		}
	}
	exec(t, url, "INSERT INTO fantail.destination (id, hash, developer, name, kind) VALUES (1, '\\x01', 'acme', 'app', 'webhook'); UPDATE fantail.kept SET next_dest = 2")
	return url
}

// TestTheFormerVersionGoesOnDuringAnUpgrade (T27): migrate while it runs, start new daemons
// beside it, end it, and go back.
func TestTheFormerVersionGoesOnDuringAnUpgrade(t *testing.T) {
	const dest = 1
	url := atVersion1(t)
	old := startFormer(t, url)
	accept := func() {
		t.Helper()
		if err := old.append(dest); err != nil || !old.renews() {
			t.Fatalf("the former version: %v", err)
		}
	}
	accept()
	if _, err := Open(ctx, optionsOf(url)); err == nil {
		t.Error("a daemon starts on the former schema")
	}
	// A commit that is under way holds the migration up for as long as it takes.
	tx, err := old.c.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	accept()
	migrated := make(chan error, 1)
	go func() {
		m, err := Migrate(ctx, optionsOf(url))
		if err == nil && m != (Migrated{1, schemaVersion}) {
			err = fmt.Errorf("migrated %+v", m)
		}
		migrated <- err
	}()
	eventually(t, "the migration waits", func() bool {
		return ask[int](t, url, "SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
	})
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-migrated; err != nil {
		t.Fatal(err)
	}
	accept()

	s := openAt(t, url)
	heard := &listener{}
	s.Follow(heard)
	if n := len(all(t, s, dest)); n != 0 {
		t.Errorf("the new daemon is offered %d deliveries of the former one", n)
	}
	accept()
	eventually(t, "the new one counts what the former one accepts", func() bool { return s.Counts(dest).Pending == 4 })
	appendOne(t, s, entryTo(`{}`, dest))
	exec(t, url, "UPDATE fantail.destination SET state = '{}', version = version + 1") // a pause there
	eventually(t, "the new one hears of a change by the former one", func() bool { heard.mu.Lock(); defer heard.mu.Unlock(); return len(heard.news) > 0 })
	// As if it had found its slots with a head_low, which it does not know, and its clock were an hour behind.
	old.exec("UPDATE fantail.lease SET head_low = $2 WHERE slot IN (SELECT id FROM fantail.slot WHERE owner = $1)", old.owner, time.Now().Add(time.Hour).UnixNano())
	old.exec(v1Leave, old.owner)
	eventually(t, "its work is adopted", func() bool { return len(all(t, s, dest)) == 5 })
	if err := old.append(dest); !errors.Is(err, store.ErrFenced) {
		t.Errorf("after that it appends: %v", err)
	}
	rows, err := s.Audit(ctx, true, func(int64) {})
	if err != nil || rows[0].Counts != *rows[0].Recounted || rows[0].Counts.Accepted != 5 || s.Counts(dest) != rows[0].Counts {
		t.Errorf("audit %+v %v, in memory %+v, %v", rows[0], rows[0].Recounted, s.Counts(dest), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	old = startFormer(t, url) // and back
	accept()
}

// TestUpgradingSaysWhatThisProgramRunsOn: the last row of the table in docs/UPGRADING.md is this program.
func TestUpgradingSaysWhatThisProgramRunsOn(t *testing.T) {
	text, err := os.ReadFile("../../../docs/UPGRADING.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| \S+ \| (\d+) \| (\d+) and (\d+) \|$`).FindAllStringSubmatch(string(text), -1)
	if want := []string{fmt.Sprint(schemaVersion), fmt.Sprint(oldestSchema), fmt.Sprint(newestSchema)}; len(rows) < 2 || !slices.Equal(rows[len(rows)-1][1:], want) {
		t.Errorf("the table ends with %q, want %q", rows, want)
	}
	if want := fmt.Sprintf("The schema has version %d.", schemaVersion); !strings.Contains(string(text), want) {
		t.Errorf("it does not say %q", want)
	}
}
