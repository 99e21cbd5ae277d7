package ingest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// instant is a Store that costs nothing, so that what is measured is Accept.
type instant struct{ appended []store.Appended }

func (s *instant) Append(_ context.Context, _ time.Time, batch []*store.Entry) ([]store.Appended, error) {
	return s.appended[:len(batch)], nil
}
func (*instant) Counts(uint32) store.Counts { return store.Counts{} }
func (*instant) Ready() error               { return nil }

func BenchmarkAccept(b *testing.B) {
	body := []byte(`{"type":"sleep","user":{"user_id":"u1"},"version":"2022-03-16","data":[`)
	for i := range 20 {
		if i > 0 {
			body = append(body, ',')
		}
		body = fmt.Appendf(body, `{"metadata":{"summary_id":"s%d","start_time":"2026-07-01T09:12:33.000000+00:00"},"heart_rate":{"avg":61.5}}`, i)
	}
	body = append(body, "]}"...)
	for _, size := range []int{1, 64} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := &instant{appended: make([]store.Appended, size)}
			for i := range s.appended {
				s.appended[i].Items = make([]store.Item, 2)
			}
			in := New(s, func(*event.Event, []store.Item) {}, Limits{Body: 32 << 20, Rate: 1e12, Pending: 1e9, Bytes: 1e12})
			in.SetRoutes(sample())
			rs := make([]Request, size)
			for i := range rs {
				rs[i] = Request{Developer: "acme", Body: body}
			}
			b.SetBytes(int64(size * len(body)))
			b.ReportAllocs()
			for b.Loop() {
				in.Accept(b.Context(), rs)
			}
		})
	}
}
