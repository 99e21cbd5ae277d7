package supabase

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fanout"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// maxRows is how many rows go in one request; so many objects at most are
// written again when an attempt ends in between.
const maxRows = 64

// item is a payload as it is stored.
type item struct {
	table  table
	row    row
	object string // its key in the bucket
	mark   string // of natural identities: its place in the order of all items
	body   []byte
}

func (i item) id() string { return *i.row["payload_id"] }

// items yields what is stored of e.
func (s *supabase) items(e *event.Event) iter.Seq[item] {
	return func(yield func(item) bool) {
		place := sqltables.PlaceOf(e)
		typ, created, user := sqltables.Clean(e.Type), place.CreatedAt, e.UserID
		for p := range s.catalogue.Payloads(e) {
			i := item{body: p.Body}
			id := p.ID
			if s.natural {
				id = naturalID(e, p)
				i.mark = fmt.Sprintf("%s-%08d", place.Stamp, p.Index)
			}
			i.row = row{"payload_id": &id, "user_id": &user, "created_at": &created}
			if s.catalogue.IsData(e.Type) {
				i.table = s.tables.data
				i.row["data_type"], i.row["start_time"], i.row["end_time"] = &typ, readable(p.Start), readable(p.End)
			} else {
				i.table = s.tables.misc
				i.row["data_type"], i.row["payload_type"] = nil, &typ
			}
			if s.natural {
				i.row["updated_at"] = &i.mark
			}
			if s.item {
				if body, ok := s.catalogue.Item(e, p); ok {
					i.body = body
				}
			}
			i.object = segment(e.Type) + "/" + segment(id) + ".json"
			if !yield(i) {
				return
			}
		}
	}
}

// naturalID is the same for every event about the same thing: 32 hex digits of
// type, user and identity. What has no identity but that of its event keeps it.
func naturalID(e *event.Event, p event.Payload) string {
	if p.Identity == p.ID || p.Identity == e.ID.String()+"-0" {
		return p.ID
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", e.Type, e.UserID, p.Identity))
	return hex.EncodeToString(sum[:16])
}

// readable is a time of an event as a column takes it, nil if it is none.
func readable(text string) *string {
	t, ok := event.ReadTime(text)
	if !ok || t.Year() < 1 {
		return nil
	}
	at := t.Format("2006-01-02T15:04:05.999999Z") // PostgreSQL would round more digits, and the last moment of 9999 up into a year that clients cannot read
	return &at
}

// sending is the payloads of one delivery on their way.
type sending struct {
	*supabase
	attempt int

	mu      sync.Mutex
	waiting []row // of objects that are there

	// What note has kept.
	receipt destination.Receipt
	err     error
	stop    bool
}

// writePayloads writes each object and then its row. What an earlier attempt
// wrote counts as done, so that a large event makes progress over attempts.
func (s *supabase) writePayloads(ctx context.Context, at table, d destination.Delivery) (destination.Receipt, error) {
	w := &sending{supabase: s, attempt: d.Attempt}
	fanout.Each(s.items(d.Event), fanout.Order[item]{Width: fanout.Width}, func(i item) (destination.Receipt, error) {
		return w.write(ctx, i)
	}, w.note)
	if len(w.waiting) > 0 {
		r, err := w.insertRows(ctx, at, w.waiting)
		w.note(item{}, r, err)
	}
	return w.receipt, w.err
}

// note keeps what says most about the attempt: a failure that may pass, or needs
// somebody, before that of one item which will never fit or made us panic, and any
// before none. After the latter kind the other items are still written.
func (w *sending) note(_ item, r destination.Receipt, err error) (more bool) {
	class, _ := destination.ClassOf(err)
	rejected := err != nil && class == destination.Rejected
	if !w.stop && (w.err == nil || err != nil && !rejected) {
		w.receipt, w.err = r, err
		w.stop = err != nil && !rejected && destination.PanicOf(err) == nil
	}
	return !w.stop
}

// write stores one item, or all but its row, which then waits for others.
func (w *sending) write(ctx context.Context, i item) (destination.Receipt, error) {
	if w.natural {
		return w.writeNatural(ctx, i)
	}
	if w.attempt > 1 {
		if stored, a, err := w.find(ctx, i.table, i.id()); err != nil || stored != nil {
			return a.receipt, err
		}
	}
	a, err := w.upload(ctx, i)
	if err != nil {
		return a.receipt, err
	}
	w.mu.Lock()
	var full []row
	if w.waiting = append(w.waiting, i.row); len(w.waiting) >= maxRows {
		full, w.waiting = w.waiting, nil
	}
	w.mu.Unlock()
	if full != nil {
		return w.insertRows(ctx, i.table, full)
	}
	return a.receipt, nil
}

// insertRows adds rows, and sees that those are there which it did not add: a
// repeat finds its own, and a trigger may keep rows from being there at all.
func (w *sending) insertRows(ctx context.Context, t table, rows []row) (destination.Receipt, error) {
	added, a, err := w.insertAll(ctx, t, rows)
	if err != nil || len(added) == len(rows) {
		return a.receipt, err
	}
	var unseen []string
	for _, r := range rows {
		same := func(other row) bool { id := other[t.key()]; return id != nil && *id == *r[t.key()] }
		if !slices.ContainsFunc(added, same) {
			unseen = append(unseen, t.key()+`.eq."`+*r[t.key()]+`"`)
		}
	}
	there, a, err := w.rest(ctx, http.MethodGet, t, url.Values{"or": {"(" + strings.Join(unseen, ",") + ")"}, "select": {t.key()}}, "", nil)
	if err == nil && len(there) < len(unseen) {
		err = swallowed("write "+t.bare(), t)
	}
	return a.receipt, err
}

// writeNatural stores i unless what is there is newer. Storage knows no
// conditions, so that those of one destination take turns at one object.
func (w *sending) writeNatural(ctx context.Context, i item) (destination.Receipt, error) {
	done, err := w.turns.take(ctx, i.id())
	if err != nil {
		return destination.Receipt{}, fmt.Errorf("wait for another delivery of the same payload: %w", err)
	}
	defer done()
	stored, a, err := w.find(ctx, i.table, i.id(), "updated_at")
	if err != nil {
		return a.receipt, err
	}
	if stored != nil && stored["updated_at"] != nil && *stored["updated_at"] >= i.mark {
		return a.receipt, nil
	}
	if a, err = w.upload(ctx, i); err != nil {
		return a.receipt, err
	}
	n := 0
	if stored == nil {
		if n, a, err = w.insert(ctx, i.table, []row{i.row}); err != nil || n > 0 {
			return a.receipt, err
		}
	}
	_, a, err = w.patch(ctx, i.table, i.id(), []string{guard("updated_at", "lt", i.mark)}, i.row)
	return a.receipt, err // 0 rows: a newer one came by another way
}

// turns lets one at a time have a name.
type turns struct {
	mu   sync.Mutex
	busy map[string]chan struct{} // closed when the turn ends
}

// take waits for name and returns what ends the turn.
func (t *turns) take(ctx context.Context, name string) (done func(), err error) {
	for {
		t.mu.Lock()
		if t.busy == nil {
			t.busy = map[string]chan struct{}{}
		}
		other := t.busy[name]
		if other == nil {
			mine := make(chan struct{})
			t.busy[name] = mine
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				delete(t.busy, name)
				t.mu.Unlock()
				close(mine)
			}, nil
		}
		t.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
