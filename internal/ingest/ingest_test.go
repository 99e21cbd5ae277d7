package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/seed-51f8da91/fantail/internal/store"
)

const sleep = `{"type":"sleep","user":{"user_id":"u1"},"data":[]}`

func TestAcceptedEventIsStoredWholeAndOffered(t *testing.T) {
	m := newMemory()
	in, o := start(t, m, Limits{})
	body := []byte(" {\n \"type\" : \"sleep\", \"user\": {\"user_id\":\"u1\"}, \"version\":\"2022-03-16\" }\n")
	want := string(body)
	ordering := time.Date(2026, 7, 1, 9, 12, 33, 123456789, time.FixedZone("", 3600))

	got, refusal := accept(t, in, Request{Developer: "acme", Reference: "ref-1", Ordering: ordering, Body: body})
	if refusal != nil {
		t.Fatal(refusal)
	}
	e := m.entries[0].Event
	if got.ID != e.ID || got.ID.IsZero() || got.Reference != "ref-1" || got.Deliveries != 2 || got.Duplicate {
		t.Errorf("result %+v of event %v", got, e.ID)
	}
	if string(e.Body) != want || unsafe.SliceData(e.Body) != unsafe.SliceData(body) {
		t.Error("the body was copied or changed")
	}
	if e.Developer != "acme" || e.Type != "sleep" || e.UserID != "u1" || e.Version != "2022-03-16" {
		t.Errorf("envelope %+v", e)
	}
	if want := time.Date(2026, 7, 1, 8, 12, 33, 123456000, time.UTC); e.Ordering != want {
		t.Errorf("ordering time %v, want %v", e.Ordering, want)
	}
	if len(o.events) != 1 || o.events[0] != e || o.items != 2 {
		t.Errorf("offered %d events with %d items, want this one with 2", len(o.events), o.items)
	}
}

func TestDestinationsAreThoseThatMatch(t *testing.T) {
	for _, c := range []struct {
		developer, typ string
		to             []uint32
	}{
		{"acme", "sleep", []uint32{1, 2}},
		{"acme", "never.heard.of", []uint32{1}},
		{"initech", "sleep", nil},
	} {
		m := newMemory()
		in, o := start(t, m, Limits{})
		got, refusal := accept(t, in, Request{Developer: c.developer, Body: fmt.Appendf(nil, `{"type":%q}`, c.typ)})
		if refusal != nil {
			t.Fatal(refusal)
		}
		if !slices.Equal(m.entries[0].To, c.to) || got.Deliveries != len(c.to) || o.items != len(c.to) {
			t.Errorf("%s %s: stored for %v, offered %d, want %v", c.developer, c.typ, m.entries[0].To, o.items, c.to)
		}
	}
}

func TestReferenceIsKeptOrFresh(t *testing.T) {
	in, _ := start(t, newMemory(), Limits{})
	seen := map[string]bool{}
	for i := range 100 {
		unfit := []string{"", strings.Repeat("r", 129), "a b", "a\r\nx: y", "é", "\x7f"}[i%6]
		r, refusal := accept(t, in, Request{Developer: "acme", Reference: unfit, Body: []byte(sleep)})
		if refusal != nil {
			t.Fatalf("reference %q: %v", unfit, refusal)
		}
		if len(r.Reference) != 36 || r.Reference[14] != '4' || !strings.ContainsRune("89ab", rune(r.Reference[19])) || seen[r.Reference] {
			t.Fatalf("reference %q is no fresh UUID", r.Reference)
		}
		seen[r.Reference] = true
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		r      Request
		status int
		code   string
	}{
		"no developer":        {Request{Body: []byte(sleep)}, 400, "missing_developer"},
		"unknown developer":   {Request{Developer: "ACME", Body: []byte(sleep)}, 404, "unknown_developer"},
		"no JSON":             {Request{Developer: "acme", Body: []byte(`{"type":`)}, 400, "invalid_json"},
		"empty":               {Request{Developer: "acme"}, 400, "invalid_json"},
		"no type":             {Request{Developer: "acme", Body: []byte(`{}`)}, 400, "missing_type"},
		"type twice":          {Request{Developer: "acme", Body: []byte(`{"type":"a","type":"b"}`)}, 400, "duplicate_key"},
		"too large":           {Request{Developer: "acme", Body: []byte(`{"type":"` + strings.Repeat("a", 200) + `"}`)}, 413, "too_large"},
		"key too long":        {Request{Developer: "acme", IdempotencyKey: strings.Repeat("k", 256), Body: []byte(sleep)}, 400, "invalid_idempotency_key"},
		"key with tab":        {Request{Developer: "acme", IdempotencyKey: "\t", Body: []byte(sleep)}, 400, "invalid_idempotency_key"},
		"ordering in seconds": {Request{Developer: "acme", Ordering: time.UnixMilli(1_780_000_000), Body: []byte(sleep)}, 400, "invalid_ordering_timestamp"},
		"ordering in micros":  {Request{Developer: "acme", Ordering: time.UnixMilli(1_780_000_000_000_000), Body: []byte(sleep)}, 400, "invalid_ordering_timestamp"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			in, o := start(t, m, Limits{Body: 200})
			_, refusal := accept(t, in, c.r)
			if refusal == nil || refusal.Status != c.status || refusal.Code != c.code {
				t.Fatalf("got %+v, want %d %s", refusal, c.status, c.code)
			}
			if m.commits != 0 || len(o.events) != 0 {
				t.Error("what was refused was stored or offered")
			}
		})
	}
}

func TestLongestFieldsPass(t *testing.T) {
	in, _ := start(t, newMemory(), Limits{Body: int64(len(sleep))})
	r := Request{
		Developer: "acme", Reference: strings.Repeat("~", 128), IdempotencyKey: strings.Repeat("!", 255),
		Ordering: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), Body: []byte(sleep),
	}
	if got, refusal := accept(t, in, r); refusal != nil || got.Reference != r.Reference {
		t.Fatalf("got %+v, %v", got, refusal)
	}
}

func TestResultsOfABatchStandAlone(t *testing.T) {
	m := newMemory()
	in, o := start(t, m, Limits{})
	rs := in.Accept(t.Context(), []Request{
		{Developer: "acme", Body: []byte(`{`)},
		{Developer: "acme", Reference: "one", IdempotencyKey: "k", Body: []byte(sleep)},
		{Developer: "nobody", Body: []byte(sleep)},
		{Developer: "acme", Reference: "two", IdempotencyKey: "k", Body: []byte(sleep)},
		{Developer: "acme", Reference: "three", IdempotencyKey: "k", Body: []byte(`{"type":"sleep"}`)},
		{Developer: "initech", Reference: "four", IdempotencyKey: "k", Body: []byte(sleep)},
	})
	var got []string
	for _, r := range rs {
		if refusal, ok := r.Err.(*Refusal); ok {
			got = append(got, refusal.Code)
			continue
		}
		got = append(got, fmt.Sprint(r.Reference, r.Deliveries, r.Duplicate))
	}
	want := []string{"invalid_json", "one2 false", "unknown_developer", "one2 true", "idempotency_mismatch", "four0 false"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if m.commits != 1 || len(m.entries) != 2 || len(o.events) != 1 {
		t.Errorf("%d commits, %d events, %d offers; want 1, 2, 1", m.commits, len(m.entries), len(o.events))
	}
}

func TestUnavailable(t *testing.T) {
	full := &store.Unavailable{Reason: "disk reserve reached", After: 7 * time.Second}
	strange := errors.New("something nobody thought of")
	for name, c := range map[string]struct {
		ready, fail error
		message     string
		after       time.Duration
	}{
		"not ready":       {full, nil, "disk reserve reached", 7 * time.Second},
		"append stalls":   {nil, full, "disk reserve reached", 7 * time.Second},
		"store is closed": {store.ErrClosed, nil, "the event could not be made durable", time.Second},
		"fenced":          {nil, store.ErrFenced, "the event could not be made durable", time.Second},
		"unknown error":   {nil, strange, "the event could not be made durable", time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			m.ready, m.fail = c.ready, c.fail
			in, o := start(t, m, Limits{})
			rs := in.Accept(t.Context(), []Request{{Developer: "acme", Body: []byte(sleep)}, {Developer: "acme", Body: []byte(sleep)}})
			for _, r := range rs {
				refusal, _ := r.Err.(*Refusal)
				if refusal == nil || refusal.Status != 503 || refusal.Message != c.message || refusal.RetryAfter != c.after {
					t.Errorf("got %+v, want 503 %q after %v", refusal, c.message, c.after)
				}
				if want := errors.Join(c.ready, c.fail); !errors.Is(want, refusal.Cause) {
					t.Errorf("cause %v, want %v", refusal.Cause, want)
				}
			}
			if len(o.events) != 0 {
				t.Error("offered what is not durable")
			}
			if ready := in.Ready(); (ready != nil) != (c.ready != nil) {
				t.Errorf("Ready is %v", ready)
			}
		})
	}
}

func TestNothingIsAcceptedBeforeTheFirstRoutes(t *testing.T) {
	in := New(newMemory(), (&offers{}).offer, Limits{})
	if _, refusal := accept(t, in, Request{Developer: "acme", Body: []byte(sleep)}); refusal == nil || refusal.Status != 503 {
		t.Fatalf("got %+v, want 503", refusal)
	}
	in.SetRoutes(sample())
	if err := in.Ready(); err != nil {
		t.Fatal(err)
	}
}

func TestNewRoutesApplyToTheNextRequest(t *testing.T) {
	m := newMemory()
	in, _ := start(t, m, Limits{})
	routes := sample()
	routes.Developers["acme"] = &Developer{ID: "acme", Destinations: []Route{{ID: 5, Matches: everything}}}
	delete(routes.Developers, "initech")
	in.SetRoutes(routes)
	accept(t, in, Request{Developer: "acme", Body: []byte(sleep)})
	if to := m.entries[0].To; !slices.Equal(to, []uint32{5}) {
		t.Errorf("stored for %v, want 5", to)
	}
	if _, refusal := accept(t, in, Request{Developer: "initech", Body: []byte(sleep)}); refusal == nil || refusal.Code != "unknown_developer" {
		t.Errorf("got %+v, want unknown_developer", refusal)
	}
}

// apart is a store in which another daemon goes on with the deliveries of destination 1.
type apart struct{ *memory }

func (a apart) Append(ctx context.Context, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
	out, err := a.memory.Append(ctx, now, batch)
	for i := range out {
		out[i].Items = slices.DeleteFunc(out[i].Items, func(it store.Item) bool { return it.ID.Dest == 1 })
	}
	return out, err
}

// TestWhatGoesOnElsewhereIsTold, once, with the size of its body.
func TestWhatGoesOnElsewhereIsTold(t *testing.T) {
	var o offers
	in := New(apart{newMemory()}, o.offer, Limits{})
	var told []string
	in.Elsewhere = func(dests []uint32, size int) { told = append(told, fmt.Sprint(dests, size)) }
	in.SetRoutes(sample())
	for range 2 { // the second one is a duplicate
		if _, refusal := accept(t, in, Request{Developer: "acme", Body: []byte(sleep), IdempotencyKey: "k"}); refusal != nil {
			t.Fatal(refusal)
		}
	}
	if want := fmt.Sprint([]uint32{1}, len(sleep)); len(told) != 1 || told[0] != want || o.items != 1 {
		t.Errorf("told %v, want %q; offered %d", told, want, o.items)
	}
}
