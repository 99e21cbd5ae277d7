package sqltables

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/destination/fanout"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// table is a Writer that refuses some users.
type table struct {
	refuse string // the user
	whole  error  // what every write fails with
	writes []int  // payload rows of each write
	rows   Rows
}

func (w *table) Write(_ context.Context, rows *Rows) (destination.Receipt, bool, error) {
	w.writes = append(w.writes, len(rows.Data)+len(rows.Other))
	r := destination.Receipt{Address: "db:5432"}
	if w.whole != nil {
		return r, false, w.whole
	}
	if slices.ContainsFunc(rows.Users, func(u User) bool { return u.ID == w.refuse }) {
		return r, true, destination.Reject(errors.New("refused"))
	}
	w.rows.Data, w.rows.Other = append(w.rows.Data, rows.Data...), append(w.rows.Other, rows.Other...)
	return r, false, nil
}

func newSender(t *testing.T, s Settings, store destination.PayloadStore, to Writer) *Sender {
	t.Helper()
	sender, err := NewSender(s, sqltablestest.Deps(store), to)
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

func deliveries(t *testing.T, users ...string) (ds []destination.Delivery) {
	for n, user := range users {
		ds = append(ds, destinationtest.Delivery(t, n, fmt.Appendf(nil, `{"type":"daily","user":{"user_id":%q},"data":[{"n":1},{"n":2}]}`, user)))
	}
	return ds
}

func TestABatchIsOneTransaction(t *testing.T) {
	to, store := &table{}, sqltablestest.NewStore()
	for i, r := range newSender(t, Defaults(), store, to).Send(t.Context(), deliveries(t, "a", "b", "a")) {
		if r.Err != nil || r.Receipt.Address != "db:5432" {
			t.Errorf("delivery %d: %+v", i, r)
		}
	}
	if !slices.Equal(to.writes, []int{6}) || store.Puts() != 6 {
		t.Errorf("writes of %v rows, %d puts", to.writes, store.Puts())
	}
	for _, row := range to.rows.Data {
		if body := store.Get(t, row.URL); !strings.Contains(string(body), `"data":[{"n":`) {
			t.Errorf("row %s leads to %s", row.ID, body)
		}
	}
}

func TestARefusedDeliveryCostsItsNeighboursNothing(t *testing.T) {
	to := &table{refuse: "b"}
	tooLong := strings.Repeat("x", 37)
	results := newSender(t, Defaults(), sqltablestest.NewStore(), to).Send(t.Context(), deliveries(t, "a", "b", tooLong, "c"))
	for i, rejected := range []bool{false, true, true, false} {
		if class, _ := destination.ClassOf(results[i].Err); (class == destination.Rejected) != rejected {
			t.Errorf("delivery %d: %v", i, results[i].Err)
		}
	}
	if !slices.Equal(to.writes, []int{6, 2, 2, 2}) {
		t.Errorf("writes of %v rows", to.writes)
	}
}

func TestWhatIsNobodysFaultIsTriedOnce(t *testing.T) {
	to := &table{whole: errors.New("down")}
	for i, r := range newSender(t, Defaults(), sqltablestest.NewStore(), to).Send(t.Context(), deliveries(t, "a", "b")) {
		if !errors.Is(r.Err, to.whole) {
			t.Errorf("delivery %d: %v", i, r.Err)
		}
	}
	if len(to.writes) != 1 {
		t.Errorf("%d writes", len(to.writes))
	}
}

func TestContentItem(t *testing.T) {
	s := Defaults()
	s.Content = ContentItem
	to, store := &table{}, sqltablestest.NewStore()
	newSender(t, s, store, to).Send(t.Context(), deliveries(t, "a"))
	if got := string(store.Get(t, to.rows.Data[1].URL)); got != `{"n":2,"user":{"user_id":"a"}}` {
		t.Errorf("%s", got)
	}
}

// slow takes a second for every put and fails for one developer.
type slow struct {
	*sqltablestest.Store
	mu            sync.Mutex
	running, most int
	fails         string // id of a payload
}

func (s *slow) Put(ctx context.Context, developer string, p event.Payload) error {
	s.mu.Lock()
	s.running++
	s.most = max(s.most, s.running)
	s.mu.Unlock()
	time.Sleep(time.Second)
	s.mu.Lock()
	s.running--
	s.mu.Unlock()
	if p.ID == s.fails {
		return errors.New("put failed")
	}
	return s.Store.Put(ctx, developer, p)
}

func TestPayloadsArePutEightAtATimeBeforeAnyRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, store := &table{}, &slow{Store: sqltablestest.NewStore()}
		many := destinationtest.Delivery(t, 1, []byte(`{"type":"daily","data":[`+strings.Repeat("{},", 299)+`{}]}`))
		began := time.Now()
		r := newSender(t, Defaults(), store, to).Send(t.Context(), []destination.Delivery{many})
		if took := time.Since(began); r[0].Err != nil || store.most != fanout.Width || took != 38*time.Second {
			t.Errorf("%v, %d at a time, %v", r[0].Err, store.most, took)
		}
		if len(to.rows.Data) != 300 {
			t.Errorf("%d rows", len(to.rows.Data))
		}
	})
}

func TestAPutThatFailsWritesNoRowOfThatDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ds := deliveries(t, "a", "b")
		to, store := &table{}, &slow{Store: sqltablestest.NewStore(), fails: ds[0].Event.ID.String() + "-1"}
		r := newSender(t, Defaults(), store, to).Send(t.Context(), ds)
		if r[0].Err == nil || r[1].Err != nil || len(to.rows.Data) != 2 {
			t.Errorf("%v, %v, %d rows", r[0].Err, r[1].Err, len(to.rows.Data))
		}
	})
}

func TestAnEventOfTooManyItemsIsRejected(t *testing.T) {
	to := &table{}
	many := destinationtest.Delivery(t, 1, []byte(`{"type":"daily","data":[`+strings.Repeat("{},", maxItems)+`{}]}`))
	r := newSender(t, Defaults(), sqltablestest.NewStore(), to).Send(t.Context(), []destination.Delivery{many})
	if class, _ := destination.ClassOf(r[0].Err); class != destination.Rejected || len(to.writes) > 0 {
		t.Errorf("%v, %d writes", r[0].Err, len(to.writes))
	}
}

func TestCheckTellsHowLongLinksLive(t *testing.T) {
	for life, remark := range map[time.Duration]bool{7 * 24 * time.Hour: false, time.Hour: true} {
		s := newSender(t, Defaults(), brief{sqltablestest.NewStore(), life}, &table{})
		if err := s.Check(t.Context(), farside.TLS{}); (err != nil) != remark || err != nil && !strings.Contains(err.Error(), "links live for 1h0m0s and not for 168h0m0s") {
			t.Errorf("%v: %v", life, err)
		}
	}
}

func TestCheckTellsWhenTheClientCertificateEnds(t *testing.T) {
	s := newSender(t, Defaults(), sqltablestest.NewStore(), &table{})
	for left, want := range map[time.Duration]string{
		-time.Hour: "in tls.cert ended on", 3*24*time.Hour + time.Hour: "in 3.0 days", 15 * 24 * time.Hour: "",
	} {
		err := s.Check(t.Context(), clientCertificate(t, time.Now().Add(left)))
		if remark, ok := errors.AsType[destination.Remark](err); ok != (want != "") || !strings.Contains(string(remark), want) {
			t.Errorf("%v left: %v, want %q", left, err, want)
		}
	}
}

func clientCertificate(t *testing.T, ends time.Time) farside.TLS {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: ends.Add(-48 * time.Hour), NotAfter: ends}
	cert, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, der []byte) secret.Value {
		return secret.New(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	}
	return farside.TLS{Cert: text("CERTIFICATE", cert), Key: text("PRIVATE KEY", der)}
}

// brief signs links that live no longer than its credentials.
type brief struct {
	*sqltablestest.Store
	life time.Duration
}

func (b brief) Link(ctx context.Context, developer, id string, ttl time.Duration) (destination.Link, error) {
	return b.Store.Link(ctx, developer, id, min(ttl, b.life))
}

func TestWithoutAStoreAndABucketNothingOpens(t *testing.T) {
	if _, err := NewSender(Defaults(), sqltablestest.Deps(nil), &table{}); err == nil || !strings.HasPrefix(err.Error(), "payloads: ") {
		t.Errorf("%v", err)
	}
}

func TestSettings(t *testing.T) {
	for want, change := range map[string]func(*Settings){
		"":           func(*Settings) {},
		"link_ttl:":  func(s *Settings) { s.LinkTTL = 1500 * time.Millisecond },
		"link_ttl: ": func(s *Settings) { s.LinkTTL = 8 * 24 * time.Hour },
		"content:":   func(s *Settings) { s.Content = "items" },
	} {
		s := Defaults()
		change(&s)
		if err := s.Validate(); (err != nil) != (want != "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestContentHasAPlaceOfItsOwn: destinations of one event share the operator's
// store, where what is there first stays. Rows have the same id all the same.
func TestContentHasAPlaceOfItsOwn(t *testing.T) {
	for _, body := range []string{`{"type":"daily","user":{"user_id":"u"},"data":[{"n":1}]}`, `{"type":"daily","user":{"user_id":"u"},"data":[{"n":1},{"n":2}]}`, `{"type":"auth","user":{"user_id":"u"}}`} {
		x := destinationtest.Delivery(t, 1, []byte(body))
		item := Defaults()
		item.Content = ContentItem
		for _, order := range [][]Settings{{Defaults(), item}, {item, Defaults()}} {
			store := sqltablestest.NewStore()
			var ids []string
			for _, s := range order {
				to := &table{}
				if r := newSender(t, s, store, to).Send(t.Context(), []destination.Delivery{x})[0]; r.Err != nil {
					t.Fatal(r.Err)
				}
				var mine []string
				for _, row := range append(to.rows.Data, to.rows.Other...) {
					mine = append(mine, row.ID)
					got := string(store.Get(t, row.URL))
					whole := strings.HasPrefix(got, `{"type":`)
					if isItem := strings.HasPrefix(got, `{"n":`); isItem != (s.Content == ContentItem && x.Event.Type == "daily") || whole == isItem {
						t.Errorf("%s, content %s: the row %s leads to %s", body, s.Content, row.ID, got)
					}
				}
				if ids == nil {
					ids = mine
				} else if !slices.Equal(mine, ids) {
					t.Errorf("rows %q with one content, %q with the other", ids, mine)
				}
			}
		}
	}
}
