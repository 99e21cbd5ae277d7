package pgstore

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// filledStore has enough rows that a plan which reads a table whole is a bad one.
func filledStore(t testing.TB) (url string, pending, done []store.Item) {
	t.Helper()
	url = freshDatabase(t)
	s := openAt(t, url)
	keys := make([]store.DestinationKey, 20)
	for i := range keys {
		keys[i] = store.DestinationKey{Developer: "acme", Name: fmt.Sprint(i), Kind: "webhook"}
	}
	dests, err := s.Register(ctx, keys)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for day := range 3 {
		for range 3 {
			batch := make([]*store.Entry, 500)
			for i := range batch {
				batch[i] = entryTo(`{}`, dests[i%20], dests[(i+1)%20])
				batch[i].Event.UserID = fmt.Sprint("user-", i)
				batch[i].IdempotencyKey = fmt.Sprint("key-", day, "-", len(done), "-", i)
			}
			out, err := s.Append(ctx, now.AddDate(0, 0, day), batch)
			if err != nil {
				t.Fatal(err)
			}
			var outcomes []store.Outcome
			for _, a := range out {
				pending = append(pending, a.Items[1])
				done = append(done, a.Items[0])
				outcomes = append(outcomes, store.Outcome{Item: a.Items[0], State: store.Delivered, Attempt: &store.Attempt{At: 1, Class: "delivered"}})
			}
			if _, err := s.Settle(ctx, now, outcomes); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.analyze(); err != nil {
		t.Fatal(err)
	}
	return url, pending, done
}

// wholeTable finds a table that is read whole, but for one that is empty.
var wholeTable = regexp.MustCompile(`Seq Scan on (event|body|done|attempt|pending|idem)\w* \w* *\(cost=0\.00\.\.([1-9]|0\.0[1-9]|0\.[1-9])`)

// TestPlans: the statements on the way of an event, and those that a daemon asks often,
// find their rows by an index, in the partitions that they name.
func TestPlans(t *testing.T) {
	url, pending, done := filledStore(t)
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	p, d := pending[len(pending)/2], done[len(done)/2]
	day := int32(p.ID.Day)
	owner := [16]byte{}
	ids := []store.DeliveryID{p.ID, d.ID, pending[7].ID}
	keys, log := keysOf(ids), attemptColumns{}
	for range ids {
		log.add(&store.Attempt{At: 5, Class: "transient"})
	}
	three := []int32{1, 2, 3}
	settle := append([]any{int16(1), owner, int64(1), int64(1), three, keys[1], keys[2], keys[3], keys[0], three, []int32{1, 2, 1}, []int64{1, 2, 3}, []int64{0, 0, 0}, three,
		[][]byte{{}, {}, {}}, three, log.at}, append(log.args(), int64(9))...)
	for name, q := range map[string]struct {
		sql        string
		args       []any
		partitions int // at the most
	}{
		"settle":          {sqlSettle, settle, 0},
		"due":             {sqlDue, []any{[]int16{1, 2, 3}, int32(p.ID.Dest), int64(0), p.Due, [16]byte(p.ID.Event), int64(0), 65, owner}, 0},
		"queues":          {sqlQueues, []any{[]int16{1, 2, 3}, owner}, 0},
		"event":           {sqlEvent, []any{day, [16]byte(p.ID.Event)}, 2},
		"event record":    {sqlEventRecord, []any{day, [16]byte(p.ID.Event)}, 1},
		"delivery":        {sqlDelivery, []any{day, [16]byte(d.ID.Event), int32(d.ID.Dest), int64(0)}, 2},
		"lock pending":    {sqlLockPending, keys, 0},
		"lock done":       {sqlLockDone, keys, 99}, // whichever days they are of
		"keys":            {sqlKeys, []any{[][]byte{make([]byte, 16)}}, 0},
		"deliveries":      {sqlDeliveries, []any{day, [16]byte(lastID), int32(1<<31 - 1), int64(1 << 40), [16]byte{}, 101, []int32{int32(d.ID.Dest)}, []int32(nil), firstID(p.ID.Day), nil}, 1},
		"events":          {sqlEvents, []any{day, [16]byte(lastID), firstID(p.ID.Day), texts([]string{"acme"}), pieceRows, []int64{who("acme", "user-7")}, texts(nil), []byte("user-7"), false, 100}, 1},
		"user events":     {sqlUserEvents, []any{day, []int64{who("acme", "user-7")}, [16]byte(lastID), [16]byte{}, nil, []byte("user-7"), texts([]string{"acme"}), userEvents}, 1},
		"user deliveries": {sqlUserDeliveries, []any{day, [16]byte(lastID), int32(1<<31 - 1), int64(1 << 40), 101, []int32(nil), []int32(nil), [][16]byte{[16]byte(p.ID.Event), [16]byte(d.ID.Event)}}, 1},
		"newest":          {sqlNewest, []any{day, firstID(p.ID.Day)}, 1},
	} {
		rows, err := c.Query(ctx, "EXPLAIN "+q.sql, q.args...)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		plan := strings.Join(lines, "\n")
		// Sorting a list of a few thousand rows may be cheaper than finding them; it is bounded.
		if bad := wholeTable.FindString(plan); bad != "" && name != "deliveries" {
			t.Errorf("%s: %s:\n%s", name, bad, plan)
		}
		seen := map[string]bool{}
		for _, table := range regexp.MustCompile(` on ((?:event|body|done|attempt)_\d{8})`).FindAllStringSubmatch(plan, -1) {
			seen[table[1]] = true
		}
		if len(seen) > q.partitions {
			t.Errorf("%s looks at %d partitions, want %d:\n%s", name, len(seen), q.partitions, plan)
		}
	}
}

// TestReadingFromTheCursorPassesNothingDead (T11): while a session holds a snapshot, rows of
// what was delivered are not removed. Reading a queue must not pass over them.
func TestReadingFromTheCursorPassesNothingDead(t *testing.T) {
	url := freshDatabase(t)
	s := openAt(t, url)
	dest := register(t, s)
	appendOne(t, s, entryTo(`{}`, dest))
	holder, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close(ctx)
	if _, err := holder.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM fantail.pending"); err != nil {
		t.Fatal(err)
	}
	var last store.Item
	for range 10 {
		batch := make([]*store.Entry, 500)
		for i := range batch {
			batch[i] = entryTo(`{}`, dest)
		}
		out, err := s.Append(ctx, time.Now(), batch)
		if err != nil {
			t.Fatal(err)
		}
		var outcomes []store.Outcome
		for _, a := range out {
			last = a.Items[0]
			outcomes = append(outcomes, store.Outcome{Item: last, State: store.Delivered})
		}
		if _, err := s.Settle(ctx, time.Now(), outcomes); err != nil {
			t.Fatal(err)
		}
	}
	pages := func(from store.Position) int {
		args := []any{s.owned.of(dest), int32(dest), int64(0), from.Due, [16]byte(from.Event), int64(0), 65, s.owner}
		c, err := pgx.Connect(ctx, url)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(ctx)
		rows, err := c.Query(ctx, "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) "+sqlDue, args...)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		var n int
		for _, l := range lines {
			if _, after, ok := strings.Cut(l, "shared hit="); ok {
				fmt.Sscan(after, &n)
				break
			}
		}
		return n
	}
	start, cursor := pages(store.Position{}), pages(last.Position())
	if start < 50 || cursor > 40 {
		t.Errorf("%d pages from the start, which shows that nothing is swept; %d from the cursor", start, cursor)
	}
}

// TestPlansOfTheLookout: what every daemon asks several times a second has an index to go by. The tables
// are too small for the planner to prefer it by itself.
func TestPlansOfTheLookout(t *testing.T) {
	url := freshDatabase(t)
	s := openAt(t, url)
	dest := register(t, s)
	appendOne(t, s, entryTo(`{}`, dest))
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, "SET enable_seqscan = off"); err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]struct {
		sql  string
		args []any
		by   string // an index
	}{
		"tail":        {sqlTail, []any{[]int16{1, 2}, []int64{1, 1}}, "tally_pkey"},
		"changed":     {sqlChanged, []any{"1"}, "destination_stamp"},
		"idle":        {sqlIdle, []any{int16(1)}, "pending_queue"},
		"own pending": {sqlOwnPending, []any{[]int16{1, 2}}, "pending_queue"},
		"give back":   {sqlGiveBack, []any{int16(1), s.owner}, "slot_pkey"},
	} {
		rows, err := c.Query(ctx, "EXPLAIN "+q.sql, q.args...)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		if !strings.Contains(plan, q.by) || regexp.MustCompile(`Seq Scan on (tally|pending|destination)`).MatchString(plan) {
			t.Errorf("%s does not go by %s:\n%s", name, q.by, plan)
		}
	}
}
