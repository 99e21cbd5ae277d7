package pebblestore

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/packing"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func TestBodiesAreCompressed(t *testing.T) {
	random := make([]byte, 1<<20)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	text := bytes.Repeat([]byte(`{"timestamp":"2026-07-01T22:10:00.000000+02:00","bpm":52},`), 20_000)
	s := mustOpen(t, t.TempDir(), Options{})
	for _, tt := range []struct {
		name string
		body []byte
		most int // bytes of its value
	}{
		{"two bytes", []byte("{}"), 3},
		{"too small to try", text[:packing.From-1], packing.From},
		{"small", text[:packing.From], packing.From - packing.From/8},
		{"text", text, len(text) / 5},
		{"the densest", bytes.Repeat([]byte(" "), 2<<20), 2 << 20 / 20},
		{"noise", random, len(random) + 1},
	} {
		e := entry("acme", "user", "", 1)
		e.Event.Body = tt.body
		out, err := s.Append(ctx, day0, []*store.Entry{e})
		if err != nil {
			t.Fatal(err)
		}
		id := out[0].ID
		if v, err := s.get(eventKey(nil, kindBody, id.Day(), id)); err != nil || len(v) > tt.most {
			t.Errorf("%s: %d bytes stand in %d, %v", tt.name, len(tt.body), len(v), err)
		}
		if got, err := s.Event(ctx, id.Day(), id); err != nil || !bytes.Equal(got.Body, tt.body) {
			t.Errorf("%s: read back: %v", tt.name, err)
		}
	}
}

// Concurrent callers share buffers: none may get a part of another's body.
func TestPackedBodiesKeepApart(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	for caller := range 8 {
		t.Run(fmt.Sprint(caller), func(t *testing.T) {
			t.Parallel()
			for i := range 50 {
				batch := make([]*store.Entry, 3)
				for k := range batch {
					batch[k] = entry("acme", "user", "", 1)
					batch[k].Event.Body = bytes.Repeat(fmt.Appendf(nil, `{"caller":%d,"n":%d,"k":%d}`, caller, i, k), 1+(caller*i*k)%200)
				}
				out, err := s.Append(ctx, day0, batch)
				if err != nil {
					t.Fatal(err)
				}
				for k := range out {
					if got, err := s.Event(ctx, out[k].ID.Day(), out[k].ID); err != nil || !bytes.Equal(got.Body, batch[k].Event.Body) {
						t.Fatalf("%d of batch %d: %v, %.60s", k, i, err, got.Body)
					}
				}
			}
		})
	}
}

// A body that a program before format 3 wrote reads as it did.
func TestBodyOfFormatTwo(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	e := entry("acme", "user", "", 1)
	e.Event.Body = bytes.Repeat([]byte("{}"), 500)
	out, err := s.Append(ctx, day0, []*store.Entry{e})
	if err != nil {
		t.Fatal(err)
	}
	id := out[0].ID
	if err := s.write(func(w *writer) { w.setBody(id.Day(), id, append([]byte{1}, e.Event.Body...)) }); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Event(ctx, id.Day(), id); err != nil || !bytes.Equal(got.Body, e.Event.Body) {
		t.Errorf("%v, %.20s", err, got.Body)
	}
	if _, err := s.Event(ctx, id.Day(), event.ID{1}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
}

func BenchmarkPack(b *testing.B) {
	text := bytes.Repeat([]byte(`{"timestamp":"2026-07-01T22:10:00.000000+02:00","bpm":52},`), 1200)
	p := packing.New()
	for _, n := range []int{2 << 10, 64 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				p.Release(p.Pack(text[:n]))
			}
		})
	}
}
