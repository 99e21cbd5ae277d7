package pgstore

import (
	"bytes"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// flush writes what was changed, in one round trip. It deletes rows that were in another table
// or had other values, and inserts them as they are now.
func (c *changes) flush() error {
	var drops [store.Cancelled + 1][]store.DeliveryID
	var pending, done rowColumns
	ids := make([]store.DeliveryID, 0, len(c.rows))
	for id, r := range c.rows {
		if old, was := c.old[id]; !was || old != r {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, byKey)
	for _, id := range ids {
		r := c.rows[id]
		if old, was := c.old[id]; was {
			drops[min(old.State, store.Delivered)] = append(drops[min(old.State, store.Delivered)], id)
		}
		if r.State == store.Pending {
			pending.add(id, &r)
		} else {
			done.add(id, &r)
		}
	}
	var b pgx.Batch
	for i, sql := range map[store.State]string{store.Pending: sqlDropPending, store.Delivered: sqlDropDone} {
		if len(drops[i]) > 0 {
			b.Queue(sql, keysOf(drops[i])...)
		}
	}
	if len(pending.ids) > 0 {
		made := earliest{}
		for i, due := range pending.due {
			made.add(pending.slot[i], due)
		}
		if err := c.s.underLows(c.ctx, c.tx, c.s.changes, made); err != nil {
			return err
		}
		b.Queue(sqlPutPending, pending.putPending()...)
	}
	if len(done.ids) > 0 {
		b.Queue(sqlPutDone, done.putDone()...)
	}
	if err := c.countAttempts(); err != nil {
		return err
	}
	for _, log := range apart(c.log) {
		b.Queue(sqlLog, logColumns(log)...)
	}
	b.Queue(sqlTally, append([]any{c.slot, c.seq, c.born.args(), c.born.since}, c.sum.args()...)...)
	return c.tx.SendBatch(c.ctx, &b).Close()
}

// byKey is the order in which every transaction locks rows: two never wait for each other.
func byKey(a, b store.DeliveryID) int {
	if n := bytes.Compare(a.Event[:], b.Event[:]); n != 0 {
		return n
	}
	return int(int32(a.Dest)) - int(int32(b.Dest))
}

// rowColumns are rows as statements take them.
type rowColumns struct {
	ids                            []store.DeliveryID
	slot, state                    []int16
	settings, due                  []int64
	ordering, changed              []int64
	version, round, attempts, size []int32
	reason                         [][]byte
}

func (t *rowColumns) add(id store.DeliveryID, r *row) {
	t.ids = append(t.ids, id)
	t.slot, t.state = append(t.slot, r.slot), append(t.state, int16(r.State))
	t.settings, t.due = append(t.settings, int64(r.Settings)), append(t.due, r.Due)
	t.ordering, t.changed = append(t.ordering, r.Ordering), append(t.changed, r.Changed)
	t.version, t.round = append(t.version, int32(r.Version)), append(t.round, int32(r.Round))
	t.attempts, t.size = append(t.attempts, int32(r.Attempts)), append(t.size, int32(r.Size))
	t.reason = append(t.reason, []byte(r.Reason))
}

func (t *rowColumns) putPending() []any {
	return append(keysOf(t.ids), t.slot, t.settings, t.due, t.ordering, t.changed, t.version, t.round, t.attempts, t.size)
}

func (t *rowColumns) putDone() []any {
	return append(keysOf(t.ids), t.slot, t.state, t.ordering, t.changed, t.version, t.round, t.attempts, t.size, t.reason)
}

type attemptKey struct {
	id      store.DeliveryID
	at      int64
	version uint32
}

// countAttempts counts what is added to the log. A repeated outcome adds nothing, and an
// expiry is logged but is no attempt.
func (c *changes) countAttempts() error {
	if len(c.log) == 0 {
		return nil
	}
	known := map[attemptKey]bool{}
	err := c.each(sqlLogged, logColumns(c.log)[:6], func(scan func(...any) error) error {
		var k attemptKey
		err := scan(dayOf{&k.id.Day}, (*[16]byte)(&k.id.Event), unsigned{&k.id.Dest}, unsigned{&k.id.Replay}, &k.at, unsigned{&k.version})
		known[k] = true
		return err
	})
	for _, l := range c.log {
		if k := (attemptKey{l.id, l.At, l.version}); !known[k] && l.Class != reasonExpired {
			known[k] = true
			c.sum.of(l.id.Day, l.id.Dest)[nAttempts]++
		}
	}
	return err
}

// apart splits attempts over as many statements as it takes for none to name one twice.
func apart(log []logged) (parts [][]logged) {
	seen := map[attemptKey]int{}
	for _, l := range log {
		k := attemptKey{l.id, l.At, l.version}
		n := seen[k]
		seen[k]++
		if n == len(parts) {
			parts = append(parts, nil)
		}
		parts[n] = append(parts[n], l)
	}
	return parts
}

// attemptColumns are attempts without what they belong to.
type attemptColumns struct {
	at, took               []int64
	code                   []int32
	requests               []int16
	counted                []bool
	class, answer, address [][]byte
}

func (t *attemptColumns) add(a *store.Attempt) {
	t.at, t.took = append(t.at, a.At), append(t.took, int64(a.Took))
	t.code, t.requests, t.counted = append(t.code, int32(a.Code)), append(t.requests, int16(a.Requests)), append(t.counted, a.Counted)
	t.class, t.answer, t.address = append(t.class, []byte(a.Class)), append(t.answer, []byte(a.Answer)), append(t.address, []byte(a.Address))
}

func (t *attemptColumns) args() []any {
	return []any{t.took, t.code, t.requests, t.counted, t.class, t.answer, t.address}
}

func logColumns(log []logged) []any {
	ids, versions := make([]store.DeliveryID, len(log)), make([]int32, len(log))
	var t attemptColumns
	for i := range log {
		ids[i], versions[i] = log[i].id, int32(log[i].version)
		t.add(&log[i].Attempt)
	}
	return append(append(keysOf(ids), t.at, versions), t.args()...)
}
