package storetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func bodyCases() []scenario {
	return []scenario{
		{"byte for byte", 0, nastyBodies},
		{"of every size around a power of two", 0, bodySizes},
		{"of 32 MiB", 0, hugeBody},
		{"envelope is kept", 0, envelopes},
		{"an event for nobody is kept", 0, unmatched},
		{"of an unknown event", 0, unknownEvent},
	}
}

// keeps appends a body and reads it back.
func (r *rig) keeps(what string, body []byte, to ...uint32) event.ID {
	r.Helper()
	e := r.entry(to...)
	e.Event.Body = bytes.Clone(body)
	a := r.append(e)[0]
	got, err := r.s.Event(r.ctx, a.ID.Day(), a.ID)
	r.must(what, err)
	if !bytes.Equal(got.Body, body) {
		r.Errorf("%s: %d bytes came back of %d, or other ones", what, len(got.Body), len(body))
	}
	if rec := r.record(a.ID); rec.Size != len(body) || rec.Gone != "" {
		r.Errorf("%s: record has size %d, gone %q", what, rec.Size, rec.Gone)
	}
	for _, it := range a.Items {
		if it.Size != uint32(len(body)) {
			r.Errorf("%s: item has size %d", what, it.Size)
		}
	}
	return a.ID
}

func nastyBodies(r *rig) {
	d := r.dest()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	bodies := map[string][]byte{
		"zeros":          make([]byte, 1000),
		"one byte":       {0},
		"all bytes":      all,
		"high bytes":     bytes.Repeat([]byte{0xff}, 300),
		"broken UTF-8":   []byte("{\"type\":\"\xc3\x28\xed\xa0\x80\"}"),
		"escaped zero":   []byte(`{"type":"a\u0000b"}`),
		"odd spacing":    []byte(" \r\n\t{ \"type\" :\t\"x\" , \"a\":1.0e+2 } \n\n"),
		"repeated keys":  []byte(`{"b":1,"a":2,"b":3,"type":"x"}`),
		"long and plain": []byte(strings.Repeat(`{"type":"activity","data":[]}`, 9000)),
		"byte order":     []byte("\ufeff{\"type\":\"x\"}"),
	}
	ids := map[string]event.ID{}
	for what, body := range bodies {
		ids[what] = r.keeps(what, body, d)
	}
	r.reopen()
	for what, body := range bodies {
		got, err := r.s.Event(r.ctx, ids[what].Day(), ids[what])
		r.must(what, err)
		if !bytes.Equal(got.Body, body) {
			r.Errorf("%s changed over a reopen", what)
		}
	}
}

func bodySizes(r *rig) {
	rnd := rand.NewChaCha8([32]byte{1})
	for size := 1; size <= 1<<18; size *= 2 {
		for _, n := range []int{size, size + 1} {
			body := make([]byte, n)
			rnd.Read(body)
			r.keeps(fmt.Sprintf("%d bytes", n), body)
		}
	}
}

func hugeBody(r *rig) {
	d := r.dest()
	body := make([]byte, 32<<20)
	rand.NewChaCha8([32]byte{2}).Read(body)
	id := r.keeps("32 MiB", body, d)
	if c := r.s.Counts(d); c.PendingBytes != 32<<20 {
		r.Errorf("%d bytes are pending, want %d", c.PendingBytes, 32<<20)
	}
	r.reopen()
	got, err := r.s.Event(r.ctx, id.Day(), id)
	r.must("event", err)
	if !bytes.Equal(got.Body, body) {
		r.Errorf("32 MiB changed over a reopen")
	}
}

func envelopes(r *rig) {
	want := map[event.ID]event.Event{}
	for i, e := range []event.Envelope{
		{Type: "activity", Version: "2022-03-16", Versioned: true, UserID: "u"},
		{Type: "lab_report.completed"},
		{Type: "x", Versioned: true},
		{Type: "a\x00b", Version: "\x00\xff", Versioned: true, UserID: "\x00"},
		{Type: "\u00e9\u4e16\u754c|/%_", UserID: strings.Repeat("\u00fc", 5000)},
		{Type: strings.Repeat("t", 3000), Version: strings.Repeat("v", 3000), Versioned: true, UserID: "a|b|c"},
	} {
		entry := r.entry()
		entry.Event.Envelope = e
		entry.Event.Developer = []string{"acme", "acme-2", "a|b", "\u00e9", "x", "ACME"}[i]
		if i > 2 {
			entry.Event.Trace = &event.Trace{
				Sent: event.TraceContext{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", State: []string{"", "a=1", strings.Repeat("s", 512)}[i-3]},
				Span: []string{"00-4bf92f3577b34da6a3ce929d0e0e4736-53995c3f42cd8ad8-01", "", ""}[i-3],
			}
		}
		entry.Event.Reference = []string{"!", "~", strings.Repeat("r", 128), "a b", "1", "ref"}[i]
		id := r.append(entry)[0].ID
		want[id] = *entry.Event
	}
	r.reopen()
	for id, e := range want {
		got, err := r.s.Event(r.ctx, id.Day(), id)
		r.must("event", err)
		rec := r.record(id).Event
		for what, g := range map[string]*event.Event{"event": got, "record": &rec} {
			if g.ID != id || g.Developer != e.Developer || g.Reference != e.Reference || g.Envelope != e.Envelope || !g.Ordering.Equal(e.Ordering) || !sameTrace(g.Trace, e.Trace) {
				r.Errorf("%s is %+v, want %+v", what, g, e)
			}
		}
	}
}

func sameTrace(a, b *event.Trace) bool {
	return (a == nil) == (b == nil) && (a == nil || *a == *b)
}

func unmatched(r *rig) {
	id := r.keeps("for nobody", []byte(`{"type":"new"}`))
	r.post(r.dest())
	got := r.events(r.s, store.EventQuery{Unmatched: true})
	if len(got) != 1 || got[0].Event.ID != id || len(got[0].To) != 0 {
		r.Errorf("unmatched events: %+v", got)
	}
	if ds := r.deliveries(r.s, store.DeliveryQuery{Event: id}); len(ds) != 0 {
		r.Errorf("it has deliveries: %+v", ds)
	}
}

func unknownEvent(r *rig) {
	known := r.post(r.dest())[0].ID.Event
	for _, id := range []event.ID{{}, event.NewID(r.now, 0, 7), event.NewID(r.now.Add(48e12), 1, 1), flip(known, 15), flip(known, 0)} {
		_, err := r.s.Event(r.ctx, id.Day(), id)
		r.wants("event", err, store.ErrNotFound)
		_, err = r.s.EventRecord(r.ctx, id)
		r.wants("event record", err, store.ErrNotFound)
		_, _, err = r.s.Delivery(r.ctx, store.DeliveryID{Day: id.Day(), Event: id, Dest: 1})
		r.wants("delivery", err, store.ErrNotFound)
	}
}

// flip changes one bit of a byte of id.
func flip(id event.ID, at int) event.ID {
	id[at] ^= 1
	return id
}
