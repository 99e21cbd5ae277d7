package event_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// several builds an event of n items of the size of the sample.
func several(b *testing.B, n int) *event.Event {
	b.Helper()
	one := string(body(b, 0, false))
	data := strings.Index(one, `"data":[`) + len(`"data":[`)
	item := one[data:strings.LastIndex(one, `]`)]
	return made(b, one[:data]+strings.Repeat(item+",", n-1)+item+"]}")
}

func BenchmarkPayloads(b *testing.B) {
	c := event.DefaultCatalogue()
	for _, n := range []int{1, 10, 500} {
		e := several(b, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(len(e.Body)))
			b.ReportAllocs()
			for b.Loop() {
				got := 0
				for p := range c.Payloads(e) {
					got += len(p.Body)
				}
				if got < len(e.Body) {
					b.Fatal(got)
				}
			}
		})
	}
}

func BenchmarkItem(b *testing.B) {
	c := event.DefaultCatalogue()
	e := several(b, 1)
	p := c.Whole(e)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := c.Item(e, p); !ok {
			b.Fatal("no item")
		}
	}
}

func BenchmarkUsers(b *testing.B) {
	e := several(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		if e.Users().User.ID == "" {
			b.Fatal("no user")
		}
	}
}

func BenchmarkGenerated(b *testing.B) {
	e := several(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		if !e.Generated().Equal(e.Ordering) {
			b.Fatal("a time")
		}
	}
}
