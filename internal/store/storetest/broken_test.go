package storetest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// broken is a store that keeps every rule but one: what is set replaces a call of the model.
type broken struct {
	*model
	append      func(m *model, now time.Time, batch []*store.Entry) ([]store.Appended, error)
	settle      func(m *model, now time.Time, os []store.Outcome) ([]store.Settled, error)
	due         func(m *model, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error)
	queues      func(m *model) ([]store.Head, error)
	move        func(m *model, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error)
	replay      func(m *model, now time.Time, replay uint32, wants []store.Want) ([]store.Moved, error)
	event       func(m *model, id event.ID) (*event.Event, error)
	delivery    func(m *model, id store.DeliveryID) (store.DeliveryRecord, []store.Attempt, error)
	events      func(m *model, q store.EventQuery) (store.Page[store.EventRecord], error)
	deliveries  func(m *model, q store.DeliveryQuery) (store.Page[store.DeliveryRecord], error)
	audit       func(m *model, deep bool) ([]store.AuditRow, error)
	usage       func(m *model, q store.UsageQuery, each func(*store.UsageRow))
	counts      func(m *model, dest uint32) store.Counts
	register    func(m *model, keys []store.DestinationKey) ([]uint32, error)
	changeState func(m *model, id uint32, change func(*store.DestinationState)) (store.DestinationState, uint64, error)
	setLast     func(m *model, last map[uint32]store.Last) error
	put         func(m *model, key string, value []byte) error
	putDoc      func(m *model, was uint64, d store.Document) (uint64, error)
	doc         func(m *model, developer string, version uint64) (store.Document, error)
	docs        func(m *model, developer string) ([]store.Document, error)
	eachDoc     func(m *model, old bool, f func(store.Document) error) error
	forget      func(m *model, developer string) error
	reseal      func(m *model, developer string, version uint64, text []byte) error
	collect     func(m *model, keep []uint64) (int, error)
	putSettings func(m *model, sealed map[uint64][]byte, values map[string][]byte) error
	without     func(m *model, hashes []uint64) ([]uint64, error)
	retain      func(m *model, now time.Time, r store.Retention, expired func([]store.Moved)) (store.RetainReport, error)
	erase       func(m *model, now time.Time, req store.Erasure, cancelled func([]store.Moved)) (store.ErasureReport, error)
	note        func(m *model, now time.Time, acts []store.Act) error
	acts        func(m *model, q store.ActQuery) (store.Page[store.Act], error)
	backup      func(m *model, dir string) error
	ready       func(m *model) error
	close       func(m *model) error
}

func (b *broken) Append(ctx context.Context, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
	if b.append != nil {
		return b.append(b.model, now, batch)
	}
	return b.model.Append(ctx, now, batch)
}

func (b *broken) Settle(ctx context.Context, now time.Time, os []store.Outcome) ([]store.Settled, error) {
	if b.settle != nil {
		return b.settle(b.model, now, os)
	}
	return b.model.Settle(ctx, now, os)
}

func (b *broken) Due(ctx context.Context, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
	if b.due != nil {
		return b.due(b.model, q, from, until, limit)
	}
	return b.model.Due(ctx, q, from, until, limit)
}

func (b *broken) Queues(ctx context.Context) ([]store.Head, error) {
	if b.queues != nil {
		return b.queues(b.model)
	}
	return b.model.Queues(ctx)
}

func (b *broken) Move(ctx context.Context, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
	if b.move != nil {
		return b.move(b.model, now, c, ids)
	}
	return b.model.Move(ctx, now, c, ids)
}

func (b *broken) Replay(ctx context.Context, now time.Time, replay uint32, wants []store.Want) ([]store.Moved, error) {
	if b.replay != nil {
		return b.replay(b.model, now, replay, wants)
	}
	return b.model.Replay(ctx, now, replay, wants)
}

func (b *broken) Event(ctx context.Context, day event.Day, id event.ID) (*event.Event, error) {
	if b.event != nil {
		return b.event(b.model, id)
	}
	return b.model.Event(ctx, day, id)
}

func (b *broken) Delivery(ctx context.Context, id store.DeliveryID) (store.DeliveryRecord, []store.Attempt, error) {
	if b.delivery != nil {
		return b.delivery(b.model, id)
	}
	return b.model.Delivery(ctx, id)
}

func (b *broken) Events(ctx context.Context, q store.EventQuery) (store.Page[store.EventRecord], error) {
	if b.events != nil {
		return b.events(b.model, q)
	}
	return b.model.Events(ctx, q)
}

func (b *broken) Deliveries(ctx context.Context, q store.DeliveryQuery) (store.Page[store.DeliveryRecord], error) {
	if b.deliveries != nil {
		return b.deliveries(b.model, q)
	}
	return b.model.Deliveries(ctx, q)
}

func (b *broken) Audit(ctx context.Context, deep bool, progress func(int64)) ([]store.AuditRow, error) {
	if b.audit != nil {
		return b.audit(b.model, deep)
	}
	return b.model.Audit(ctx, deep, progress)
}

func (b *broken) Counts(dest uint32) store.Counts {
	if b.counts != nil {
		return b.counts(b.model, dest)
	}
	return b.model.Counts(dest)
}

func (b *broken) Register(ctx context.Context, keys []store.DestinationKey) ([]uint32, error) {
	if b.register != nil {
		return b.register(b.model, keys)
	}
	return b.model.Register(ctx, keys)
}

func (b *broken) ChangeState(ctx context.Context, id uint32, change func(*store.DestinationState)) (store.DestinationState, uint64, error) {
	if b.changeState != nil {
		return b.changeState(b.model, id, change)
	}
	return b.model.ChangeState(ctx, id, change)
}

func (b *broken) SetLast(ctx context.Context, last map[uint32]store.Last) error {
	if b.setLast != nil {
		return b.setLast(b.model, last)
	}
	return b.model.SetLast(ctx, last)
}

func (b *broken) Put(ctx context.Context, key string, value []byte) error {
	if b.put != nil {
		return b.put(b.model, key, value)
	}
	return b.model.Put(ctx, key, value)
}

func (b *broken) PutDocument(ctx context.Context, was uint64, d store.Document) (uint64, error) {
	if b.putDoc != nil {
		return b.putDoc(b.model, was, d)
	}
	return b.model.PutDocument(ctx, was, d)
}

func (b *broken) ResealDocument(ctx context.Context, developer string, version uint64, text []byte) error {
	if b.reseal != nil {
		return b.reseal(b.model, developer, version, text)
	}
	return b.model.ResealDocument(ctx, developer, version, text)
}

func (b *broken) Document(ctx context.Context, developer string, version uint64) (store.Document, error) {
	if b.doc != nil {
		return b.doc(b.model, developer, version)
	}
	return b.model.Document(ctx, developer, version)
}

func (b *broken) DocumentVersions(ctx context.Context, developer string) ([]store.Document, error) {
	if b.docs != nil {
		return b.docs(b.model, developer)
	}
	return b.model.DocumentVersions(ctx, developer)
}

func (b *broken) EachDocument(ctx context.Context, old bool, f func(store.Document) error) error {
	if b.eachDoc != nil {
		return b.eachDoc(b.model, old, f)
	}
	return b.model.EachDocument(ctx, old, f)
}

func (b *broken) ForgetVersions(ctx context.Context, developer string) error {
	if b.forget != nil {
		return b.forget(b.model, developer)
	}
	return b.model.ForgetVersions(ctx, developer)
}

func (b *broken) PutSettings(ctx context.Context, sealed map[uint64][]byte, values map[string][]byte) error {
	if b.putSettings != nil {
		return b.putSettings(b.model, sealed, values)
	}
	return b.model.PutSettings(ctx, sealed, values)
}

func (b *broken) WithoutSettings(ctx context.Context, hashes []uint64) ([]uint64, error) {
	if b.without != nil {
		return b.without(b.model, hashes)
	}
	return b.model.WithoutSettings(ctx, hashes)
}

func (b *broken) CollectSettings(ctx context.Context, keep []uint64) (int, error) {
	if b.collect != nil {
		return b.collect(b.model, keep)
	}
	return b.model.CollectSettings(ctx, keep)
}

func (b *broken) Retain(ctx context.Context, now time.Time, r store.Retention, expired func([]store.Moved)) (store.RetainReport, error) {
	if b.retain != nil {
		return b.retain(b.model, now, r, expired)
	}
	return b.model.Retain(ctx, now, r, expired)
}

func (b *broken) Erase(ctx context.Context, now time.Time, req store.Erasure, cancelled func([]store.Moved)) (store.ErasureReport, error) {
	if b.erase != nil {
		return b.erase(b.model, now, req, cancelled)
	}
	return b.model.Erase(ctx, now, req, cancelled)
}

func (b *broken) Note(ctx context.Context, now time.Time, acts []store.Act) error {
	if b.note != nil {
		return b.note(b.model, now, acts)
	}
	return b.model.Note(ctx, now, acts)
}

func (b *broken) Acts(ctx context.Context, q store.ActQuery) (store.Page[store.Act], error) {
	if b.acts != nil {
		return b.acts(b.model, q)
	}
	return b.model.Acts(ctx, q)
}

func (b *broken) Backup(ctx context.Context, dir string) error {
	if b.backup != nil {
		return b.backup(b.model, dir)
	}
	return b.model.Backup(ctx, dir)
}

func (b *broken) Ready() error {
	if b.ready != nil {
		return b.ready(b.model)
	}
	return b.model.Ready()
}

func (b *broken) Close() error {
	if b.close != nil {
		return b.close(b.model)
	}
	return b.model.Close()
}

// recorder takes what a case says about a broken store.
type recorder struct {
	testing.TB
	mu  sync.Mutex
	bad []string
}

func (r *recorder) say(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bad = append(r.bad, text)
}

func (r *recorder) Errorf(format string, args ...any) { r.say(fmt.Sprintf(format, args...)) }
func (r *recorder) Fail()                             { r.say("") }
func (r *recorder) Logf(string, ...any)               {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.bad) > 0
}

// complaints plays one case and returns what it found.
func complaints(t *testing.T, play func(testing.TB)) []string {
	rec := &recorder{}
	synctest.Test(t, func(t *testing.T) {
		rec.TB = t
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() {
				if p := recover(); p != nil {
					rec.Errorf("panic: %v", p)
				}
			}()
			play(rec)
		}()
		<-done
	})
	return rec.bad
}

// caseNamed returns the case of that name, topic/case.
func caseNamed(t *testing.T, h Harness, name string) scenario {
	t.Helper()
	for _, p := range topics(h) {
		for _, c := range p.cases {
			if p.name+"/"+c.name == name {
				return c
			}
		}
	}
	t.Fatalf("there is no case %q", name)
	return scenario{}
}

// TestSuiteFindsBrokenStores breaks one rule at a time and wants the case that names it to fail.
func TestSuiteFindsBrokenStores(t *testing.T) {
	for _, m := range slices.Concat(brokenQueues(), brokenUntouched(), brokenReplays(), brokenLogs(), brokenUsage(), brokenKeepers(), brokenDocuments(), brokenTrails()) {
		t.Run(strings.ReplaceAll(m.rule, " ", "_"), func(t *testing.T) {
			h := modelHarness(func(model *model) store.Store { return m.breaks(model) })
			if m.harness != nil {
				m.harness(&h)
			}
			c := caseNamed(t, h, m.caught)
			found := complaints(t, func(t testing.TB) { c.play(t, h) })
			if len(found) == 0 {
				t.Fatalf("%q passes on a store where %s", m.caught, m.rule)
			}
			t.Logf("%.200s", found[0])
		})
	}
}

// mutant is a rule that a store breaks and the case that must find it.
type mutant struct {
	rule    string
	caught  string
	breaks  func(m *model) store.Store
	harness func(h *Harness) // breaks what is kept over a reopen or a crash
}

func whole(m *model) store.Store { return m }
